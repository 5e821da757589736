import { Decimal } from "decimal.js";
import { dayOf, dayText, firstDayOf, hourMs, monthOf, monthText, startOfDay } from "./calendar.ts";
import { contractsOf } from "./holdings.ts";
import type { Utility } from "./utility.ts";
import { type Customer, eanOn, type Meter } from "./world.ts";

/** A row of an invoice; quantities and amounts are exact texts with a point. */
export interface InvoiceRow {
  description: string;
  quantity: string;
  unit: string;
  /** UN/ECE Recommendation 20. */
  unitCode: string;
  /** As people read it: per unit, energy in hundredths of a krona. */
  price: string;
  priceUnit: string;
  /** Kronor per unit. */
  priceSek: string;
  amount: string;
}

/** An invoice of the grid for one metering point and month. Once issued it never changes. */
export interface Invoice {
  number: string;
  meterId: string;
  ean: string;
  address: string;
  issued: string;
  due: string;
  period: { from: string; to: string };
  buyer: { name: string; number: string };
  rows: readonly InvoiceRow[];
  /** Percent. */
  vatRate: string;
  net: string;
  vat: string;
  gross: string;
  /** To whole kronor. */
  rounding: string;
  payable: string;
}

/** Invoices go out on the tenth day after a month, at eight. */
const issueDays = 9;

/** Invoices of the last months are kept on the pages. */
const shownMonths = 18;

const issuedAt = (month: number) => startOfDay(firstDayOf(month + 1) + issueDays) + 8 * hourMs;

/** Invoices that a customer finds, the newest first. A month that is late or estimated is billed as it was then known. */
export function invoicesOf(utility: Utility, customer: Customer): Invoice[] {
  const last = monthOf(dayOf(utility.clock.now())) - 1;
  const meters = contractsOf(utility, customer)
    .filter(({ kind }) => kind === "grid")
    .flatMap((contract) => contract.meters.filter(({ representation }) => representation === "consumption"));
  const invoices: Invoice[] = [];
  for (let month = last; month > last - shownMonths; month--) {
    for (const meter of meters) {
      const invoice = invoiceOf(utility, meter, { customer, month });
      if (invoice !== undefined) invoices.push(invoice);
    }
  }
  return invoices;
}

/** The invoice with a number, when a customer finds it. */
export function invoiceByNumber(utility: Utility, customer: Customer, number: string): Invoice | undefined {
  const [, year, month, id] = /^(\d{4})(\d\d)-([\d-]{1,40})$/.exec(number) ?? [];
  const meter = customer.contracts.flatMap(({ meters }) => meters).find((each) => each.id === id);
  if (meter?.type !== "electricity" || meter.representation !== "consumption") return undefined;
  return invoiceOf(utility, meter, { customer, month: Number(year) * 12 + Number(month) - 1 });
}

function invoiceOf(utility: Utility, meter: Meter, order: Order): Invoice | undefined {
  if (issuedAt(order.month) > utility.clock.now() || order.month < monthOf(meter.from)) return undefined;
  const key = `${meter.id} ${order.month}`;
  if (!utility.issued.has(key)) utility.issued.set(key, issuedOf(utility, meter, order));
  return utility.issued.get(key);
}

interface Order {
  customer: Customer;
  month: number;
}

function issuedOf(utility: Utility, meter: Meter, { customer, month }: Order): Invoice | undefined {
  const at = issuedAt(month);
  const used = utility.published(at).month(meter, month);
  if (used === undefined) return undefined;
  const first = dayOf(used.start);
  const rows = rowsOf(new Decimal(used.milli).div(1000).toFixed(2));
  const net = rows.reduce((sum, { amount }) => sum.plus(amount), new Decimal(0));
  const vat = new Decimal(net.times("0.25").toFixed(2));
  const gross = net.plus(vat);
  const payable = gross.toDecimalPlaces(0, Decimal.ROUND_HALF_UP);
  const issuedDay = dayOf(at);
  return {
    number: `${monthText(month).replace("-", "")}-${meter.id}`,
    meterId: meter.id,
    ean: eanOn(meter, first),
    address: meter.address,
    issued: dayText(issuedDay),
    due: dayText(issuedDay + 20),
    period: { from: dayText(first), to: dayText(dayOf(used.end - 1)) },
    buyer: { name: customer.name, number: customer.number },
    rows,
    vatRate: "25",
    net: net.toFixed(2),
    vat: vat.toFixed(2),
    gross: gross.toFixed(2),
    rounding: payable.minus(gross).toFixed(2),
    payable: payable.toFixed(2),
  };
}

function rowsOf(kWh: string): InvoiceRow[] {
  const energy = (description: string, price: string): InvoiceRow => {
    const priceSek = new Decimal(price).div(100);
    const amount = priceSek.times(kWh).toFixed(2, Decimal.ROUND_HALF_UP);
    return {
      description,
      quantity: kWh,
      unit: "kWh",
      unitCode: "KWH",
      price,
      priceUnit: "öre/kWh",
      priceSek: priceSek.toFixed(),
      amount,
    };
  };
  const fee = "415.00";
  return [
    {
      description: "Abonnemangsavgift, säkring 63 A",
      quantity: "1",
      unit: "mån",
      unitCode: "MON",
      price: fee,
      priceUnit: "kr/mån",
      priceSek: fee,
      amount: fee,
    },
    energy("Elöverföring", "22.40"),
    energy("Energiskatt", "43.90"),
  ];
}
