import { readdirSync } from "node:fs";
import { join, resolve } from "node:path";
import { describe, expect, test } from "vitest";
import { casesOfFormats } from "./cases.ts";
import { memoryFile } from "./container.ts";
import { dice, haveSamples, injured, sample } from "./harness.ts";
import type { Item, ProblemItem } from "./item.ts";
import { openFiles } from "./open.ts";

/*
 * Damaged files. `METERTREE_FUZZ=5000` reads more of them, `METERTREE_FUZZ_SEED=7` other ones; a
 * failure names seed and file, which repeat it.
 */
const count = Number(process.env.METERTREE_FUZZ ?? 200);
const seed = Number(process.env.METERTREE_FUZZ_SEED ?? 20_241);
const stallMsMax = 100;

interface Original {
  name: string;
  bytes: Buffer;
}

const samplesFolder = resolve(import.meta.dirname, "../../../../shared/samples");
const originals: Original[] = [
  ...casesOfFormats().map(({ format, name, fileName, input }) => ({
    name: join(format, name, fileName),
    bytes: input,
  })),
  ...(haveSamples ? ["greenbutton", "nem12", "portal-csv-nordic", "portal-csv"] : []).flatMap((folder) =>
    readdirSync(resolve(samplesFolder, folder))
      .map((name) => ({ name: join(folder, name), bytes: sample(join(folder, name)) }))
      .filter(({ bytes }) => bytes.length < 150_000),
  ),
];

/** Reads a file whole; checks what every format promises; gives its problems and the longest stall in CPU time. */
async function readWhole(
  file: Original,
): Promise<{ problems: ProblemItem[]; values: number; stallMs: number }> {
  const problems: ProblemItem[] = [];
  let values = 0;
  let stallMs = 0;
  let last = process.threadCpuUsage();
  const timer = setInterval(() => {
    const { user, system } = process.threadCpuUsage(last);
    stallMs = Math.max(stallMs, (user + system) / 1_000);
    last = process.threadCpuUsage();
  }, 0);
  try {
    for await (const { items } of openFiles(memoryFile(file.name, file.bytes))) {
      const announced = new Set<number>();
      for await (const some of items) {
        for (const item of some) {
          if (item.kind === "problem") problems.push(item);
          else if (item.kind === "series") announced.add(item.series);
          else {
            values += 1;
            if (!sound(item, announced)) throw new Error(`unsound item ${JSON.stringify(item)}`);
          }
        }
      }
    }
  } finally {
    clearInterval(timer);
  }
  return { problems, values, stallMs };
}

function sound(item: Exclude<Item, { kind: "problem" | "series" }>, announced: Set<number>): boolean {
  const at = item.kind === "interval" ? item.start : item.time;
  const length = item.kind === "interval" ? item.seconds : 1;
  return (
    announced.has(item.series) &&
    Number.isInteger(at) &&
    Number.isInteger(length) &&
    length > 0 &&
    (item.value === null ? item.quality === "missing" : Number.isFinite(item.value)) &&
    item.line >= 1
  );
}

test(`${count} damaged files, seed ${seed}: no crash, no stall, no unsound value`, {
  timeout: 600_000,
}, async () => {
  const roll = dice(seed);
  const stalls: number[] = [];
  for (let i = 0; i < count; i++) {
    const original = originals[roll(originals.length)]!;
    const file = { name: original.name, bytes: injured(original.bytes, roll) };
    const told = await readWhole(file).catch((reason) => {
      throw new Error(`seed ${seed}, file ${i}, ${original.name}: ${reason}`, { cause: reason });
    });
    stalls.push(told.stallMs);
    for (const { message, line } of told.problems) {
      expect(message.length, original.name).toBeGreaterThan(10);
      expect(message.length, original.name).toBeLessThan(700);
      expect(line === null || line >= 1, original.name).toBe(true);
    }
  }
  expect(Math.max(...stalls)).toBeLessThan(stallMsMax);
});

