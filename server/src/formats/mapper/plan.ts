import { DatePattern } from "./date-pattern.ts";
import { columnIndex, type Frame } from "./frame.ts";
import type { Mapping, ValueColumn } from "./mapping.ts";
import { minutesIn } from "./roles.ts";
import { indicesOf } from "./times.ts";
import { plain } from "./words.ts";

/** A column of values, by index. */
export interface ValuePlan {
  told: ValueColumn;
  at: number;
  /** Wide layout: the last column of the day. */
  to: number;
  header: string;
  qualityAt: number | undefined;
  /** Wide layout: the columns are labelled by times of the wall clock, not counted through the day. */
  byClock: boolean;
}

/** A mapping made ready for reading: names of columns are indices, patterns are compiled. */
export interface Plan {
  mapping: Mapping;
  headers: string[];
  width: number;
  pattern: DatePattern;
  start: number[] | undefined;
  end: number[] | undefined;
  period: number | undefined;
  meterAt: number | undefined;
  channelAt: number[];
  directionAt: number | undefined;
  typeAt: number | undefined;
  unitAt: number | undefined;
  qualityAt: number | undefined;
  values: ValuePlan[];
  descending: boolean;
  /** Single labels are ends. */
  endLabel: boolean;
  missing: Set<string>;
}

/** The plan of a mapping in which nothing is open; a text that names the missing column otherwise. */
export function planOf(mapping: Mapping, frame: Frame): Plan | string {
  const { headers, width } = frame;
  const columns = mapping.columns ?? {};
  if (mapping.date === undefined) return "date";
  const lost: string[] = [];
  const one = (role: "meter" | "direction" | "type" | "unit" | "quality" | "period"): number | undefined => {
    const name = columns[role];
    if (name === undefined) return undefined;
    const at = columnIndex(headers, name);
    if (at === undefined || at >= width) lost.push(`columns.${role} "${name}"`);
    return at;
  };
  const several = (role: "start" | "end" | "channel"): number[] | undefined => {
    const found = indicesOf(headers, columns[role]);
    if (columns[role] !== undefined && found === undefined) lost.push(`columns.${role} "${columns[role]}"`);
    return found;
  };
  const start = several("start");
  const end = several("end");
  const plan: Plan = {
    mapping,
    headers,
    width,
    pattern: new DatePattern(mapping.date),
    start: start ?? end,
    end: start === undefined ? undefined : end,
    period: one("period"),
    meterAt: one("meter"),
    channelAt: several("channel") ?? [],
    directionAt: one("direction"),
    typeAt: one("type"),
    unitAt: one("unit"),
    qualityAt: one("quality"),
    values: (columns.values ?? []).flatMap((value) => valuePlan(value, { headers, width, lost })),
    descending: mapping.order === "descending",
    endLabel: mapping.label === "end" || (start === undefined && end !== undefined),
    missing: new Set((mapping.missing ?? []).map(plain)),
  };
  if (plan.period !== undefined) plan.start = undefined;
  return lost.length > 0 ? lost.join(", ") : plan;
}

function valuePlan(
  told: ValueColumn,
  { headers, width, lost }: { headers: string[]; width: number; lost: string[] },
): ValuePlan[] {
  const at = columnIndex(headers, told.column);
  const to = told.to === undefined ? at : columnIndex(headers, told.to);
  const qualityAt = told.quality === undefined ? undefined : columnIndex(headers, told.quality);
  const lostQuality = told.quality !== undefined && qualityAt === undefined;
  if (at === undefined || to === undefined || at >= width || to >= width || to < at || lostQuality) {
    lost.push(`columns.values "${told.column}"`);
    return [];
  }
  const header = headers[at] ?? "";
  return [{ told, at, to, header, qualityAt, byClock: to > at && minutesIn(header) !== undefined }];
}
