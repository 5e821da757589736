import type { Row } from "../csv.ts";
import { Decisions } from "./decisions.ts";
import { columnIndex, type Frame, frameOf } from "./frame.ts";
import { joined, type Mapping } from "./mapping.ts";
import { measuresOf, type Surroundings } from "./measures.ts";
import { marksOf } from "./numbers.ts";
import { rolesOf } from "./roles.ts";
import { timesOf } from "./times.ts";
import { says, zoneHints } from "./words.ts";

/** Rows that detection looks at. */
export const sampleRows = 300;

/** The first rows of a table and what surrounds them. */
export interface Sample {
  rows: Row[];
  fileName: string;
  /** Zone and unit that the caller states beside the mapping. */
  timezone?: string | undefined;
  unit?: string | undefined;
  /** Zone of wall-clock labels when nothing in the file places them. */
  defaultTimezone?: string | undefined;
  /** Numbers of a workbook are printed with a decimal point and without groups. */
  workbook?: boolean;
}

/** How a table is read: the mapping with every key that the file shows, and why. */
export interface Detection {
  mapping: Mapping;
  decisions: Decisions;
  /** Undefined when no column of dates was found. */
  frame: Frame | undefined;
  /** 0 when the caller has to say something first, else up to 1. */
  confidence: number;
}

/**
 * Proposes a mapping from the first rows; keys of `told` stay as they are. What the file does not show becomes an
 * open decision that names the key and what it can be.
 */
export function detectMapping(sample: Sample, told: Mapping): Detection {
  const decisions = new Decisions();
  const asked: Mapping =
    told.timezone === undefined && sample.timezone !== undefined
      ? { ...told, timezone: sample.timezone }
      : told;
  const frame = sample.rows.length === 0 ? undefined : frameOf(sample.rows, asked);
  if (frame === undefined) {
    decisions.open(
      "columns.start",
      'the column of dates; with "date" when its pattern is unusual',
      "No column of dates was found.",
    );
    return { mapping: asked, decisions, frame, confidence: 0 };
  }
  const base: Mapping = { version: 1, skipLines: frame.skipLines, headerRows: frame.headerRows };
  let mapping = joined({ ...base, ...rolesOf(frame, asked, decisions) }, asked);
  if (mapping.columns?.values === undefined && !decisions.openKeys.includes("columns.values")) {
    decisions.open(
      "columns.values",
      "headers or numbers of the columns that hold values",
      "No column of values was found.",
    );
  }
  if (mapping.layout === "long") askForChannel(frame, mapping, decisions);
  const british = hasBritishNumbers(frame, mapping);
  const hintText = `${frame.preamble} ${frame.headers.join(" ")}`;
  const hint =
    zoneHints.find(({ words }) => says(hintText, words)) ??
    (british
      ? { zone: "Europe/London", reason: "British metering point numbers, by their check digits" }
      : undefined);
  const zone = asked.timezone ?? hint?.zone;
  mapping = joined({ ...mapping, ...marks(frame, { mapping, told: asked, sample, decisions, zone }) }, asked);
  const around: Surroundings = {
    preamble: frame.preamble,
    fileName: sample.fileName,
    unit: sample.unit,
    type: british ? "electricity" : undefined,
  };
  mapping = measuresOf(frame, asked, { mapping, decisions, around });
  const times = timesOf(frame, asked, {
    mapping,
    decisions,
    hint,
    defaultTimezone: sample.defaultTimezone,
  });
  mapping = joined(
    { ...mapping, ...times, columns: mapping.columns },
    { ...asked, columns: mapping.columns },
  );
  return { mapping, decisions, frame, confidence: decisions.confidence };
}

/**
 * Rows that share meter and label but differ elsewhere hold several quantities under one name: one would overwrite the other. The
 * repeated autumn hour explains a few of them.
 */
