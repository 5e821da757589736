import { existsSync, mkdtempSync, readdirSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { newAccount, type TestAccount } from "../../../test/harness/accounts.ts";
import { type Answer, type TestApi, testApi, testClock } from "../../../test/harness/api.ts";
import { type FormPart, formOf } from "../../../test/harness/form.ts";
import { authenticate } from "../accounts/accounts.ts";
import { accountEndpoints } from "../accounts/api.ts";
import { erasureEndpoints } from "../erasure/api.ts";
import { eraseAccountJob } from "../erasure/erasure.ts";
import { meterEndpoints } from "../meters/api.ts";
import type { Settings } from "../platform/deps.ts";
import { priceEndpoints } from "../prices/api.ts";
import { seriesEndpoints } from "../series/api.ts";
import { treeEndpoints } from "../trees/api.ts";
import { invoiceEndpoints } from "./api.ts";
import { invoiceJobs } from "./invoices.ts";
import { Money } from "./money.ts";

/** A row of an invoice in UBL. */
export interface TestRow {
  name: string;
  amount: string;
  /** Metering point. */
  ean?: string;
  /** First and last day. */
  period?: [from: string, to: string];
  /** kWh; months of what is fixed. */
  quantity?: string;
}

/** An invoice in UBL. */
export interface TestInvoice {
  number: string;
  kind?: "invoice" | "credit" | "correction";
  replaces?: string[];
  issued?: string;
  currency?: string;
  seller?: { name: string; id: string };
  /** Metering point of the whole invoice. */
  ean?: string;
  period?: [from: string, to: string];
  rows: TestRow[];
  /** Printed as the sum of the rows, when it is to be wrong. */
  net?: string;
}

const codes = { invoice: "380", credit: "381", correction: "384" };

/** A document in UBL with 25 % VAT; amounts of a credit note are given as it prints them, above zero. */
export function ubl(invoice: TestInvoice): string {
  const { number, kind = "invoice", replaces = [], issued = "2026-01-10", currency = "SEK", ean } = invoice;
  const { seller = { name: "Elnät Exempel AB", id: "556000-0001" }, period, rows } = invoice;
  const root = kind === "credit" ? "CreditNote" : "Invoice";
  const sum = rows.reduce((total, { amount }) => total.plus(amount), new Money(0));
  const net = new Money(invoice.net ?? sum);
  const vat = net.mul("0.25").toDecimalPlaces(2);
  const money = (name: string, amount: string) => `<${name} currencyID="${currency}">${amount}</${name}>`;
  const period_ = (days: [string, string] | undefined) =>
    days === undefined
      ? ""
      : `<InvoicePeriod><StartDate>${days[0]}</StartDate><EndDate>${days[1]}</EndDate></InvoicePeriod>`;
  const lines = rows.map((row, i) => {
    const quantityName = kind === "credit" ? "CreditedQuantity" : "InvoicedQuantity";
    return `<${root}Line><ID>${i + 1}</ID>
    <${quantityName} unitCode="${/abonnemang/.test(row.name) ? "MON" : "KWH"}">${row.quantity ?? "1"}</${quantityName}>
    ${money("LineExtensionAmount", row.amount)}${period_(row.period)}
    ${row.ean === undefined ? "" : `<DocumentReference><ID>${row.ean}</ID><DocumentTypeCode>130</DocumentTypeCode></DocumentReference>`}
    <Item><Name>${row.name}</Name><ClassifiedTaxCategory><ID>S</ID><Percent>25</Percent></ClassifiedTaxCategory></Item>
    </${root}Line>`;
  });
  return `<?xml version="1.0" encoding="UTF-8"?>
<${root} xmlns="urn:oasis:names:specification:ubl:schema:xsd:${root}-2">
  <ID>${number}</ID><IssueDate>${issued}</IssueDate><DueDate>2026-02-09</DueDate>
  <${root}TypeCode>${codes[kind]}</${root}TypeCode><DocumentCurrencyCode>${currency}</DocumentCurrencyCode>
  ${period_(period)}
  ${replaces.map((id) => `<BillingReference><InvoiceDocumentReference><ID>${id}</ID></InvoiceDocumentReference></BillingReference>`).join("")}
  ${ean === undefined ? "" : `<AdditionalDocumentReference><ID>${ean}</ID><DocumentTypeCode>130</DocumentTypeCode></AdditionalDocumentReference>`}
  <AccountingSupplierParty><Party><PartyLegalEntity><RegistrationName>${seller.name}</RegistrationName><CompanyID>${seller.id}</CompanyID></PartyLegalEntity></Party></AccountingSupplierParty>
  <AccountingCustomerParty><Party><PartyName><Name>Customer</Name></PartyName></Party></AccountingCustomerParty>
  <TaxTotal>${money("TaxAmount", vat.toFixed(2))}</TaxTotal>
  <LegalMonetaryTotal>${money("LineExtensionAmount", net.toFixed(2))}${money("TaxExclusiveAmount", net.toFixed(2))}
    ${money("TaxInclusiveAmount", net.plus(vat).toFixed(2))}${money("PayableAmount", net.plus(vat).toFixed(2))}</LegalMonetaryTotal>
  ${lines.join("\n")}
</${root}>
`;
}

/** The API of invoices over a database and a folder of its own. */
export interface InvoiceWorld {
  api: TestApi;
  dataDir: string;
  owner: TestAccount;
  /** A subaccount of the owner. */
  child: TestAccount;
  /** Another account that has nothing to do with the owner. */
  stranger: TestAccount;
  /** Uploads; nothing is read yet. */
  upload(parts: readonly FormPart[], token?: string): Promise<Answer>;
  /** Uploads one document, does the jobs, and answers the invoice afterwards. */
  // biome-ignore lint/suspicious/noExplicitAny: tests look at whatever came back
  settle(document: TestInvoice | string, options?: { token?: string; parts?: FormPart[] }): Promise<any>;
  /** Does the jobs that wait, and those that they send. */
  work(): Promise<void>;
  /** Does what is done every ten minutes. */
  tend(): Promise<void>;
  get(path: string, token?: string): Promise<Answer>;
  /** Costs of a meter by month, of the given metric. */
  costs(meterId: string, metric: string, period: string): Promise<(number | null)[]>;
  /** Names of the documents that are kept. */
  documents(): string[];
  close(): Promise<void>;
}

/** Opens one. Call it in `beforeAll`, and `close` in `afterAll`. */
export async function invoiceWorld(settings: Partial<Settings> = {}): Promise<InvoiceWorld> {
  const dataDir = mkdtempSync(join(tmpdir(), "metertree-invoices-"));
  const api = await testApi({
    endpoints: [
      ...accountEndpoints,
      ...meterEndpoints,
      ...treeEndpoints,
      ...seriesEndpoints,
      ...priceEndpoints,
      ...erasureEndpoints,
      ...invoiceEndpoints,
    ],
    authenticate,
    clock: testClock(Date.UTC(2026, 0, 15, 12)),
    settings: { dataDir, ...settings },
  });
  const owner = await newAccount(api.deps);
  const child = await newAccount(api.deps, { managerId: owner.id });
  const stranger = await newAccount(api.deps);
  const kinds = [...invoiceJobs, eraseAccountJob];
  const run = (name: string, data: object) =>
    kinds.find((kind) => kind.name === name)!.run(data, api.deps, new AbortController().signal);
  const upload: InvoiceWorld["upload"] = (parts, token = owner.token) =>
    api.call("POST", "/invoices", { token, ...formOf(parts) });
  const work = async () => {
    for (let job = api.sentJobs.shift(); job !== undefined; job = api.sentJobs.shift())
      await run(job.name, job.data);
  };
  return {
    api,
    dataDir,
    owner,
    child,
    stranger,
    upload,
    work,
    tend: () => run("tend-invoices", {}),
    async settle(document, { token = owner.token, parts = [] } = {}) {
      const content = typeof document === "string" ? document : ubl(document);
      const answer = await upload([...parts, { file: "invoice.xml", content }], token);
      if (answer.status !== 200) throw new Error(`the upload was answered ${answer.status}: ${answer.text}`);
      await work();
      return (await api.call("GET", `/invoices/${answer.json.data[0]._id}`, { token })).json.data;
    },
    get: (path, token = owner.token) => api.call("GET", path, { token }),
    async costs(meterId, metric, period) {
      const path = `/costs/${meterId}/month/${period}?metrics=${metric}`;
      const { data } = (await api.call("GET", path, { token: owner.token })).json;
      return data[0].periods[0][metric];
    },
    documents: () => {
      const folder = join(dataDir, "invoices");
      return existsSync(folder) ? readdirSync(folder) : [];
    },
    async close() {
      await api.close();
      rmSync(dataDir, { recursive: true, force: true });
    },
  };
}
