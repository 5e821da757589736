import { readdirSync, readFileSync } from "node:fs";
import { basename, join } from "node:path";
import { asyncBufferFromFile, parquetReadObjects } from "hyparquet";
import { type Held, keyOf } from "../held.ts";

/** All files below a folder, in the order of their names without the folders: that of the batches. */
export function filesIn(folder: string, ending: string): string[] {
  return readdirSync(folder, { recursive: true, encoding: "utf8" })
    .filter((name) => name.endsWith(ending))
    .sort((a, b) => (basename(a) < basename(b) ? -1 : 1))
    .map((name) => join(folder, name));
}

const granularityOf: Record<number, string> = { 6: "month", 8: "day", 10: "hour" };

/** What files of the format ConsumptionCSV add up to; they were written with the column Start. */
export function heldInCsv(files: readonly string[]): Held {
  const held: Held = new Map();
  for (const file of files) {
    for (const line of readFileSync(file, "utf8").split("\n")) {
      if (line === "") continue;
      // Names may hold semicolons; what is read here stands before and behind them.
      const cells = line.split(";");
      const [period, metric, , value, start] = cells.slice(-5) as [string, string, string, string, string];
      const granularity = granularityOf[period.length]!;
      const key = keyOf({ meter: cells[0]!, metric, currency: "", granularity, start });
      if (value === "") held.delete(key);
      else held.set(key, Number(value));
    }
  }
  return held;
}

/** What Parquet files add up to. */
export async function heldInParquet(files: readonly string[]): Promise<Held> {
  const held: Held = new Map();
  for (const file of files) {
    const columns = ["meter_id", "metric", "currency", "start", "value"];
    const rows = await parquetReadObjects({ file: await asyncBufferFromFile(file), columns });
    const granularity = /granularity=(\w{3,10})/.exec(file)![1]!;
    for (const { meter_id, metric, currency, start, value } of rows as Record<string, string>[]) {
      const key = keyOf({
        meter: meter_id!,
        metric: metric!,
        currency: currency ?? "",
        granularity,
        start: start!,
      });
      if (value === null) held.delete(key);
      else held.set(key, Number(value));
    }
  }
  return held;
}
