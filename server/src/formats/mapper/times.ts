import type { Row } from "../csv.ts";
import { WallClock } from "../wall-clock.ts";
import { DatePattern, patternsOf } from "./date-pattern.ts";
import type { Decisions } from "./decisions.ts";
import { columnIndex, type Frame, halvesOf } from "./frame.ts";
import type { ColumnName, Mapping } from "./mapping.ts";
import { minutesIn } from "./roles.ts";
import { endWords, registerWords, says, startWords } from "./words.ts";

const day = 86_400_000;
const intervals = [300, 600, 900, 1800, 3600] as const;

/** The labels of the sample, row by row. */
interface Labels {
  rows: Row[];
  /** Text of the label that decides: the start, or the only one. */
  main: string[];
  /** Text of the end, where start and end are printed. */
  ends: string[] | undefined;
  header: string;
  /** Meter, register and unit of each row: labels are compared within one of these. */
  keys: string[];
}

/** Indices of a role's columns; undefined when one cannot be found. */
export function indicesOf(
  headers: string[],
  name: ColumnName | ColumnName[] | undefined,
): number[] | undefined {
  if (name === undefined) return undefined;
  const found = (Array.isArray(name) ? name : [name]).map((one) => columnIndex(headers, one));
  return found.every((at) => at !== undefined) ? (found as number[]) : undefined;
}

/** The text of a label whose parts may stand in several cells. */
export function labelText(cells: string[], indices: number[]): string {
  if (indices.length === 1) return cells[indices[0]!]?.trim() ?? "";
  return indices
    .map((at) => cells[at]?.trim() ?? "")
    .join(" ")
    .trim();
}

function labelsOf(frame: Frame, mapping: Mapping): Labels | undefined {
  const columns = mapping.columns ?? {};
  const rows = frame.data.slice(0, 200);
  const keyColumns = [columns.meter, columns.channel, columns.unit, columns.type].flatMap(
    (name) => indicesOf(frame.headers, name) ?? [],
  );
  const keys = rows.map(({ cells }) => keyColumns.map((at) => cells[at] ?? "").join("\n"));
  const period = indicesOf(frame.headers, columns.period);
  if (period !== undefined) {
    const halves = rows.map(({ cells }) => halvesOf(cells[period[0]!] ?? ""));
    const header = frame.headers[period[0]!] ?? "";
    return {
      rows,
      main: halves.map((at) => at?.[0] ?? ""),
      ends: halves.map((at) => at?.[1] ?? ""),
      header,
      keys,
    };
  }
  const start = indicesOf(frame.headers, columns.start);
  const end = indicesOf(frame.headers, columns.end);
  const main = start ?? end;
  if (main === undefined) return undefined;
  const texts = (indices: number[]): string[] => rows.map(({ cells }) => labelText(cells, indices));
  const header = main.map((at) => frame.headers[at] ?? "").join(" ");
  return { rows, main: texts(main), ends: start && end ? texts(end) : undefined, header, keys };
}

/** A zone that the file hints at, and by what. */
export interface ZoneHint {
  zone: string;
  reason: string;
}

/** Decides pattern, order, interval, label and zone; what was told stays. */
export function timesOf(
  frame: Frame,
  told: Mapping,
  about: {
    mapping: Mapping;
    decisions: Decisions;
    hint: ZoneHint | undefined;
    /** Zone of wall-clock labels that nothing in the file places. */
    defaultTimezone: string | undefined;
  },
): Mapping {
  const { mapping, decisions, hint, defaultTimezone } = about;
  const found: Mapping = { version: 1 };
  const labels = labelsOf(frame, mapping);
  if (labels === undefined) {
    decisions.open(
      "columns.start",
      "the column of dates, by its header or number",
      "The named columns are not in the file.",
    );
    return found;
  }
  const zone = told.timezone ?? hint?.zone;
  const text = told.date ?? datePattern(labels, zone, decisions);
  if (text === undefined) return found;
  found.date = text;
  const pattern = new DatePattern(text);
  const locals = labels.main.map((label) => (pattern.parse(label) ? pattern.local : Number.NaN));
  const order = told.order ?? orderOf(labels.keys, locals);
  found.order = order;
  if (told.timezone === undefined) zoneDecision({ found, labels, pattern, hint, defaultTimezone, decisions });
  const wide = (told.layout ?? mapping.layout) === "wide";
  if (wide) wideTimes(frame, { told, mapping, found, decisions });
  else if (!onlyRegisters(frame, told, mapping))
    longTimes({ told, found, labels, locals, pattern, order, decisions });
  return found;
}

