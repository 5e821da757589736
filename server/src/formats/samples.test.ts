import { readdirSync } from "node:fs";
import { resolve } from "node:path";
import { inflateRawSync } from "node:zlib";
import { describe, expect, test } from "vitest";
import { memoryFile } from "./container.ts";
import { haveSamples, sample } from "./harness.ts";
import { type Inspection, inspectFile } from "./inspect.ts";

/*
 * Third-party files, counted a second time in another way: by plain text search and integers. No
 * reader, unit table or time zone code of the formats is used for what is expected.
 */

const samplesFolder = resolve(import.meta.dirname, "../../../../shared/samples");
const names = (folder: string, end: RegExp) =>
  haveSamples ? readdirSync(resolve(samplesFolder, folder)).filter((name) => end.test(name)) : [];

async function inspected(path: string): Promise<Inspection> {
  const told = await inspectFile(memoryFile(path.split("/").at(-1)!, sample(path)), {
    defaultTimezone: "Etc/UTC",
  });
  if (Array.isArray(told)) throw new Error(`${path} holds several files`);
  return told;
}

const errorsOf = ({ problems }: Inspection) => problems.filter(({ severity }) => severity === "error");

/** Exact sum of decimal texts, in 10^-9. */
function nanos(texts: string[]): bigint {
  let sum = 0n;
  for (const text of texts) {
    const [whole = "", part = ""] = text.replace(/^[+-]/, "").split(".");
    const value = BigInt(whole + part.padEnd(9, "0"));
    sum += text.startsWith("-") ? -value : value;
  }
  return sum;
}

describe.skipIf(!haveSamples)("Green Button samples", () => {
  const months = (zone: string) =>
    new Intl.DateTimeFormat("sv-SE", { timeZone: zone, year: "numeric", month: "2-digit" });

  test.each(names("greenbutton", /\.xml$/))("%s", async (name) => {
    const text = sample(`greenbutton/${name}`)
      .toString("utf8")
      .replaceAll(/<(\/?)(espi|ns\d|ns|atom):/g, "<$1");
    const found = await inspected(`greenbutton/${name}`);
    const readings = text.split("<IntervalReading").slice(1);
    const within = (part: string, tag: string) => part.split(`<${tag}>`)[1]?.split("<")[0]?.trim() ?? "";
    const type = text.split("<ReadingType")[1]?.split("</ReadingType")[0] ?? "";
    expect(found.format).toBe("green-button");
    if (readings.length === 0) {
      expect(found.series).toEqual([]);
      expect(found.problems).toMatchObject([
        { severity: "info", message: expect.stringMatching(/no meter data/) },
      ]);
    } else if (type === "") {
      expect(errorsOf(found)).toMatchObject([
        { line: expect.any(Number), message: expect.stringMatching(/unit/) },
      ]);
    } else {
      expect(errorsOf(found)).toEqual([]);
      expect(found.series).toHaveLength(1);
      const [series] = found.series;
      const values = readings.map((reading) => within(reading, "value"));
      const starts = readings.map((reading) => within(reading.split("<timePeriod>")[1]!, "start"));
      expect(series!.count).toBe(values.length);
      expect(series!.missing).toBe(0);
      expect(series!.duplicate_starts).toBe(starts.length - new Set(starts).size);
      const power = Number(within(type, "powerOfTenMultiplier") || "0");
      // Watt-hours, or therms (US) of 105.4804 MJ at 3.6 MJ per kWh.
      const factor = within(type, "uom") === "169" ? 105.4804 / 3.6 : 0.001;
      const kwh = (texts: string[]) => (Number(nanos(texts)) / 1e9) * 10 ** power * factor;
      expect(Number(series!.total)).toBeCloseTo(kwh(values), 8);
      const byMonth: Record<string, string[]> = {};
      for (const [i, start] of starts.entries()) {
        (byMonth[months(series!.tz).format(Number(start) * 1000)] ??= []).push(values[i]!);
      }
      expect(Object.keys(series!.by_month)).toEqual(Object.keys(byMonth).sort());
      for (const [month, texts] of Object.entries(byMonth)) {
        expect(Number(series!.by_month[month])).toBeCloseTo(kwh(texts), 8);
      }
    }
  });
});

/** The text of the only file in a small zip: its data begins behind the names of the first header. */
function unzipped(path: string): string {
  const zip = sample(path);
  const data = 30 + zip.readUInt16LE(26) + zip.readUInt16LE(28);
  const packed = zip.subarray(data);
  return (zip.readUInt16LE(8) === 8 ? inflateRawSync(packed) : packed).toString("latin1");
}

interface Counted {
  values: string[];
  missing: number;
}

/** Values of each stream of a NEM12 file by `NMI suffix`, by splitting alone. */
function countedNem12(text: string): Record<string, Counted & { uom: string }> {
  const streams: Record<string, Counted & { uom: string }> = {};
  let current: Counted = { values: [], missing: 0 };
  let day: string[] = [];
  let perDay = 48;
  for (const line of text.split("\n")) {
    const fields = line.trim().split(",");
    if (fields[0] === "200") {
      perDay = 1440 / Number(fields[8]);
      current = streams[`${fields[1]} ${fields[4]}`] ??= {
        values: [],
        missing: 0,
        uom: fields[7]!.toLowerCase(),
      };
    } else if (fields[0] === "300") {
      day = fields.slice(2, 2 + perDay);
      if (fields[2 + perDay]!.startsWith("N")) current.missing += perDay;
      else current.values.push(...day);
    } else if (fields[0] === "400" && fields[3] === "N") {
      const none = day.slice(Number(fields[1]) - 1, Number(fields[2]));
      current.missing += none.length;
      for (const value of none) current.values.splice(current.values.lastIndexOf(value), 1);
    }
  }
  return streams;
}

describe.skipIf(!haveSamples)("NEM12 and NEM13 samples", () => {
  test.each(names("nem12", /\.zip$/i))("%s", async (name) => {
    const text = unzipped(`nem12/${name}`);
    const found = await inspected(`nem12/${name}`);
    expect(found.format).toBe("nem12");
    if (name.includes("Scenario10_ETSAMDP")) {
      // A day is broken over three lines.
      expect(errorsOf(found).map(({ line }) => line)).toEqual([27, 28, 29]);
      return;
    }
    expect(errorsOf(found)).toEqual([]);
    if (text.startsWith("100,NEM13")) {
      const records = text.split("\n").filter((line) => line.startsWith("250,"));
      expect(found.series.reduce((sum, { count }) => sum + count, 0)).toBe(2 * records.length);
      expect(found.series.map(({ total }) => total)).toEqual(found.series.map(() => null));
      return;
    }
    const counted = Object.entries(countedNem12(text)).filter(([, { uom }]) => uom !== "");
    expect(found.series.map(({ meter, channel }) => `${meter} ${channel}`)).toEqual(
      counted.map(([key]) => key),
    );
    for (const [i, [, { values, missing, uom }]] of counted.entries()) {
      const series = found.series[i]!;
      expect(series).toMatchObject({ count: values.length, missing, tz: "Etc/GMT-10", duplicate_starts: 0 });
      expect(nanos([series.total!]) * (uom.startsWith("k") ? 1n : 1000n)).toBe(nanos(values));
      expect(nanos(Object.values(series.by_month))).toBe(nanos([series.total!]));
    }
  });
});
