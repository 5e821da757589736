import { unitOf } from "../units.ts";
import type { Decisions } from "./decisions.ts";
import { columnIndex, type Frame, timeShapeOf } from "./frame.ts";
import type { ColumnName, Mapping, MappingColumns, ValueColumn } from "./mapping.ts";
import { shapeOf } from "./numbers.ts";
import {
  channelWords,
  costWords,
  directionOf,
  directionWords,
  endWords,
  isMissing,
  meterWords,
  plain,
  qualityOf,
  qualityWords,
  says,
  startWords,
  totalWords,
  typeOf,
  typeWords,
  unitIn,
  unitWords,
  valueWords,
} from "./words.ts";

/** What the cells of one column look like in the sample. */
interface ColumnLook {
  at: number;
  header: string;
  /** Cells that are not empty. */
  cells: string[];
  distinct: Set<string>;
  dates: number;
  times: number;
  periods: number;
  numbers: number;
  /** Cells that are numbers or stand for "no value". */
  numbersOrMissing: number;
}

/** Counts of columns in one local day, with the length of one column in seconds. */
const daySizes = new Map([
  [23, 3600],
  [24, 3600],
  [25, 3600],
  [46, 1800],
  [48, 1800],
  [50, 1800],
  [92, 900],
  [96, 900],
  [100, 900],
  [144, 600],
  [288, 300],
]);

/** Seconds of one column when `count` columns make a day; undefined for other counts. */
export function secondsOfDayColumns(count: number): number | undefined {
  return daySizes.get(count);
}

/** Finds the layout and the role of each column; what was told stays. */
export function rolesOf(frame: Frame, told: Mapping, decisions: Decisions): Mapping {
  const looks = Array.from({ length: frame.width }, (_, at) => lookAt(frame, at));
  const name = (at: number): ColumnName => nameOf(frame.headers, at);
  const groups = told.layout === "long" ? [] : dayGroups(looks, frame);
  const layout = told.layout ?? (groups.length > 0 ? "wide" : "long");
  const taken = new Set<number>(groups.flatMap((group) => range(group.from, group.to)));
  const columns: MappingColumns = {};
  timeRoles(looks, { wide: layout === "wide", taken, columns, name, told });
  for (const at of toldIndices(frame, told)) taken.add(at);
  textRoles(looks, { taken, columns, name, told });
  if (told.columns?.values === undefined) {
    if (layout === "wide") {
      columns.values = groups.map(({ from, to }) => ({ column: name(from), to: name(to) }));
    } else {
      const values = valueColumns(looks, taken, decisions);
      if (values.length > 0)
        columns.values = values.map((look) => ({
          column: name(look.at),
          ...qualityBeside(looks, look, name),
        }));
    }
  }
  if (told.layout === undefined) {
    const reason = layout === "wide" ? "a row holds the values of a day" : "a row holds one point in time";
    decisions.seen("layout", layout, reason);
  }
  return { version: 1, layout, columns };
}

/** A column's header when it is unmistakable, else its number. */
function nameOf(headers: string[], at: number): ColumnName {
  const header = headers[at] ?? "";
  return header !== "" &&
    header.length <= 200 &&
    columnIndex(headers, header) === at &&
    headers.filter((other) => plain(other) === plain(header)).length === 1
    ? header
    : at + 1;
}

function lookAt(frame: Frame, at: number): ColumnLook {
  const look: ColumnLook = {
    at,
    header: frame.headers[at] ?? "",
    cells: [],
    distinct: new Set(),
    dates: 0,
    times: 0,
    periods: 0,
    numbers: 0,
    numbersOrMissing: 0,
  };
  for (const row of frame.data.slice(0, 200)) {
    const cell = row.cells[at]?.trim() ?? "";
    if (cell === "") continue;
    look.cells.push(cell);
    look.distinct.add(cell);
    const number = shapeOf(cell) !== undefined;
    if (number) look.numbers++;
    if (number || isMissing(cell)) look.numbersOrMissing++;
    const shape = timeShapeOf(cell, undefined);
    if (shape === "date") look.dates++;
    else if (shape === "time") look.times++;
    else if (shape === "period") look.periods++;
  }
  return look;
}

const most = (part: number, look: ColumnLook): boolean =>
  look.cells.length > 0 && part >= look.cells.length * 0.8;

interface Giving {
  taken: Set<number>;
  columns: MappingColumns;
  name: (at: number) => ColumnName;
  told: Mapping;
}