/** Are all values readings of registers? Their labels are points in time: neither start nor end. */
function onlyRegisters(frame: Frame, told: Mapping, mapping: Mapping): boolean {
  if (told.values !== undefined) return told.values === "register";
  const values = mapping.columns?.values ?? [];
  return (
    values.length > 0 &&
    values.every(({ column, values: kind }) => {
      const at = columnIndex(frame.headers, column);
      return kind === undefined
        ? at !== undefined && says(frame.headers[at] ?? "", registerWords)
        : kind === "register";
    })
  );
}

/** The pattern that reads all labels; two that swap day and month are told apart by the steps from row to row. */
function datePattern(labels: Labels, zone: string | undefined, decisions: Decisions): string | undefined {
  const texts = labels.ends === undefined ? labels.main : [...labels.main, ...labels.ends];
  const all = new Set(texts.flatMap((text) => patternsOf(text)));
  const patterns = [...all, ...mergedPatterns([...all])].map((text) => new DatePattern(text));
  const share = (pattern: DatePattern): number => texts.filter((text) => pattern.parse(text)).length;
  const scored = patterns.map((pattern) => ({ pattern, count: share(pattern) }));
  const best = Math.max(0, ...scored.map(({ count }) => count));
  const winners = scored
    .filter(({ count }) => count === best && count >= texts.length * 0.8)
    .map(({ pattern }) => pattern);
  const first = winners[0];
  if (first === undefined) {
    decisions.open(
      "date",
      "a pattern such as dd.MM.yyyy HH:mm",
      `No date pattern fits labels such as "${texts[0]?.slice(0, 60)}".`,
    );
    return undefined;
  }
  const swapped = winners.find(
    (pattern) => pattern.text !== first.text && isSwapped(first.text, pattern.text),
  );
  if (swapped === undefined) {
    decisions.seen("date", first.text, "all labels fit");
    return first.text;
  }
  const [dayFirst, monthFirst] =
    first.text.indexOf("d") < first.text.indexOf("M") ? [first, swapped] : [swapped, first];
  const [a, b] = [regularity(labels, dayFirst), regularity(labels, monthFirst)];
  if (a.regular !== b.regular) {
    const chosen = a.regular ? dayFirst : monthFirst;
    decisions.seen("date", chosen.text, "only so are the steps from row to row even");
    return chosen.text;
  }
  if (zone?.startsWith("Europe/")) {
    decisions.assumed("date", dayFirst.text, `"${labels.main[0]}" is read day first, as in ${zone}`);
    return dayFirst.text;
  }
  decisions.open(
    "date",
    `"${dayFirst.text}" or "${monthFirst.text}"`,
    `The file does not show whether the day or the month comes first in "${labels.main[0]?.slice(0, 60)}".`,
  );
  return undefined;
}

/** Patterns that stand for two at once, where spreadsheets leave out midnight: `dd.MM.yyyy[ HH:mm]`. */
function mergedPatterns(patterns: string[]): string[] {
  return patterns.flatMap((long) =>
    patterns
      .filter((short) => long !== short && long.startsWith(short))
      .map((short) => `${short}[${long.slice(short.length)}]`),
  );
}

function isSwapped(a: string, b: string): boolean {
  return a.replace("dd", "#").replace("MM", "dd").replace("#", "MM") === b;
}

/** Are the steps between neighbouring labels of one series all alike (or whole months)? */
function regularity(labels: Labels, pattern: DatePattern): { regular: boolean } {
  const steps: number[] = [];
  const days = new Set<number>();
  let onFirst = true;
  const last = new Map<string, number>();
  labels.main.forEach((text, at) => {
    if (!pattern.parse(text)) return;
    const local = pattern.local;
    days.add(Math.floor(local / day));
    if (local % day !== 0 || new Date(local).getUTCDate() !== 1) onFirst = false;
    const key = labels.keys[at]!;
    const before = last.get(key);
    if (before !== undefined && before !== local) steps.push(Math.abs(local - before));
    last.set(key, local);
  });
  if (days.size < 2 || steps.length < 2) return { regular: days.size < 2 };
  if (onFirst) return { regular: true };
  const usual = modeOf(steps);
  return { regular: steps.filter((step) => step !== usual).length <= steps.length * 0.02 };
}

function modeOf(values: number[]): number {
  const counts = new Map<number, number>();
  for (const value of values) counts.set(value, (counts.get(value) ?? 0) + 1);
  return [...counts].sort((a, b) => b[1] - a[1])[0]?.[0] ?? Number.NaN;
}

