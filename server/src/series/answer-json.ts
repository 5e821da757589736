import type { Period } from "../platform/time/period.ts";
import { formatTimestamp } from "../platform/time/timestamp.ts";
import type { JsonBytes } from "../platform/value-json.ts";
import { type Grid, pointsOf } from "./grid.ts";
import { describeFlags } from "./workspace.ts";

/** One metric of an element, per period. */
export interface Column {
  name: string;
  /** Absent: nothing is stored, the answer is all null. */
  values?: readonly Float64Array[] | undefined;
  flags?: readonly Uint8Array[] | undefined;
  /** For sums: members that have a value, of so many. */
  present?: readonly Int32Array[] | undefined;
  expected?: number | undefined;
}

/** One element of `data`: a meter, a tree node or a sum. */
export interface Element {
  /** Members that come first: `meter_id`, `tree_id`, `account_id`, `currency`. */
  ids: Record<string, string | null>;
  grids: readonly (Grid | null)[];
  periods: readonly Period[];
  columns: readonly Column[];
  origin: boolean;
  status: boolean;
}

/**
 * Writes `data` of a consumption or cost answer: per element its ids and `periods`, each with `start_date`,
 * `end_date` (its last second, UTC) and an array per metric with one value or null per granule.
 */
export function writeElements(json: JsonBytes, elements: readonly Element[]): void {
  json.raw("[");
  for (const [i, element] of elements.entries()) {
    json.raw(i === 0 ? "{" : ",{");
    for (const [name, value] of Object.entries(element.ids)) {
      json.raw(`"${name}":${JSON.stringify(value)},`);
    }
    json.raw('"periods":[');
    for (const [p] of element.periods.entries()) {
      if (p > 0) json.raw(",");
      writePeriod(json, element, p);
    }
    json.raw("]}");
  }
  json.raw("]");
}

function writePeriod(json: JsonBytes, element: Element, p: number): void {
  const { from, to } = element.periods[p]!;
  json.raw(`{"start_date":"${formatTimestamp(from)}","end_date":"${formatTimestamp(to - 1000)}"`);
  const points = pointsOf(element.grids[p]!);
  for (const column of element.columns) {
    json.raw(`,"${column.name}":`);
    writeValues(json, column.values?.[p], points);
    if (column.expected !== undefined) {
      json.raw(`,"${column.name}_quality":`);
      writeValues(json, shares(column.present?.[p], column.expected, points), points);
    }
    const flags = column.flags?.[p];
    const values = column.values?.[p];
    if (element.origin)
      writeWords(json, `${column.name}_origin`, points, (i) => flagWord(values, flags, i, "origin"));
    if (element.status)
      writeWords(json, `${column.name}_status`, points, (i) => flagWord(values, flags, i, "quality"));
  }
  json.raw("}");
}

function writeValues(json: JsonBytes, values: Float64Array | undefined, points: number): void {
  if (values !== undefined) {
    json.values(values);
    return;
  }
  json.raw(points === 0 ? "[]" : `[${"null,".repeat(points - 1)}null]`);
}

/** Values present / values expected; 0 when nothing is there, 1 only when nothing is missing. */
function shares(present: Int32Array | undefined, expected: number, points: number): Float64Array {
  if (present === undefined || expected === 0) return new Float64Array(points);
  return Float64Array.from(present, (count) => {
    if (count === 0 || count === expected) return count / expected;
    return Math.min(9_999, Math.max(1, Math.round((count / expected) * 10_000))) / 10_000;
  });
}

function writeWords(
  json: JsonBytes,
  name: string,
  points: number,
  word: (index: number) => string | null,
): void {
  json.raw(`,"${name}":${JSON.stringify(Array.from({ length: points }, (_, i) => word(i)))}`);
}

function flagWord(
  values: Float64Array | undefined,
  flags: Uint8Array | undefined,
  index: number,
  what: "origin" | "quality",
): string | null {
  if (values === undefined || flags === undefined || Number.isNaN(values[index]!)) return null;
  return describeFlags(flags[index]!)[what];
}
