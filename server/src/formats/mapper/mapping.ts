import { z } from "zod";
import { isZone } from "../../platform/time/zone.ts";
import { encodings } from "../text.ts";
import { unitOf } from "../units.ts";
import { DatePattern } from "./date-pattern.ts";

const qualities = ["measured", "estimated", "calculated", "substituted", "missing", "unknown"] as const;
const directions = ["consumption", "production", "net", "unknown"] as const;
const types = ["electricity", "heat", "cooling", "gas", "hot_water", "water", "sensor"] as const;
const kinds = ["interval", "register", "mean power"] as const;

/** A column: its number from 1, or its header (in any case; the last part of a header of two rows is enough). */
const column = z.union([z.int().min(1).max(1024), z.string().min(1).max(200)]);
/** One column, or several whose texts are put together with a blank: a date and a time of day. */
const columnsJoined = z.union([column, z.array(column).min(1).max(4)]);
const words = z.record(z.string().max(200), z.string().max(100));
const unit = z
  .string()
  .max(40)
  .refine((text) => unitOf(text) !== undefined, { error: "is no unit that we know" });
const zone = z.string().max(64).refine(isZone, { error: "is no IANA time zone, as in Europe/Helsinki" });

function isPattern(text: string): boolean {
  try {
    new DatePattern(text);
    return true;
  } catch {
    return false;
  }
}

/** A column of values, or the first and the last column of a day in the wide layout. */
const valueColumn = z.strictObject({
  column,
  /** Wide layout: the last column of the day. */
  to: column.optional(),
  unit: unit.optional(),
  type: z.enum(types).optional(),
  metric: z
    .string()
    .regex(/^[a-z][a-z0-9_]{0,39}$/)
    .optional(),
  direction: z.enum(directions).optional(),
  values: z.enum(kinds).optional(),
  /** Name of the channel; the header unless stated. */
  channel: z.string().max(100).optional(),
  /** Column that says how sure this value is; `columns.quality` unless stated. */
  quality: column.optional(),
});

const columns = z.strictObject({
  start: columnsJoined.optional(),
  end: columnsJoined.optional(),
  /** One column that prints start and end: `2024-01-01 00:00 to 2024-01-01 01:00`. */
  period: column.optional(),
  meter: column.optional(),
  channel: columnsJoined.optional(),
  direction: column.optional(),
  type: column.optional(),
  unit: column.optional(),
  quality: column.optional(),
  values: z.array(valueColumn).min(1).max(200).optional(),
});

/**
 * How a table is to be read. Every key but `version` may be left out: it is then found out from the file, or, when
 * the file does not show it, asked for by name. The manual page `docs/mapping.md` describes each key.
 */
export const mappingSchema = z.strictObject({
  version: z.literal(1),
  /** For people: what this mapping is for. */
  name: z.string().max(200).optional(),
  encoding: z.enum(encodings).optional(),
  delimiter: z.enum([",", ";", "\t", "|"]).optional(),
  /** Name of the sheet of a workbook. */
  sheet: z.string().max(100).optional(),
  /** Lines above the header. */
  skipLines: z.int().min(0).max(1000).optional(),
  headerRows: z.int().min(0).max(2).optional(),
  layout: z.enum(["long", "wide"]).optional(),
  decimal: z.enum([".", ","]).optional(),
  /** Between groups of three digits; "" for none. */
  thousands: z.enum(["", ".", ",", " ", "'"]).optional(),
  /** Pattern of the labels, see `DatePattern`. */
  date: z
    .string()
    .max(64)
    .refine(isPattern, { error: "is no date pattern, as in dd.MM.yyyy HH:mm" })
    .optional(),
  timezone: zone.optional(),
  label: z.enum(["start", "end"]).optional(),
  order: z.enum(["ascending", "descending"]).optional(),
  /** Seconds from one value to the next, or the calendar unit. */
  interval: z.union([z.literal([300, 600, 900, 1800, 3600]), z.literal(["day", "month"])]).optional(),
  columns: columns.optional(),
  /** Meter of a file that has no column for it. */
  meter: z.string().max(100).optional(),
  type: z.enum(types).optional(),
  metric: z
    .string()
    .regex(/^[a-z][a-z0-9_]{0,39}$/)
    .optional(),
  unit: unit.optional(),
  direction: z.enum(directions).optional(),
  values: z.enum(kinds).optional(),
  /** Rows that sum up others: left out, or refused. */
  totals: z.enum(["skip", "refuse"]).optional(),
  /** Further texts that mean "no value". */
  missing: z.array(z.string().max(200)).max(50).optional(),
  /** What the texts of the columns mean, beside the words that we know. */
  qualities: z.record(z.string().max(200), z.enum(qualities)).optional(),
  directions: z.record(z.string().max(200), z.enum(directions)).optional(),
  types: z.record(z.string().max(200), z.enum(types)).optional(),
  units: words.optional(),
});

/** How a table is to be read, whole or in part. */
export type Mapping = z.infer<typeof mappingSchema>;
export type MappingColumns = NonNullable<Mapping["columns"]>;
export type ValueColumn = z.infer<typeof valueColumn>;
export type ColumnName = z.infer<typeof column>;
export type ValueKind = (typeof kinds)[number];

/** The mapping of a caller: checked, or the list of what is wrong with it. */
export function parseMapping(told: unknown): { mapping: Mapping } | { errors: string[] } {
  if (told === undefined) return { mapping: { version: 1 } };
  const parsed = mappingSchema.safeParse(told);
  if (parsed.success) return { mapping: parsed.data };
  const errors = parsed.error.issues.slice(0, 20).map((issue) => {
    const path = issue.path.join(".");
    return path === "" ? issue.message : `${path}: ${issue.message}`;
  });
  return { errors };
}

/** `over` laid on `under`: every key that it has wins; columns are joined role by role. */
export function joined(under: Mapping, over: Mapping): Mapping {
  const { period, ...rest } = under.columns ?? {};
  const told = over.columns ?? {};
  const timesTold = told.start !== undefined || told.end !== undefined;
  const columnsJoinedUp = { ...rest, ...(timesTold || period === undefined ? {} : { period }), ...told };
  const result: Mapping = { ...under, ...over };
  if (Object.keys(columnsJoinedUp).length > 0) result.columns = columnsJoinedUp;
  return result;
}
