import { dateMs, timeMs } from "../instant.ts";

/** Month names and their short forms, lower case: en, de, nl, sv, da, no, fr, es, pt, it, fi. */
const monthNames: Record<string, number> = Object.fromEntries(
  [
    "jan january januar januari janvier enero janeiro gennaio gen ene tammikuu janv",
    "feb february februar februari février fevrier febrero fevereiro febbraio fev fév févr helmikuu",
    "mar march märz maart mars marzo março mrt mrz maaliskuu",
    "apr april avril abril aprile abr avr huhtikuu",
    "may mai mei maj mayo maio maggio mag toukokuu",
    "jun june juni juin junio junho giugno giu kesäkuu",
    "jul july juli juillet julio julho luglio lug juil heinäkuu",
    "aug august augustus augusti août aout agosto ago elokuu",
    "sep september sept septembre septiembre setembro settembre set syyskuu",
    "oct october oktober okt octobre octubre outubro ottobre out ott lokakuu",
    "nov november novembre noviembre novembro marraskuu",
    "dec december dezember dez décembre decembre diciembre dezembro dicembre dic des desember joulukuu",
  ].flatMap((names, at) => names.split(" ").map((name) => [name, at + 1])),
);

/** The month that a name means, 1 to 12; undefined for other words. */
export function monthOf(name: string): number | undefined {
  const word = name.toLowerCase();
  return Object.hasOwn(monthNames, word) ? monthNames[word] : undefined;
}

type Part = "year" | "shortYear" | "month" | "day" | "hour" | "halfHour" | "minute" | "second" | "fraction";

type Step =
  | { do: "number"; part: Part; digits: number; fixed: boolean }
  | { do: "monthName" | "word" | "half" | "offset" | "blank" | "maybe" }
  | { do: "literal"; code: number };

const parts: Record<string, Part> = {
  y: "year",
  M: "month",
  d: "day",
  H: "hour",
  h: "halfHour",
  m: "minute",
  s: "second",
  S: "fraction",
};

/** A pattern that cannot be used; the message says why. */
export class PatternFault extends Error {}

/**
 * A date pattern such as `dd.MM.yyyy HH:mm`. Letters: `yyyy` `yy` year, `MM` month, `MMM` month name, `dd` day, `HH`
 * hour 0 to 24, `hh` hour 1 to 12 with `a` (AM, PM), `mm` minute, `ss` second, `SSS` fraction, `EEE` any word
 * (weekday), `XXX` offset (`Z`, `+01:00`, `+0100`, `+01`). A space stands for one or more blanks; numbers may lack
 * their leading zero unless they touch the next one; what follows `[` may be missing at the end of the text.
 */
export class DatePattern {
  readonly text: string;
  readonly hasTime: boolean;
  readonly hasDay: boolean;
  readonly hasOffset: boolean;
  /** After `parse`: the wall clock as the same reading in UTC, epoch milliseconds. */
  local = Number.NaN;
  /** After `parse`: the printed offset, milliseconds east of UTC; NaN when none is printed. */
  offset = Number.NaN;
  readonly #steps: Step[];
  readonly #values = { year: 0, month: 0, day: 0, hour: 0, minute: 0, second: 0 };
  #afternoon: boolean | undefined;

  /** @throws PatternFault */
  constructor(text: string) {
    this.text = text;
    this.#steps = stepsOf(text);
    const has = (part: Part): boolean =>
      this.#steps.some((step) => step.do === "number" && step.part === part);
    this.hasTime = has("hour") || has("halfHour");
    this.hasDay = has("day");
    this.hasOffset = this.#steps.some((step) => step.do === "offset");
    const month = has("month") || this.#steps.some((step) => step.do === "monthName");
    if (!(has("year") || has("shortYear")) || !month)
      throw new PatternFault(`"${text}" lacks the year or the month.`);
    if (this.hasTime && !this.hasDay) throw new PatternFault(`"${text}" has an hour but no day.`);
  }