function askForChannel(frame: Frame, mapping: Mapping, decisions: Decisions): void {
  const { start, end, period, meter, channel, unit, type, direction } = mapping.columns ?? {};
  const names = [start, end, period, meter, channel, unit, type, direction]
    .flat()
    .filter((name) => name !== undefined);
  const indices = names.flatMap((name) => columnIndex(frame.headers, name) ?? []);
  const rows = frame.data.slice(0, 200);
  const seen = new Map<string, string>();
  let clashes = 0;
  for (const { cells } of rows) {
    const key = indices.map((at) => cells[at] ?? "").join("\n");
    const whole = cells.join("\n");
    if (seen.has(key) && seen.get(key) !== whole) clashes++;
    seen.set(key, whole);
  }
  if (clashes <= Math.max(4, rows.length / 10)) return;
  const candidates = frame.headers
    .map((header, at) => ({ header: header || `${at + 1}`, at }))
    .filter(({ at }) => !indices.includes(at))
    .filter(({ at }) => new Set(rows.map(({ cells }) => cells[at])).size <= rows.length / 3)
    .map(({ header }) => `"${header}"`);
  decisions.open(
    "columns.channel",
    candidates.length === 0 ? "the column that tells them apart" : candidates.join(" or "),
    "Several rows have the same meter and time and other values.",
  );
}

/** Weights of the first twelve digits of an MPAN core; the sum, mod 11, mod 10, is the thirteenth. */
const mpanWeights = [3, 5, 7, 13, 17, 19, 23, 29, 31, 37, 41, 43];

/** Are all meter numbers MPANs, that is British electricity metering points with a sound check digit? */
function hasBritishNumbers(frame: Frame, mapping: Mapping): boolean {
  const at =
    mapping.columns?.meter === undefined ? undefined : columnIndex(frame.headers, mapping.columns.meter);
  if (at === undefined) return false;
  const isMpan = (text: string): boolean => {
    if (!/^[12]\d{12}$/.test(text.slice(0, 20))) return false;
    const sum = mpanWeights.reduce((total, weight, digit) => total + weight * Number(text[digit]), 0);
    return (sum % 11) % 10 === Number(text[12]);
  };
  return frame.data.every(({ cells }) => isMpan(cells[at]?.trim() ?? ""));
}

interface MarksQuestion {
  mapping: Mapping;
  told: Mapping;
  sample: Sample;
  decisions: Decisions;
  zone: string | undefined;
}

/** Zones of Europe where a lone comma in a number is never a group separator. */
function writesDecimalComma(zone: string | undefined): boolean {
  return (
    zone?.startsWith("Europe/") === true &&
    !["Europe/London", "Europe/Dublin", "Europe/Zurich"].includes(zone)
  );
}

/** Decimal mark and group separator by the numbers of all value columns. */
function marks(frame: Frame, { mapping, told, sample, decisions, zone }: MarksQuestion): Mapping {
  const result: Mapping = { version: 1 };
  if (told.decimal !== undefined) return result;
  const found = marksOf(printedValues(frame, mapping));
  if (sample.workbook === true && found.decimal === undefined) {
    result.decimal = ".";
    return result;
  }
  if (found.conflict !== undefined) {
    const [one, other] = found.conflict;
    decisions.open("decimal", '"." or ","', `"${one}" and "${other}" have different decimal marks.`);
  } else if (found.decimal !== undefined) {
    result.decimal = found.decimal;
    decisions.seen("decimal", `"${found.decimal}"`, "only so are all numbers sound");
  } else if (found.ambiguous?.includes(",") && writesDecimalComma(zone)) {
    result.decimal = ",";
    decisions.assumed("decimal", '","', `"${found.ambiguous}" has a decimal comma, as usual in ${zone}`);
  } else if (found.ambiguous !== undefined) {
    decisions.open(
      "decimal",
      '"." or ","',
      `"${found.ambiguous}" could be a decimal or a number in thousands.`,
    );
  }
  return result;
}

function* printedValues(frame: Frame, mapping: Mapping): Generator<string> {
  const spans = (mapping.columns?.values ?? []).flatMap((value) => {
    const from = columnIndex(frame.headers, value.column);
    const to = value.to === undefined ? from : columnIndex(frame.headers, value.to);
    return from === undefined || to === undefined ? [] : [[from, to] as const];
  });
  for (const { cells } of frame.data.slice(0, 200)) {
    for (const [from, to] of spans) for (let at = from; at <= to; at++) yield cells[at] ?? "";
  }
}
