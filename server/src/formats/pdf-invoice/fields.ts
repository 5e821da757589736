import type { InvoicePeriod } from "../invoice.ts";
import { negated } from "../invoice-fields.ts";
import { Budget } from "./budget.ts";
import { type LabelPlace, labelsOn } from "./labels.ts";
import { DateReader, readAmount } from "./notation.ts";
import { Pattern } from "./pattern.ts";
import type { Template, TemplateField } from "./template.ts";
import type { Line, Page } from "./text.ts";

/** A field as it was found: what was read, and where. */
export interface FoundField {
  /** Path in the template, as in `fields.number`. */
  field: string;
  /** As printed. */
  text: string;
  value: string;
  /** Null for a fixed value. */
  page: number | null;
  /** Points from the left and upper edge of the page. */
  x: number | null;
  y: number | null;
}

/** Something that keeps a document from being read. */
export interface TemplateProblem {
  /** Path in the template. */
  field: string;
  page: number | null;
  message: string;
}

/** How the text of a field becomes a value; `wanted` says in words what it has to be. */
interface Kind<Value> {
  wanted: string;
  read(text: string): Value | undefined;
  show(value: Value): string;
}

interface Candidate {
  text: string;
  line: Line;
  x: number;
}

const same = (text: string) => text;
const candidatesMax = 1_000;

/** Finds the fields of a template in a document, and keeps what was found and what was wrong. */
export class FieldReader {
  readonly found: FoundField[] = [];
  readonly problems: TemplateProblem[] = [];
  readonly dates: DateReader;
  readonly template: Template;
  readonly pages: readonly Page[];
  readonly #budget = new Budget();
  readonly #patterns = new Map<string, Pattern>();

  constructor(template: Template, pages: readonly Page[]) {
    this.template = template;
    this.pages = pages;
    this.dates = new DateReader(template.dates, { endIncluded: template.periodEnd !== "excluded" });
  }

  text(field: string, told: TemplateField | undefined): string | null {
    return this.#read(field, told, { wanted: "a text", read: (text) => text || undefined, show: same });
  }

  day(field: string, told: TemplateField | undefined): string | null {
    const wanted = `a day written as ${this.template.dates.join(" or ")}`;
    return this.#read(field, told, { wanted, read: (text) => this.dates.day(text), show: same });
  }

  period(field: string, told: TemplateField | undefined, lines?: readonly Line[]): InvoicePeriod | null {
    const kind: Kind<InvoicePeriod> = {
      wanted: `a period of days or months written as ${this.template.dates.join(" or ")}`,
      read: (text) => this.dates.period(text),
      show: ({ from, to }) => `${from} to ${to}`,
    };
    return this.#read(field, told, kind, lines);
  }

  meteringPoint(field: string, told: TemplateField | undefined, lines?: readonly Line[]): string | null {
    const kind = { wanted: "the number of a metering point", read: meteringPointOf, show: same };
    return this.#read(field, told, kind, lines);
  }

  amount(field: string, told: TemplateField | undefined): string | null {
    const { numbers, currency } = this.template;
    const kind = {
      wanted: `an amount as in ${exampleOf(numbers)}`,
      read: (text: string) => readAmount(text, numbers, currency),
      show: same,
    };
    const value = this.#read(field, told, kind);
    return value !== null && told?.negate === true ? negated(value) : value;
  }

  /** The part of a text that a pattern takes; `undefined` when it does not match. */
  part(source: string, text: string): string | undefined {
    let pattern = this.#patterns.get(source);
    if (pattern === undefined) this.#patterns.set(source, (pattern = new Pattern(source)));
    return pattern.match(text, this.#budget)?.value?.trim();
  }

  problem(field: string, page: number | null, message: string): void {
    this.problems.push({ field, page, message });
  }

  #read<Value>(
    field: string,
    told: TemplateField | undefined,
    kind: Kind<Value>,
    lines?: readonly Line[],
  ): Value | null {
    if (told === undefined) return null;
    const candidates = told.value === undefined ? this.#candidates(told, lines) : [];
    if (told.value !== undefined) {
      const value = kind.read(told.value);
      if (value === undefined) this.problem(field, null, `the value "${told.value}" is not ${kind.wanted}`);
      else
        this.found.push({ field, text: told.value, value: kind.show(value), page: null, x: null, y: null });
      return value ?? null;
    }
    const read = candidates.flatMap((candidate) => {
      const value = kind.read(candidate.text);
      return value === undefined ? [] : [{ ...candidate, value, shown: kind.show(value) }];
    });
    const [first] = read;
    if (first === undefined) {
      // What may be missing must be readable where it is there.
      if (told.optional !== true || candidates.length > 0)
        this.problem(field, null, missingMessage(told, candidates, kind.wanted));
      return null;
    }
    const other = read.find(({ shown }) => shown !== first.shown);
    if (other !== undefined) {
      const message =
        `"${first.text}" ${placeText(first)} and "${other.text}" ${placeText(other)} both fit: ` +
        'say which by "page", "zone", a longer "label" or a "match"';
      this.problem(field, first.line.page, message);
      return null;
    }
    this.found.push({
      field,
      text: first.text,
      value: first.shown,
      page: first.line.page,
      x: first.x,
      y: first.line.y,
    });
    return first.value;
  }