  /** Reads one label into `local` and `offset`; false when the text does not fit or names no real date. */
  parse(text: string): boolean {
    const values = this.#values;
    values.year = 0;
    values.month = 0;
    values.day = 1;
    values.hour = 0;
    values.minute = 0;
    values.second = 0;
    this.#afternoon = undefined;
    this.offset = Number.NaN;
    const end = blankStart(text);
    let at = skipBlanks(text, 0);
    for (const step of this.#steps) {
      if (step.do === "maybe") {
        if (at >= end) break;
        continue;
      }
      at = this.#step(step, text, at);
      if (at < 0) return false;
    }
    if (at < end) return false;
    let hour = values.hour;
    if (this.#afternoon !== undefined) {
      if (hour < 1 || hour > 12) return false;
      hour = (hour % 12) + (this.#afternoon ? 12 : 0);
    }
    this.local = dateMs(values.year, values.month, values.day) + timeMs(hour, values.minute, values.second);
    return !Number.isNaN(this.local);
  }

  /** Position behind what the step reads, -1 when it does not fit. */
  #step(step: Step, text: string, at: number): number {
    switch (step.do) {
      case "number":
        return this.#number(step, text, at);
      case "literal":
        return text.charCodeAt(at) === step.code ? at + 1 : -1;
      case "blank": {
        const next = skipBlanks(text, at);
        return next > at ? next : -1;
      }
      case "offset":
        return this.#offset(text, at);
      case "half": {
        const letter = text.charCodeAt(at) | 32;
        if ((letter !== 97 && letter !== 112) || (text.charCodeAt(at + 1) | 32) !== 109) return -1;
        this.#afternoon = letter === 112;
        return at + 2;
      }
      case "monthName": {
        const next = skipLetters(text, at);
        const month = monthOf(text.slice(at, next));
        if (month === undefined) return -1;
        this.#values.month = month;
        return text.charCodeAt(next) === 46 ? next + 1 : next;
      }
      default: {
        let next = skipLetters(text, at);
        if (next === at) return -1;
        if (text.charCodeAt(next) === 46) next++;
        return text.charCodeAt(next) === 44 ? next + 1 : next;
      }
    }
  }

  #number(step: { part: Part; digits: number; fixed: boolean }, text: string, at: number): number {
    let value = 0;
    let next = at;
    for (; next < at + step.digits; next++) {
      const digit = text.charCodeAt(next) - 48;
      if (!(digit >= 0 && digit <= 9)) break;
      value = value * 10 + digit;
    }
    if (next === at || (step.fixed && next !== at + step.digits)) return -1;
    if (step.part === "shortYear") this.#values.year = 2000 + value;
    else if (step.part === "halfHour") this.#values.hour = value;
    else if (step.part !== "fraction") this.#values[step.part] = value;
    return next;
  }

  #offset(text: string, at: number): number {
    const sign = text.charCodeAt(at);
    if (sign === 90 || sign === 122) {
      this.offset = 0;
      return at + 1;
    }
    if (sign !== 43 && sign !== 45) return -1;
    const hour = twoDigits(text, at + 1);
    const colon = text.charCodeAt(at + 3) === 58 ? 1 : 0;
    const minute = twoDigits(text, at + 3 + colon);
    const none = Number.isNaN(minute);
    if (none && colon === 1) return -1;
    const ms = timeMs(hour, none ? 0 : minute, 0);
    if (!(ms <= 15 * 3_600_000)) return -1;
    this.offset = sign === 43 ? ms : -ms;
    return none ? at + 3 : at + 5 + colon;
  }
}

