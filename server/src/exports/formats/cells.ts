import { decimalOf } from "../../platform/decimal.ts";
import { granuleEnd, granuleLabel } from "../../platform/time/granule.ts";
import type { ExportRun } from "./format.ts";

/** Columns of every table, in the order of the Metry files. */
export const columnNames = [
  "Meter ID",
  "EAN",
  "Name",
  "Type",
  "Provider ID",
  "Provider Name",
  "Address",
  "Longitude",
  "Latitude",
  "Tags",
  "Timezone",
  "Period",
  "Metric",
  "Unit",
  "Value",
] as const;

/** The decimal without an exponent, as short as it is exact: `0.0000001`, not `1e-7`. */
export function plainNumber(value: number): string {
  const text = String(value);
  if (!text.includes("e")) return text;
  const { m, e } = decimalOf(value);
  const digits = String(m)
    .replace("-", "")
    .padStart(e + 1, "0");
  const whole = digits.slice(0, digits.length - e);
  const sign = value < 0 ? "-" : "";
  return e === 0 ? sign + whole : `${sign}${whole}.${digits.slice(digits.length - e)}`;
}

/** Starts of 15 minutes, hours and the like are shown in the zone that was asked for; days and months are the meter's. */
export function shownZone(run: ExportRun, wanted: string | null): string {
  const calendar = run.granularity === "day" || run.granularity === "month";
  return wanted === null || calendar ? run.meter.timezone : wanted;
}

/** `201403`, `20140309`, `2014030917` or `201403091745`: the start of a value by the wall clock of `zone`. */
export function periodText(run: ExportRun, start: number, zone: string): string {
  return granuleLabel(run.granularity, zone, start);
}

/** End of the value that begins at `start`, epoch milliseconds. */
export function endOf(run: ExportRun, start: number): number {
  return granuleEnd(run.granularity, run.meter.timezone, start);
}

/** `2014-03-09T16:00:00Z`: unambiguous also where the wall clock repeats an hour. */
export function instantText(at: number): string {
  return `${new Date(at).toISOString().slice(0, 19)}Z`;
}

/** The name without the prefix of costs, as the cost files and `/costs` have it. */
export function bareMetric(metric: string): string {
  return metric.startsWith("cost_") ? metric.slice("cost_".length) : metric;
}

/** Text that a spreadsheet would take for a formula gets an apostrophe in front. */
export function spreadsheetSafe(text: string): string {
  return /^[=+\-@\t\r\n\uff1d\uff0b\uff0d\uff20]/.test(text) ? `'${text}` : text;
}
