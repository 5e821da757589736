import { existsSync, readFileSync } from "node:fs";
import { resolve } from "node:path";
import { DecimalSum } from "../platform/decimal.ts";
import type {
  Format,
  IntervalItem,
  Item,
  ProblemItem,
  ReadingItem,
  ReadOptions,
  SeriesItem,
} from "./item.ts";

/** Everything that a format said about one file. Used by the tests of the formats alone. */
export interface Collected {
  series: SeriesItem[];
  intervals: IntervalItem[];
  readings: ReadingItem[];
  problems: ProblemItem[];
  errors: ProblemItem[];
}

/** Reads a whole file through a format, in pieces of `pieceBytes` as a network would deliver them. */
export async function collect(
  format: Format,
  content: string | Uint8Array,
  options: Partial<ReadOptions> & { pieceBytes?: number } = {},
): Promise<Collected> {
  const bytes = typeof content === "string" ? Buffer.from(content) : content;
  const { pieceBytes = 65_536, ...rest } = options;
  async function* source(): AsyncGenerator<Uint8Array, void, undefined> {
    for (let at = 0; at < bytes.length; at += pieceBytes) yield bytes.subarray(at, at + pieceBytes);
  }
  const got: Collected = { series: [], intervals: [], readings: [], problems: [], errors: [] };
  for await (const items of format.read(source(), { fileName: "file", ...rest })) {
    for (const item of items) put(got, item);
  }
  return got;
}

function put(got: Collected, item: Item): void {
  switch (item.kind) {
    case "series":
      got.series.push(item);
      break;
    case "interval":
      got.intervals.push(item);
      break;
    case "reading":
      got.readings.push(item);
      break;
    case "problem":
      got.problems.push(item);
      if (item.severity === "error") got.errors.push(item);
      break;
  }
}

/** Count, missing and exact total of one series, to compare with an independent count. */
export function tally(got: Collected, series: number): { count: number; missing: number; total: string } {
  const items = [...got.intervals, ...got.readings].filter((item) => item.series === series);
  const sum = new DecimalSum();
  for (const item of items) if (item.value !== null) sum.add(item.value);
  return {
    count: items.length,
    missing: items.filter((item) => item.value === null).length,
    total: sum.toString(),
  };
}

/** Third-party sample files lie beside the repository on some machines; tests on them skip elsewhere. */
const samples = resolve(import.meta.dirname, "../../../../shared/samples");

/** Are the sample files here? */
export const haveSamples = existsSync(samples);

/** The bytes of a sample file, by its path below the folder of samples. */
export function sample(path: string): Buffer {
  return readFileSync(resolve(samples, path));
}

/** A start or time as ISO text, for readable expectations. */
export function iso(ms: number | undefined): string {
  return ms === undefined ? "" : new Date(ms).toISOString();
}

/** Repeatable dice: mulberry32. */
export function dice(start: number): (below: number) => number {
  let state = start >>> 0;
  return (below) => {
    state = (state + 0x6d2b79f5) >>> 0;
    let mixed = Math.imul(state ^ (state >>> 15), 1 | state);
    mixed = (mixed + Math.imul(mixed ^ (mixed >>> 7), 61 | mixed)) ^ mixed;
    return Math.floor((((mixed ^ (mixed >>> 14)) >>> 0) / 2 ** 32) * below);
  };
}

/** One to four random injuries: flipped bits, lost, doubled, moved or foreign bytes, a cut. */
export function injured(bytes: Uint8Array, roll: (below: number) => number): Buffer {
  let file = Buffer.from(bytes);
  for (let left = 1 + roll(4); left > 0 && file.length > 0; left--) {
    const at = roll(file.length);
    const length = 1 + roll(roll(8) === 0 ? 5_000 : 12);
    const [before, part, after] = [
      file.subarray(0, at),
      file.subarray(at, at + length),
      file.subarray(at + length),
    ];
    const foreign = Buffer.from(
      ["\u0000", "é", "\r", "\n", '"', "<", "&", ",", "9".repeat(400), "-", "ÿþ"][roll(11)]!,
    );
    const kinds = [
      () => Buffer.concat([before, part.map((byte) => byte ^ (1 << roll(8))), after]),
      () => Buffer.concat([before, after]),
      () => Buffer.concat([before, part, part, after]),
      () => Buffer.concat([before, foreign, after]),
      () => Buffer.concat([before, foreign, part, after]),
      () => Buffer.concat([after, part, before]),
      () => Buffer.from(before),
    ];
    file = kinds[roll(kinds.length)]!();
  }
  return file;
}