function stepsOf(text: string): Step[] {
  if (text.length > 64) throw new PatternFault("A date pattern has at most 64 characters.");
  const steps: Step[] = [];
  for (let at = 0; at < text.length; ) {
    const letter = text[at]!;
    let next = at + 1;
    while (text[next] === letter) next++;
    const count = next - at;
    if (letter === "[") steps.push({ do: "maybe" });
    else if (letter === " ") steps.push({ do: "blank" });
    else if (letter === "M" && count >= 3) steps.push({ do: "monthName" });
    else if (letter === "E") steps.push({ do: "word" });
    else if (letter === "a") steps.push({ do: "half" });
    else if (letter === "X") steps.push({ do: "offset" });
    else if (Object.hasOwn(parts, letter)) {
      const year = letter === "y";
      const part: Part = year && count <= 2 ? "shortYear" : parts[letter]!;
      const digits = year ? (count <= 2 ? 2 : 4) : letter === "S" ? 9 : 2;
      const touches = /[yMdHhms]/.test(text[next] ?? "") || /[yMdHhms]/.test(text[at - 1] ?? "");
      steps.push({ do: "number", part, digits, fixed: year || touches || (letter === "m" && count === 2) });
    } else if (letter !== "]" && letter !== "'") {
      if (/[a-zA-SU-Z]/.test(letter)) throw new PatternFault(`"${letter}" means nothing in a date pattern.`);
      for (let i = 0; i < count; i++) steps.push({ do: "literal", code: letter.charCodeAt(0) });
    }
    at = next;
  }
  return steps;
}

function isBlank(code: number): boolean {
  return code === 32 || code === 9 || code === 0xa0 || code === 0x202f || code === 0x2009;
}

function skipBlanks(text: string, from: number): number {
  let at = from;
  while (isBlank(text.charCodeAt(at))) at++;
  return at;
}

/** Position behind the last character that is no blank. */
function blankStart(text: string): number {
  let end = text.length;
  while (end > 0 && isBlank(text.charCodeAt(end - 1))) end--;
  return end;
}

function skipLetters(text: string, from: number): number {
  let at = from;
  for (;;) {
    const code = text.charCodeAt(at);
    const letter =
      (code >= 65 && code <= 90) || (code >= 97 && code <= 122) || (code >= 0xc0 && code <= 0x17f);
    if (!letter) return at;
    at++;
  }
}

function twoDigits(text: string, at: number): number {
  const first = text.charCodeAt(at) - 48;
  const second = text.charCodeAt(at + 1) - 48;
  return first >= 0 && first <= 9 && second >= 0 && second <= 9 ? first * 10 + second : Number.NaN;
}

/**
 * The patterns under which `text` is a date, none when it is no date. Two when day and month could be swapped.
 * Only dates between dots are surely day first: no country writes the month first with dots.
 */
export function patternsOf(text: string): string[] {
  let patterns = looked.get(text);
  if (patterns === undefined) {
    if (looked.size > 4000) looked.clear();
    patterns = lookFor(text);
    looked.set(text, patterns);
  }
  return patterns;
}

/** Detection asks several times about each of the first cells. */
const looked = new Map<string, string[]>();

function lookFor(text: string): string[] {
  const label = text.trim().replace(/[\u00a0\u202f\u2009]/g, " ");
  if (label.length < 6 || label.length > 48) return [];
  const cut = cutLabel(label);
  if (cut === undefined) return [];
  const time = timePattern(cut.time);
  if (time === undefined) return [];
  return datePatterns(cut.date)
    .map((date) => cut.word + date + time)
    .filter((pattern) => fits(pattern, label));
}

/** Compiled candidates, null for those that make no sense: a file has two or three, and each of its first cells is tried. */
const compiled = new Map<string, DatePattern | null>();

function fits(text: string, label: string): boolean {
  let pattern = compiled.get(text);
  if (pattern === undefined) {
    if (compiled.size > 500) compiled.clear();
    pattern = compiledOrNull(text);
    compiled.set(text, pattern);
  }
  return pattern?.parse(label) === true;
}

function compiledOrNull(text: string): DatePattern | null {
  try {
    return new DatePattern(text);
  } catch (fault) {
    if (fault instanceof PatternFault) return null;
    throw fault;
  }
}

