import { z } from "zod";
import { ownMeter, rootMeters } from "../meters/meters.ts";
import type { Queryable } from "../platform/db.ts";
import type { Caller } from "../platform/http/endpoint.ts";
import { id } from "../platform/http/schema.ts";
import { invalid, Problem } from "../platform/problem.ts";
import { costNames } from "../series/series.ts";
import { contractOf, type DraftRow, draftOf, periodOfText } from "./draft.ts";
import {
  type Corrections,
  contractTypes,
  type Invoice,
  type ResultCorrection,
  type RowCorrection,
  type Substance,
} from "./invoice.ts";
import { writableHolders } from "./link.ts";

const resultCorrection = z.object({
  ean: z.string().max(100).nullable().default(null).meta({
    description: "Metering point as the document names it; null for the rows that name none.",
  }),
  invoice_number: z.string().max(200).optional().meta({
    description: "Only in the invoice of this number, for documents with several.",
  }),
  meter: id().nullable(),
});

const rowCorrection = z.object({
  row: z.string().max(24).meta({ description: "`_id` of the row." }),
  contract_type: z.enum(contractTypes).nullable().optional(),
  metric: z.enum(costNames).nullable().optional(),
  period: z
    .string()
    .refine(
      (text) => periodOfText(text) !== undefined,
      "must be first and last day, such as 20190101-20190131",
    )
    .nullable()
    .optional(),
});

/** What people say of an invoice; `null` takes back what was said before. */
export const correction = z.object({
  results: z.array(resultCorrection).max(1_000).default([]),
  rows: z.array(rowCorrection).max(20_000).default([]),
});

type Said = z.output<typeof correction>;

/**
 * The corrections of an invoice after some more.
 * @throws Problem that names the wrong field; 404 for a meter that the caller does not have, 403 for one that the
 * account of the invoice may not write
 */
export async function correctionsAfter(
  db: Queryable,
  { who, invoice }: { who: Caller; invoice: Invoice & Substance },
  said: Said,
): Promise<Corrections> {
  const { bills, results } = draftOf(invoice.id, invoice.parsed ?? [], invoice.corrections);
  const kept: Corrections = structuredClone(invoice.corrections);
  const places = results.map(({ ean, bill }) => ({ ean, number: bills[bill]!.number }));
  for (const [i, each] of said.results.entries()) {
    const number = each.invoice_number ?? null;
    const isThere = places.some(
      (place) => place.ean === each.ean && (number === null || place.number === number),
    );
    if (!isThere) throw invalid(`results.${i}.ean`, "is no metering point of this invoice");
    const meter = each.meter === null ? null : await writableRoot(db, { who, invoice }, each.meter);
    kept.results = withResult(kept.results, { ean: each.ean, invoice_number: number, meter });
  }
  const byId = new Map(results.flatMap(({ rows }) => rows).map((row) => [row.id, row]));
  for (const [i, each] of said.rows.entries()) {
    const row = byId.get(each.row);
    if (row === undefined) throw invalid(`rows.${i}.row`, "is no row of this invoice");
    kept.rows = withRow(kept.rows, row, checked(each, i));
  }
  return kept;
}

async function writableRoot(
  db: Queryable,
  { who, invoice }: { who: Caller; invoice: Invoice },
  meterId: string,
): Promise<string> {
  const { root_id } = await ownMeter(db, who.accountId, meterId);
  const [root] = await rootMeters(db, [root_id]);
  if (root !== undefined && (await writableHolders(db, invoice.account_id)).includes(root.holderId))
    return root_id;
  throw new Problem(
    "forbidden",
    `Meter ${meterId} is not held by the account of the invoice: costs are written by the account that holds a meter, or the one that manages it`,
  );
}

function withResult(
  kept: readonly ResultCorrection[],
  { meter, ...place }: Omit<ResultCorrection, "meter"> & { meter: string | null },
): ResultCorrection[] {
  const others = kept.filter(
    (each) => each.ean !== place.ean || each.invoice_number !== place.invoice_number,
  );
  return meter === null ? others : [...others, { ...place, meter }];
}

/** A metric and a contract type that were said together fit each other. */
function checked(said: Said["rows"][number], i: number): Said["rows"][number] {
  const { metric, contract_type } = said;
  if (metric != null && contract_type != null && contractOf(metric) !== contract_type)
    throw invalid(`rows.${i}.metric`, `is no cost of the contract type ${contract_type}`);
  return said;
}

function withRow(kept: readonly RowCorrection[], row: DraftRow, said: Said["rows"][number]): RowCorrection[] {
  const before = kept.find((each) => each.row === row.id && each.description === row.description);
  const after: RowCorrection = { row: row.id, description: row.description };
  // A metric says the contract type, and another contract type than that of a metric said before takes it back.
  const contractType =
    said.contract_type === undefined && said.metric == null ? before?.contract_type : said.contract_type;
  const fits = contractType == null || contractOf(before?.metric ?? null) === contractType;
  const metric = said.metric === undefined ? (fits ? before?.metric : null) : said.metric;
  const period = said.period === undefined ? before?.period : said.period;
  if (contractType != null) after.contract_type = contractType;
  if (metric != null) after.metric = metric;
  if (period != null) after.period = period;
  const others = kept.filter((each) => each.row !== row.id);
  return Object.keys(after).length === 2 ? others : [...others, after];
}