function orderOf(keys: string[], locals: number[]): "ascending" | "descending" {
  const last = new Map<string, number>();
  let up = 0;
  keys.forEach((key, at) => {
    const local = locals[at]!;
    if (Number.isNaN(local)) return;
    up += Math.sign(local - (last.get(key) ?? local));
    last.set(key, local);
  });
  return up < 0 ? "descending" : "ascending";
}

interface ZoneQuestion {
  found: Mapping;
  labels: Labels;
  pattern: DatePattern;
  hint: ZoneHint | undefined;
  defaultTimezone: string | undefined;
  decisions: Decisions;
}

/** Printed offsets are exact; a hinted zone is only kept for the calendar when it agrees with them. */
function zoneDecision({ found, labels, pattern, hint, defaultTimezone, decisions }: ZoneQuestion): void {
  if (pattern.hasOffset) {
    const clock = hint === undefined ? undefined : new WallClock(hint.zone);
    const agrees = clock !== undefined && labels.main.every((text) => agreesWith(clock, pattern, text));
    if (agrees) found.timezone = hint!.zone;
    decisions.seen("timezone", agrees ? hint!.zone : "by printed offsets", "each label has its offset");
    return;
  }
  if (hint === undefined && defaultTimezone !== undefined) {
    found.timezone = defaultTimezone;
    decisions.assumed(
      "timezone",
      defaultTimezone,
      "the labels are wall-clock times, nothing in the file says where, and this is the default",
    );
    return;
  }
  if (hint === undefined) {
    const candidates = "an IANA name such as Europe/Stockholm; UTC or Etc/GMT-1 for clocks that never change";
    decisions.open(
      "timezone",
      candidates,
      "The labels are wall-clock times and nothing in the file says where.",
    );
    return;
  }
  found.timezone = hint.zone;
  decisions.assumed("timezone", hint.zone, hint.reason);
}

function agreesWith(clock: WallClock, pattern: DatePattern, text: string): boolean {
  if (!pattern.parse(text)) return true;
  const utc = pattern.local - pattern.offset;
  return clock.utc(pattern.local) === utc || clock.utc(pattern.local, true) === utc;
}

interface LongQuestion {
  told: Mapping;
  found: Mapping;
  labels: Labels;
  locals: number[];
  pattern: DatePattern;
  order: "ascending" | "descending";
  decisions: Decisions;
}

function longTimes(question: LongQuestion): void {
  const { told, found, labels, locals, pattern, decisions } = question;
  const interval = told.interval ?? intervalOf(labels, locals, pattern);
  if (interval === undefined) {
    if (labels.ends === undefined) {
      decisions.open(
        "interval",
        "300, 600, 900, 1800 or 3600 seconds, day or month",
        "The steps from row to row are no length that we keep (perhaps bills, or readings of a register: then state " +
          '"values" as "register").',
      );
    }
    return;
  }
  found.interval = interval;
  if (told.interval === undefined)
    decisions.seen("interval", `${interval}`, "the usual step from row to row");
  if (told.label !== undefined || labels.ends !== undefined) return;
  found.label = labelOf(question, interval);
}

function intervalOf(labels: Labels, locals: number[], pattern: DatePattern): Mapping["interval"] {
  if (labels.ends !== undefined) {
    const spans = labels.ends.flatMap((text, at) =>
      pattern.parse(text) ? [pattern.local - locals[at]!] : [],
    );
    return nameOfStep(modeOf(spans), locals);
  }
  if (!pattern.hasDay) return "month";
  const steps: number[] = [];
  const last = new Map<string, number>();
  labels.keys.forEach((key, at) => {
    const local = locals[at]!;
    const before = last.get(key);
    if (before !== undefined && before !== local) steps.push(Math.abs(local - before));
    last.set(key, local);
  });
  const usual = modeOf(steps);
  const share = steps.filter((step) => step === usual).length / steps.length;
  const monthly = steps.length > 0 && steps.every((step) => step >= 28 * day && step <= 31 * day);
  if (monthly) return locals.every((local) => new Date(local).getUTCDate() === 1) ? "month" : undefined;
  return share >= 0.6 ? nameOfStep(usual, locals) : undefined;
}

function nameOfStep(step: number, locals: number[]): Mapping["interval"] {
  const seconds = intervals.find((length) => length * 1000 === step);
  if (seconds !== undefined) return seconds;
  if (step === day) return "day";
  const monthly = step >= 28 * day && step <= 31 * day;
  return monthly && locals.every((local) => new Date(local).getUTCDate() === 1) ? "month" : undefined;
}