  #candidates(told: TemplateField, lines: readonly Line[] | undefined): Candidate[] {
    const { label } = told;
    const labels = typeof label === "string" ? [label] : (label ?? []);
    const found: Candidate[] = [];
    for (const line of lines ?? this.#linesOf(told)) {
      if (found.length >= candidatesMax) break;
      if (labels.length === 0) found.push(...this.#inZone(told, line));
      for (const one of labels) {
        for (const place of labelsOn(line, one)) {
          if (isInZone(told, place.x0, line)) found.push(...this.#beside(place, told));
        }
      }
    }
    return found;
  }

  /** What stands on a line within the zone, or the part of it that the pattern takes. */
  #inZone(told: TemplateField, line: Line): Candidate[] {
    const chunks = line.chunks.filter(({ x0 }) => isInZone(told, x0, line));
    const whole = chunks.map(({ text }) => text).join(" ");
    const text = told.match === undefined ? whole : this.part(told.match, whole);
    return text === undefined || text === "" ? [] : [{ text, line, x: chunks[0]!.x0 }];
  }

  #linesOf({ page, zone }: TemplateField): Line[] {
    const last = this.pages.length;
    const number = page === "first" ? 1 : page === "last" ? last : page;
    const lines = this.pages
      .filter((one) => number === undefined || one.number === number)
      .flatMap((one) => one.lines);
    const [from, to] = zone?.y ?? [0, Number.POSITIVE_INFINITY];
    return lines.filter(({ y }) => y >= from && y <= to);
  }

  #beside(place: LabelPlace, { place: side, match }: TemplateField): Candidate[] {
    const { line, x1, rest, next } = place;
    const beside = rest === "" ? next : [{ text: rest, x0: x1 }, ...next];
    const [first] =
      side === "below" ? this.#below(place) : beside.map(({ text, x0 }) => ({ text, line, x: x0 }));
    if (first === undefined || match === undefined) return first === undefined ? [] : [first];
    // A pattern sees the whole line to the right.
    const text = this.part(match, side === "below" ? first.text : beside.map((one) => one.text).join(" "));
    return text === undefined || text === "" ? [] : [{ ...first, text }];
  }

  /** The nearest run of text below the label that stands at least partly under it. */
  #below({ line, x0, x1 }: LabelPlace): Candidate[] {
    const page = this.pages.find(({ number }) => number === line.page)!;
    for (const under of page.lines) {
      if (under.y <= line.y || under.y - line.y > 4 * Math.max(line.size, under.size)) continue;
      const chunk = under.chunks.find((one) => one.x0 < x1 && one.x1 > x0);
      if (chunk !== undefined) return [{ text: chunk.text, line: under, x: chunk.x0 }];
    }
    return [];
  }
}

function isInZone({ zone }: TemplateField, x: number, { y }: Line): boolean {
  const [left, right] = zone?.x ?? [0, Number.POSITIVE_INFINITY];
  const [top, bottom] = zone?.y ?? [0, Number.POSITIVE_INFINITY];
  return x >= left && x <= right && y >= top && y <= bottom;
}

const placeText = ({ line, x }: Candidate) =>
  `(page ${line.page}, x ${Math.round(x)}, y ${Math.round(line.y)})`;

function missingMessage(told: TemplateField, candidates: readonly Candidate[], wanted: string): string {
  const page = told.page === undefined ? "any page" : `the ${told.page} page`;
  const where = typeof told.page === "number" ? `page ${told.page}` : page;
  const [seen] = candidates;
  if (seen !== undefined) return `"${seen.text.slice(0, 100)}" ${placeText(seen)} is not ${wanted}`;
  const labels = [told.label ?? []].flat().map((label) => `"${label}"`);
  const zone = told.zone === undefined ? "" : " within its zone";
  if (labels.length === 0) {
    return told.match === undefined
      ? `nothing stands on ${where}${zone}`
      : `no line on ${where}${zone} matches ${told.match}`;
  }
  const side = told.place === "below" ? "below" : "to the right of";
  const also = told.match === undefined ? "" : ` that matches ${told.match}`;
  return `nothing stands ${side} ${labels.join(" or ")}${also} on ${where}${zone}`;
}

function meteringPointOf(text: string): string | undefined {
  const compact = text.replace(/[\s\u00a0\u2009\u202f]+/g, "");
  return /^[A-Za-z0-9./_-]{4,50}$/.test(compact) ? compact : undefined;
}

/** 1234.5 in a notation, to show what is expected. */
export function exampleOf({ decimal, thousands }: Template["numbers"]): string {
  return `1${thousands}234${decimal}50`;
}
