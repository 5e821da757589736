import type { SchemaElement } from "hyparquet-writer";
import { z } from "zod";
import { endOf, periodText } from "./cells.ts";
import { type ExportRun, exportFormat, type FormatWriter } from "./format.ts";
import { anyMetrics, granularityParam, isWanted } from "./params.ts";

/** A value of a run. */
interface Row {
  run: ExportRun;
  i: number;
}

interface Column {
  element: SchemaElement;
  cell(row: Row): string | number | boolean | null;
}

const text = (name: string): SchemaElement => ({
  name,
  type: "BYTE_ARRAY",
  converted_type: "UTF8",
  logical_type: { type: "STRING" },
  repetition_type: "OPTIONAL",
});
const number = (name: string): SchemaElement => ({ name, type: "DOUBLE", repetition_type: "OPTIONAL" });
const instant = (name: string): SchemaElement => ({
  name,
  type: "INT64",
  converted_type: "TIMESTAMP_MILLIS",
  logical_type: { type: "TIMESTAMP", isAdjustedToUTC: true, unit: "MILLIS" },
  repetition_type: "REQUIRED",
});

const startOf = ({ run, i }: Row) => run.starts[i]!;
const filled = (content: string) => (content === "" ? null : content);

/** Missing in the hive layout, where the name of the folder says it. */
const granularityColumn: Column = { element: text("granularity"), cell: ({ run }) => run.granularity };

const columns: readonly Column[] = [
  { element: text("meter_id"), cell: ({ run }) => run.meter.id },
  { element: text("ean"), cell: ({ run }) => run.meter.ean },
  { element: text("name"), cell: ({ run }) => run.meter.name },
  { element: text("type"), cell: ({ run }) => run.meter.type },
  { element: text("provider_id"), cell: ({ run }) => filled(run.meter.providerId) },
  { element: text("provider_name"), cell: ({ run }) => filled(run.meter.providerName) },
  { element: text("address"), cell: ({ run }) => run.meter.address },
  { element: number("longitude"), cell: ({ run }) => run.meter.location?.[0] ?? null },
  { element: number("latitude"), cell: ({ run }) => run.meter.location?.[1] ?? null },
  { element: text("tags"), cell: ({ run }) => filled(run.meter.tags.join(",")) },
  { element: text("timezone"), cell: ({ run }) => run.meter.timezone },
  { element: text("period"), cell: (row) => periodText(row.run, startOf(row), row.run.meter.timezone) },
  { element: instant("start"), cell: startOf },
  { element: instant("end"), cell: (row) => endOf(row.run, startOf(row)) },
  { element: text("metric"), cell: ({ run }) => run.metric },
  { element: text("unit"), cell: ({ run }) => filled(run.unit) },
  { element: text("currency"), cell: ({ run }) => run.currency },
  {
    element: number("value"),
    cell: ({ run, i }) => (Number.isNaN(run.values[i]!) ? null : run.values[i]! + 0),
  },
  {
    element: { name: "updated", type: "BOOLEAN", repetition_type: "REQUIRED" },
    cell: ({ run }) => run.updated,
  },
  { element: instant("pushed_at"), cell: ({ run }) => run.pushedAt },
];

/** Parquet for DuckDB, pandas, Spark and the like: doubles, UTC timestamps, texts by dictionary. */
export const parquet = exportFormat({
  name: "ConsumptionParquet",
  title: "Consumption, Parquet",
  ending: "parquet",
  mediaType: "application/vnd.apache.parquet",
  resource: "consumption",
  params: z.strictObject({
    layout: z
      .enum(["hive", "flat"])
      .default("hive")
      .meta({
        description:
          "hive: a file for each granularity and month of the meter's calendar, in folders such as " +
          "`granularity=hour/month=2026-01/`. flat: one file, with the column granularity.",
      }),
    metrics: anyMetrics,
    granularity: granularityParam,
  }),
  // Its columns are put together in memory.
  rowsMax: 200_000,
  accepts: (metric, params) => isWanted(metric, params.metrics),
  async open({ params, create }): Promise<FormatWriter> {
    const { ByteWriter, parquetWrite } = await import("hyparquet-writer");
    const isHive = params.layout === "hive";
    const shown = isHive ? columns : [...columns, granularityColumn];
    const schema = [{ name: "root", num_children: shown.length }, ...shown.map(({ element }) => element)];
    const rowsOf = new Map<string, Row[]>();
    return {
      async write(run) {
        for (let i = 0; i < run.starts.length; i++) {
          const folder = isHive ? hiveFolder(run, run.starts[i]!) : "";
          const rows = rowsOf.get(folder);
          if (rows === undefined) rowsOf.set(folder, [{ run, i }]);
          else rows.push({ run, i });
        }
      },
      async finish() {
        for (const folder of [...rowsOf.keys()].sort()) {
          const rows = rowsOf.get(folder)!;
          const writer = new ByteWriter();
          const columnData = shown.map(({ element, cell }) => ({ name: element.name, data: rows.map(cell) }));
          await parquetWrite({ writer, columnData, schema, rowGroupSize: 100_000, createdBy: "metertree" });
          const file = await create(folder);
          await file.write(writer.getBytes());
          file.rows = rows.length;
          // There may be hundreds: they are not held open together.
          await file.close();
        }
      },
    };
  },
});

/** By the calendar of the meter, so that a month of values lies in one folder. */
function hiveFolder(run: ExportRun, start: number): string {
  const period = periodText(run, start, run.meter.timezone);
  return `granularity=${run.granularity}/month=${period.slice(0, 4)}-${period.slice(4, 6)}/`;
}
