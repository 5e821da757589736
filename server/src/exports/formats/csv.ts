import { stringify } from "csv-stringify/sync";
import { z } from "zod";
import {
  bareMetric,
  columnNames,
  instantText,
  periodText,
  plainNumber,
  shownZone,
  spreadsheetSafe,
} from "./cells.ts";
import type { ExportRun, FormatContext, FormatWriter } from "./format.ts";
import { flag, timezoneParam } from "./params.ts";

/** Rows that are made into text at once. */
const rowsAtOnce = 2_000;

/** Parameters that both CSV formats have. */
export const csvParams = {
  delimiter: z
    .enum([";", ",", "\t", "|"])
    .default(";")
    .meta({ description: "What stands between two cells." }),
  decimal_mark: z
    .enum([".", ","])
    .default(".")
    .meta({ description: "Decimal mark of values and coordinates." }),
  header: flag(false, "Begin with a row of column names."),
  timezone: timezoneParam,
  start: flag(false, "Add the column Start: the start of the value in UTC, unambiguous in autumn."),
  spreadsheet_safe: flag(
    false,
    "Put an apostrophe before texts that a spreadsheet would take for a formula. Off, texts stay as they are.",
  ),
} as const;

interface CsvParams {
  delimiter: string;
  decimal_mark: string;
  header: boolean;
  timezone: string | null;
  start: boolean;
  spreadsheet_safe: boolean;
  currency?: boolean;
}

/** Writes the fifteen columns of the contract, and those that were asked for besides. */
export async function openCsv({ params, create }: FormatContext<CsvParams>): Promise<FormatWriter> {
  const file = await create("");
  const text = (rows: readonly string[][]) =>
    stringify(rows as string[][], { delimiter: params.delimiter, record_delimiter: "\n" });
  if (params.header) await file.write(text([headerOf(params)]));
  return {
    async write(run) {
      const before = cellsBefore(run, params);
      const after = params.currency === true ? [run.currency ?? ""] : [];
      for (let from = 0; from < run.starts.length; from += rowsAtOnce) {
        const rows: string[][] = [];
        const to = Math.min(run.starts.length, from + rowsAtOnce);
        for (let i = from; i < to; i++) rows.push(rowOf(run, i, { before, after, params }));
        await file.write(text(rows));
        file.rows += rows.length;
      }
    },
    async finish() {},
  };
}

function headerOf({ currency, start }: CsvParams): string[] {
  return [...columnNames, ...(currency === true ? ["Currency"] : []), ...(start ? ["Start"] : [])];
}

/** The cells that all values of a run share. */
function cellsBefore({ meter, ...run }: ExportRun, params: CsvParams): string[] {
  const plain = (text: string | null) =>
    text === null ? "" : params.spreadsheet_safe ? spreadsheetSafe(text) : text;
  const [longitude, latitude] = meter.location ?? [null, null];
  const number = (value: number | null) => (value === null ? "" : marked(value, params.decimal_mark));
  return [
    meter.id,
    plain(meter.ean),
    plain(meter.name),
    meter.type,
    meter.providerId,
    plain(meter.providerName),
    plain(meter.address),
    number(longitude),
    number(latitude),
    plain(meter.tags.join(",")),
    shownZone({ meter, ...run }, params.timezone),
  ];
}

function rowOf(
  run: ExportRun,
  i: number,
  { before, after, params }: { before: string[]; after: string[]; params: CsvParams },
): string[] {
  const start = run.starts[i]!;
  const value = run.values[i]!;
  const zone = before.at(-1)!;
  return [
    ...before,
    periodText(run, start, zone),
    bareMetric(run.metric),
    run.unit === "" ? "cost" : run.unit,
    Number.isNaN(value) ? "" : marked(value, params.decimal_mark),
    ...after,
    ...(params.start ? [instantText(start)] : []),
  ];
}

function marked(value: number, mark: string): string {
  const text = plainNumber(value);
  return mark === "." ? text : text.replace(".", mark);
}
