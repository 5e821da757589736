import { z } from "zod";
import { columnNames, instantText, periodText, shownZone } from "./cells.ts";
import { type ExportRun, exportFormat, type FormatWriter } from "./format.ts";
import { anyMetrics, flag, granularityParam, isWanted, timezoneParam } from "./params.ts";
import { type Cell, headRow, textCell, workbookOf } from "./workbook.ts";

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
    const file = await create("");
    const rows: Cell[][] = params.header ? [headRow(heads)] : [];
    return {
      async write(run) {
        const zone = shownZone(run, params.timezone);
        const before = cellsBefore(run, zone);
        for (let i = 0; i < run.starts.length; i++) rows.push([...before, ...cellsOf(run, i, zone)]);
        file.rows += run.starts.length;
      },
      async finish() {
        await file.write(await workbookOf("Values", rows));
      },
    };
  },
});

function cellsBefore({ meter }: ExportRun, zone: string): Cell[] {
  const [longitude, latitude] = meter.location ?? [null, null];
  return [
    textCell(meter.id),
    textCell(meter.ean),
    textCell(meter.name),
    textCell(meter.type),
    textCell(meter.providerId),
    textCell(meter.providerName),
    textCell(meter.address),
    longitude,
    latitude,
    textCell(meter.tags.join(",")),
    textCell(zone),
  ];
}

function cellsOf(run: ExportRun, i: number, zone: string): Cell[] {
  const start = run.starts[i]!;
  const value = run.values[i]!;
  return [
    textCell(periodText(run, start, zone)),
    textCell(run.metric),
    textCell(run.unit === "" ? "cost" : run.unit),
    Number.isNaN(value) ? null : value,
    textCell(run.currency),
    textCell(instantText(start)),
  ];
}