describe("every defect has an error with its line", () => {
  type Defect = [
    name: string,
    format: string,
    injure: (text: string, roll: (below: number) => number) => string,
  ];
  const oneOf = (text: string, pattern: RegExp, roll: (below: number) => number) => {
    const found = [...text.matchAll(pattern)];
    return found[roll(found.length)]!;
  };
  const replaceOne =
    (pattern: RegExp, change: (found: string) => string): Defect[2] =>
    (text, roll) => {
      const { 0: found, index } = oneOf(text, pattern, roll);
      return text.slice(0, index) + change(found) + text.slice(index + found.length);
    };
  const defects: Defect[] = [
    ["a tag lost", "green-button", replaceOne(/<\/(entry|content|IntervalReading|timePeriod)>/g, () => "")],
    ["a bracket lost", "green-button", replaceOne(/<\/?[a-zA-Z]+>/g, (tag) => tag.slice(0, -1))],
    ["a letter in a value", "green-button", replaceOne(/<value>[^<]*/g, (value) => `${value}O`)],
    ["a letter in a start", "green-button", replaceOne(/<start>\d/g, () => "<start>l")],
    ["a time in milliseconds", "green-button", replaceOne(/<\/start>/g, (end) => `000${end}`)],
    ["a negative duration", "green-button", replaceOne(/<duration>/g, (begin) => `${begin}-`)],
    ["an unknown unit", "green-button", replaceOne(/<uom>\d+/g, () => "<uom>999")],
    ["an odd power of ten", "green-button", replaceOne(/<powerOfTenMultiplier>/g, (begin) => `${begin}x`)],
    ["a document type", "green-button", replaceOne(/<feed/g, (feed) => `<!DOCTYPE feed>${feed}`)],
    ["an unknown entity", "green-button", replaceOne(/<title>/g, (title) => `${title}&nbsp;`)],
    ["a value lost", "nem12", replaceOne(/(?<=^300,\d{8}),[^,]*/gm, () => "")],
    ["a value more", "nem12", replaceOne(/(?<=^300,\d{8}),/gm, () => ",1,")],
    ["a letter in a value", "nem12", replaceOne(/(?<=^300,\d{8},[\d.,]{0,200})\d(?=,)/gm, () => "O")],
    ["an impossible date", "nem12", replaceOne(/(?<=^300,\d{4})\d{4}/gm, () => "0230")],
    ["a quality flag lost", "nem12", replaceOne(/(?<=^300,.*),[AV],/gm, () => ",,")],
    ["an unknown record", "nem12", replaceOne(/^(200|300)/gm, () => "301")],
    ["an unknown unit", "nem12", replaceOne(/KWH/g, () => "KWX")],
    ["odd minutes", "nem12", replaceOne(/(?<=^200,.*),30,/gm, () => ",13,")],
    ["a line broken", "nem12", replaceOne(/(?<=^300,\d{8},[\d.]*,)/gm, () => "\n")],
    ["an endless line", "nem12", replaceOne(/^300/gm, () => "3".repeat(1_100_000))],
  ];
  const intact: Record<string, string[]> = {
    "green-button": ["hours-with-links-in-order", "short-and-long-day"],
    nem12: ["half-hours-of-two-directions", "variable-quality-by-ranges"],
  };
  const inputs = casesOfFormats();

  test.each(defects)("%s in %s", async (_, format, injure) => {
    const roll = dice(seed);
    for (const { fileName, input } of inputs.filter((example) => intact[format]!.includes(example.name))) {
      for (let i = 0; i < 5; i++) {
        const text = input.toString();
        expect((await readWhole({ name: fileName, bytes: input })).problems).toEqual([]);
        const damaged = injure(text, roll);
        const { problems } = await readWhole({ name: fileName, bytes: Buffer.from(damaged) });
        const errors = problems.filter(({ severity }) => severity === "error");
        expect(errors.length, damaged.slice(0, 2_000)).toBeGreaterThan(0);
        const lines = damaged.split("\n").length;
        expect(errors[0]!.line).toBeGreaterThanOrEqual(1);
        expect(errors[0]!.line).toBeLessThanOrEqual(lines);
      }
    }
  });
});