/** START or END of a single label: by its header, by 24:00, else by the first and last label of whole days. */
function labelOf(
  { labels, locals, pattern, order, decisions }: LongQuestion,
  interval: Mapping["interval"],
): Mapping["label"] {
  const seen = (label: "start" | "end", reason: string): "start" | "end" => {
    decisions.seen("label", label, reason);
    return label;
  };
  if (says(labels.header, endWords) && !says(labels.header, startWords))
    return seen("end", `the header "${labels.header}"`);
  if (says(labels.header, startWords)) return seen("start", `the header "${labels.header}"`);
  if (labels.main.some((text) => / 24:00/.test(text))) return seen("end", "24:00 is the end of a day");
  if (typeof interval !== "number" || !pattern.hasTime) return seen("start", "a date names its day");
  const votes = labelVotes({ labels, locals, order }, interval * 1000);
  const total = votes.start + votes.end;
  if (votes.start > 0 && votes.end === 0) {
    if (total > 1) return seen("start", "the days begin at 00:00 and end before midnight");
    decisions.assumed("label", "start", "the first value of the file is labelled 00:00");
    return "start";
  }
  if (votes.end > 0 && votes.start === 0) {
    if (total > 1) return seen("end", "the days begin after 00:00 and end at midnight");
    decisions.assumed("label", "end", "the first value of the file is labelled one interval after 00:00");
    return "end";
  }
  decisions.open(
    "label",
    "start or end",
    "The file does not show whether a label is the start or the end of its interval.",
  );
  return undefined;
}

/** What the first and the last labels of each series in the sample speak for. */
function labelVotes(
  { labels, locals, order }: Pick<LongQuestion, "labels" | "locals" | "order">,
  step: number,
): { start: number; end: number } {
  const votes = { start: 0, end: 0 };
  const firstOf = (local: number): void => {
    if (local % day === 0) votes.start++;
    else if (local % day === step) votes.end++;
  };
  const lastOf = (local: number): void => {
    if (local % day === 0) votes.end++;
    else if (local % day === day - step) votes.start++;
  };
  const [early, late] = order === "ascending" ? [firstOf, lastOf] : [lastOf, firstOf];
  labels.keys.forEach((key, at) => {
    if (key !== labels.keys[at - 1] && !labels.keys.slice(0, at).includes(key)) early(locals[at]!);
    const next = labels.keys[at + 1];
    // The last row of the sample is the last of its series only when another series has begun.
    if (next !== undefined && next !== key && !labels.keys.slice(at + 1).includes(key)) late(locals[at]!);
  });
  return votes;
}

interface WideQuestion {
  told: Mapping;
  mapping: Mapping;
  found: Mapping;
  decisions: Decisions;
}

/** In the wide layout the columns tell the interval, and whether they are labelled by start or end. */
function wideTimes(frame: Frame, { told, mapping, found, decisions }: WideQuestion): void {
  const group = mapping.columns?.values?.[0];
  const from = group === undefined ? undefined : columnIndex(frame.headers, group.column);
  const to = group?.to === undefined ? undefined : columnIndex(frame.headers, group.to);
  if (from === undefined || to === undefined || to <= from) {
    decisions.open(
      "columns.values",
      '"column" and "to": the first and the last column of a day',
      "The columns of a day were not found.",
    );
    return;
  }
  const count = to - from + 1;
  const first = minutesIn(frame.headers[from] ?? "");
  const second = minutesIn(frame.headers[from + 1] ?? "");
  const step = first !== undefined && second !== undefined ? (second - first) * 60 : undefined;
  const seconds =
    intervals.find((length) => length === step) ?? intervals.find((length) => fitsDay(count, length));
  if (told.interval === undefined) {
    if (seconds === undefined) {
      decisions.open("interval", "300, 600, 900, 1800 or 3600", `${count} columns do not make a day.`);
      return;
    }
    found.interval = seconds;
    decisions.seen("interval", `${seconds}`, `${count} columns make a day`);
  }
  if (told.label !== undefined || first === undefined || seconds === undefined) return;
  found.label = first === 0 ? "start" : "end";
  decisions.seen("label", found.label, `the first column is "${frame.headers[from]}"`);
}

/** Do `count` columns of `length` seconds make a day of 23, 24 or 25 hours? */
function fitsDay(count: number, length: number): boolean {
  const hours = (count * length) / 3600;
  return hours === 23 || hours === 24 || hours === 25;
}