/** Start, end and period: by the shape of the cells, then by headers, then by order. */
function timeRoles(
  looks: ColumnLook[],
  { wide, taken, columns, name, told }: Giving & { wide: boolean },
): void {
  const groups: number[][] = [];
  for (let at = 0; at < looks.length; at++) {
    const look = looks[at]!;
    if (taken.has(at)) continue;
    if (most(look.periods, look)) {
      columns.period = name(at);
      taken.add(at);
      return;
    }
    if (!most(look.dates, look)) continue;
    const beside = looks[at + 1];
    const joined =
      beside !== undefined && most(beside.times, beside) && !look.cells.some((cell) => cell.includes(":"));
    groups.push(joined ? [at, at + 1] : [at]);
    if (joined) at++;
  }
  for (const at of groups.flat()) taken.add(at);
  if (told.columns?.start !== undefined || told.columns?.end !== undefined) return;
  const header = (group: number[]): string => group.map((at) => looks[at]!.header).join(" ");
  const as = (group: number[]): ColumnName | ColumnName[] =>
    group.length === 1 ? name(group[0]!) : group.map(name);
  const [first, second] = groups;
  if (first === undefined) return;
  if (wide || second === undefined) {
    if (!wide && says(header(first), endWords) && !says(header(first), startWords)) columns.end = as(first);
    else columns.start = as(first);
    return;
  }
  const start = groups.find((group) => says(header(group), startWords)) ?? first;
  const end = groups.find((group) => group !== start && says(header(group), endWords));
  columns.start = as(start);
  if (end !== undefined) columns.end = as(end);
}

/** Meter, register, unit, quality, type and direction: by headers and by what the cells say. */
function textRoles(looks: ColumnLook[], { taken, columns, name, told }: Giving): void {
  const free = (): ColumnLook[] => looks.filter((look) => !taken.has(look.at));
  const give = (
    role: "meter" | "unit" | "quality" | "type" | "channel" | "direction",
    look: ColumnLook | undefined,
  ): void => {
    if (look === undefined) return;
    taken.add(look.at);
    if (told.columns?.[role] === undefined) columns[role] ??= name(look.at);
  };
  const all = (look: ColumnLook, test: (cell: string) => boolean): boolean =>
    look.cells.length > 0 && [...look.distinct].every(test);
  give(
    "unit",
    free().find(
      (look) =>
        (says(look.header, unitWords) || look.header === "") &&
        all(look, (cell) => unitOf(cell) !== undefined),
    ),
  );
  give("meter", meterColumn(free()));
  for (const look of free()) {
    const known = all(look, (cell) => qualityOf(cell) !== undefined) && look.numbers < look.cells.length;
    if (says(look.header, qualityWords) && (known || look.numbers === 0)) give("quality", look);
  }
  give(
    "type",
    free().find(
      (look) =>
        says(look.header, typeWords) &&
        all(look, (cell) => typeOf(cell) !== undefined && shapeOf(cell) === undefined),
    ),
  );
  give(
    "channel",
    free().find((look) => says(look.header, channelWords) && !most(look.numbers, look)),
  );
  give(
    "direction",
    free().find((look) => says(look.header, directionWords)),
  );
}

/** Strong header words, then cells of 13 or 18 digits as metering points have them, then weaker words. */
function meterColumn(looks: ColumnLook[]): ColumnLook | undefined {
  const byWords = (at: number): ColumnLook | undefined =>
    looks.find(
      (look) =>
        says(look.header, meterWords[at]!) &&
        !look.cells.some((cell) => /^\d+[.,]\d+$/.test(cell.slice(0, 40))),
    );
  const digits = looks.find(
    (look) =>
      look.cells.length > 0 && look.cells.every((cell) => /^(\d{13}|\d{18})$/.test(cell.slice(0, 20))),
  );
  return byWords(0) ?? digits ?? byWords(1) ?? byWords(2);
}

/** Columns of values in the long layout. */
function valueColumns(looks: ColumnLook[], taken: Set<number>, decisions: Decisions): ColumnLook[] {
  const free = looks.filter((look) => !taken.has(look.at) && !says(look.header, costWords));
  const named = free.filter((look) => {
    const byName =
      unitIn(look.header) !== undefined ||
      says(look.header, valueWords) ||
      directionOf(look.header) !== "unknown";
    return byName && (look.numbersOrMissing >= look.cells.length * 0.5 || mostlyOneText(look));
  });
  // A total beside its parts would count everything twice.
  const parts = named.filter((look) => !says(look.header, totalWords));
  if (parts.length > 0) {
    const left = free
      .filter((look) => !parts.includes(look) && most(look.numbers, look))
      .map((look) => `"${look.header}"`);
    if (left.length > 0)
      decisions.seen("columns", `without ${left.join(", ")}`, "not named like a value, or a total");
    return parts;
  }
  if (named.length > 0) return named;
  const numeric = free.filter((look) => most(look.numbersOrMissing, look) && !isIdentifier(look));
  if (numeric.length <= 1) return numeric;
  const names = numeric.map((look) => `"${look.header || look.at + 1}"`).join(", ");
  decisions.open(
    "columns.values",
    `some of ${names}`,
    "Several columns hold numbers and none is named like a measured value.",
  );
  return [];
}