/** Cuts a label into weekday, date and time (with what separates it from the date). */
function cutLabel(label: string): { word: string; date: string; time: string } | undefined {
  let rest = label;
  let word = "";
  const weekday = /^(\p{L}{2,14})[.,]{0,2} +(?=\d|\p{L})/u.exec(label);
  if (weekday !== null && monthOf(weekday[1]!) === undefined) {
    word = "EEE ";
    rest = label.slice(weekday[0].length);
  }
  const compact = /^(\d{8})(\d{4}|\d{6})?$/.exec(rest);
  if (compact !== null) return { word, date: compact[1]!, time: compact[2] ?? "" };
  const found =
    /^(\d{4}[-/.]\d{1,2}[-/.]\d{1,2}|\d{1,2}[-/.]\d{1,2}[-/.](?:\d{4}|\d{2})|\d{1,2}[- ]\p{L}{3,9}\.?[- ,]{1,2}(?:\d{4}|\d{2})|\p{L}{3,9}\.? \d{1,2},? \d{4}|\d{4}[-/]\d{1,2}|\d{1,2}[-/]\d{4}|\p{L}{3,9}\.? \d{4})(?![\d/.-])/u.exec(
      rest,
    );
  if (found === null) return undefined;
  return { word, date: found[1]!, time: rest.slice(found[1]!.length) };
}

function datePatterns(date: string): string[] {
  if (/^\d{8}$/.test(date)) return ["yyyyMMdd"];
  const runs = date.match(/\d+|\p{L}+|[^\d\p{L}]+/gu) ?? [];
  const [a = "", s1 = "", b = "", s2 = "", c = ""] = runs;
  if (/^\p{L}/u.test(a)) return c === "" ? [`MMM${dotless(s1)}yyyy`] : [`MMM${dotless(s1)}dd${s2}yyyy`];
  if (/^\p{L}/u.test(b)) return [`dd${s1}MMM${dotless(s2)}${c.length === 4 ? "yyyy" : "yy"}`];
  if (c === "") return a.length === 4 ? [`yyyy${s1}MM`] : [`MM${s1}yyyy`];
  if (a.length === 4) return s1 === s2 ? [`yyyy${s1}MM${s2}dd`] : [];
  if (s1 !== s2) return [];
  const year = c.length === 4 ? "yyyy" : "yy";
  const dayFirst = `dd${s1}MM${s1}${year}`;
  return s1 === "." ? [dayFirst] : [dayFirst, `MM${s1}dd${s1}${year}`];
}

/** The month name takes a following dot itself. */
function dotless(separator: string): string {
  return separator.startsWith(".") ? separator.slice(1) : separator;
}

function timePattern(time: string): string | undefined {
  if (time === "") return "";
  if (/^\d{4}$/.test(time)) return "HHmm";
  if (/^\d{6}$/.test(time)) return "HHmmss";
  const found =
    /^( +|T|, ?|;|-)?(\d{1,2})([:.])(\d{2})(?:([:.])(\d{2})([.,]\d{1,9})?)?( ?[AaPp][Mm])?( ?)(Z|[+-]\d{2}:?\d{2}|[+-]\d{2})?$/.exec(
      time,
    );
  if (found === null) {
    const offset = /^( ?)(Z|[+-]\d{2}:\d{2})$/.exec(time);
    return offset === null ? undefined : `${offset[1]}XXX`;
  }
  const [, gap = "", , colon, , colon2, seconds, fraction, half, blank = "", offset] = found;
  const hour = half === undefined ? "HH" : "hh";
  const lead = gap.trim() === "" ? (gap === "" ? "" : " ") : gap;
  let pattern = `${lead}${hour}${colon}mm`;
  if (seconds !== undefined) pattern += `${colon2}ss`;
  if (fraction !== undefined) pattern += `${fraction[0]}SSS`;
  if (half !== undefined) pattern += half.startsWith(" ") ? " a" : "a";
  if (offset !== undefined) pattern += `${blank}XXX`;
  return pattern;
}

/** The pattern of a time of day alone, as in a column beside the date; undefined when it is none. */
export function timeOfDayPattern(text: string): string | undefined {
  const label = text.trim();
  if (label.length > 16 || !/^\d{1,2}:/.test(label)) return undefined;
  const pattern = timePattern(` ${label}`);
  return pattern !== undefined && fits(`yyyy-MM-dd${pattern}`, `2024-01-01 ${label}`)
    ? pattern.trimStart()
    : undefined;
}
