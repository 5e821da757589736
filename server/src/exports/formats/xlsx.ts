import { z } from "zod";
import { columnNames, instantText, periodText, shownZone } from "./cells.ts";
import { type ExportRun, exportFormat, type FormatWriter } from "./format.ts";
import { anyMetrics, flag, granularityParam, isWanted, timezoneParam } from "./params.ts";

type Cell = string | number | { value: string; type: StringConstructor; fontWeight?: "bold" } | null;

const heads = [...columnNames, "Currency", "Start (UTC)"];

/** A workbook of one sheet. Texts are text cells, which a spreadsheet never takes for formulas. */
export const xlsx = exportFormat({
  name: "ConsumptionXLSX",
  title: "Consumption, Excel workbook",
  ending: "xlsx",
  mediaType: "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet",
  resource: "consumption",
  params: z.strictObject({
    header: flag(true, "Begin with a row of column names."),
    timezone: timezoneParam,
    metrics: anyMetrics,
    granularity: granularityParam,
  }),
  // A workbook is put together in memory, and a sheet has room for a million rows at most.
  rowsMax: 50_000,
  accepts: (metric, params) => isWanted(metric, params.metrics),
  async open({ params, create }): Promise<FormatWriter> {
    const { default: writeExcelFile } = await import("write-excel-file/node");
    const file = await create("");
    const rows: Cell[][] = params.header
      ? [heads.map((value) => ({ value, type: String, fontWeight: "bold" }))]
      : [];
    return {
      async write(run) {
        const zone = shownZone(run, params.timezone);
        const before = cellsBefore(run, zone);
        for (let i = 0; i < run.starts.length; i++) rows.push([...before, ...cellsOf(run, i, zone)]);
        file.rows += run.starts.length;
      },
      async finish() {
        // biome-ignore lint/suspicious/noExplicitAny: the types of the library do not know that a cell may be null
        const book = writeExcelFile(rows as any, { sheet: "Values" });
        await file.write(await book.toBuffer());
      },
    };
  },
});

/** Text as a text cell. XML has no word for control characters, so they become blanks. */
function text(value: string | null): Cell {
  if (value === null || value === "") return null;
  return { value: value.replace(/[\u0000-\u0008\u000b\u000c\u000e-\u001f\ufffe\uffff]/g, " "), type: String };
}

function cellsBefore({ meter }: ExportRun, zone: string): Cell[] {
  const [longitude, latitude] = meter.location ?? [null, null];
  return [
    text(meter.id),
    text(meter.ean),
    text(meter.name),
    text(meter.type),
    text(meter.providerId),
    text(meter.providerName),
    text(meter.address),
    longitude,
    latitude,
    text(meter.tags.join(",")),
    text(zone),
  ];
}

function cellsOf(run: ExportRun, i: number, zone: string): Cell[] {
  const start = run.starts[i]!;
  const value = run.values[i]!;
  return [
    text(periodText(run, start, zone)),
    text(run.metric),
    text(run.unit === "" ? "cost" : run.unit),
    Number.isNaN(value) ? null : value,
    text(run.currency),
    text(instantText(start)),
  ];
}