/** A column in which one sentence stands in place of numbers all through the sample. */
function mostlyOneText(look: ColumnLook): boolean {
  return (
    look.distinct.size === 1 && look.numbers === 0 && look.cells.length > 1 && look.cells[0]!.length > 12
  );
}

/** Long whole numbers that never change are names of something, not values. */
function isIdentifier(look: ColumnLook): boolean {
  return look.distinct.size === 1 && /^\d{6,}$/.test(look.cells[0] ?? "");
}

/** The quality column to the right of a value column, when there are several of them. */
function qualityBeside(
  looks: ColumnLook[],
  value: ColumnLook,
  name: (at: number) => ColumnName,
): Partial<ValueColumn> {
  const all = looks.filter((look) => says(look.header, qualityWords) && look.numbers === 0);
  if (all.length < 2) return {};
  const next = all.find((look) => look.at > value.at);
  return next === undefined ? {} : { quality: name(next.at) };
}

/** Columns first to last of one day. */
interface DayGroup {
  from: number;
  to: number;
}

/** The hour and minute of a column header such as [00:30], 0030, 00:30:00 or 24:00, in minutes; undefined for others. */
export function minutesIn(header: string): number | undefined {
  const found = /^[^\p{L}\d]{0,3}(\d{1,2})([:.h]?)(\d{2})(?::00)?\]?$/u.exec(header.trim().slice(0, 40));
  if (found === null || (found[2] === "" && found[1]!.length < 2)) return undefined;
  const [hour, minute] = [Number(found[1]), Number(found[3])];
  return minute < 60 && (hour < 24 || (hour === 24 && minute === 0)) ? hour * 60 + minute : undefined;
}

/** Runs of columns that hold the values of one day: headers are times or count up, or there is no header at all. */
function dayGroups(looks: ColumnLook[], frame: Frame): DayGroup[] {
  const groups: DayGroup[] = [];
  let from = 0;
  while (from < looks.length) {
    const to = runEnd(looks, from);
    if (to - from + 1 >= 23 && daySizes.has(to - from + 1)) groups.push({ from, to });
    from = to + 1;
  }
  if (groups.length > 0 || frame.headerRows > 0) return groups;
  const after = looks.slice(frame.dateColumn + 1);
  const numeric = after.every((look) => look.numbersOrMissing === look.cells.length);
  if (!numeric || !daySizes.has(after.length)) return [];
  return [{ from: frame.dateColumn + 1, to: looks.length - 1 }];
}

/** The last column of the run of headers that begins at `from`. */
function runEnd(looks: ColumnLook[], from: number): number {
  let to = from;
  while (to + 1 < looks.length && follows(looks[to]!.header, looks[to + 1]!.header)) to++;
  return to;
}

function follows(header: string, next: string): boolean {
  const [a, b] = [minutesIn(header), minutesIn(next)];
  if (a !== undefined && b !== undefined) {
    const step = (b - a + 1440) % 1440;
    return step === 5 || step === 10 || step === 15 || step === 30 || step === 60;
  }
  const [stem, count] = counterOf(header);
  const [nextStem, nextCount] = counterOf(next);
  return count !== undefined && stem === nextStem && nextCount === count + 1;
}

/** `kWh_12` is the stem `kWh_` and the counter 12. */
function counterOf(header: string): [string, number | undefined] {
  const found = /^(\D{0,40}?)(\d{1,3})$/.exec(header.slice(0, 60));
  return found === null ? [header, undefined] : [found[1]!, Number(found[2])];
}

function range(from: number, to: number): number[] {
  return Array.from({ length: to - from + 1 }, (_, at) => from + at);
}

/** Indices of all columns that the caller has named. */
function toldIndices(frame: Frame, told: Mapping): number[] {
  const columns = told.columns ?? {};
  const names: ColumnName[] = [];
  for (const role of [
    "start",
    "end",
    "period",
    "meter",
    "channel",
    "direction",
    "type",
    "unit",
    "quality",
  ] as const) {
    const value = columns[role];
    if (value !== undefined) names.push(...(Array.isArray(value) ? value : [value]));
  }
  return names.flatMap((name) => columnIndex(frame.headers, name) ?? []);
}
