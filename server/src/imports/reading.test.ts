import { existsSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join, resolve } from "node:path";
import fc from "fast-check";
import { afterAll, describe, expect, test } from "vitest";
import { DecimalSum } from "../platform/decimal.ts";
import { granuleEnd, granuleStart } from "../platform/time/granule.ts";
import { metrics, qualities } from "../series/series.ts";
import { Granules } from "./granules.ts";
import { newBatchMemory, type Report } from "./messages.ts";
import { Reading } from "./reading.ts";
import { type Conflict, settle } from "./settle.ts";
import { Spool } from "./spool.ts";

const folder = mkdtempSync(join(tmpdir(), "metertree-reading-"));
afterAll(() => rmSync(folder, { recursive: true, force: true }));

const units = Object.fromEntries(
  [...metrics.values()].filter(({ cost }) => !cost).map(({ name, unit }) => [name, unit]),
);

/** Reads a file as an import does; answers the report and the sum of what would be stored, per series. */
async function read(
  name: string,
  content: string | Uint8Array,
  options: { timezone?: string; meter?: string; mapping?: unknown } = {},
): Promise<{ report: Report; totals: string[]; stored: number }> {
  const path = join(folder, "file");
  writeFileSync(path, content);
  const memory = newBatchMemory();
  const { meter, ...told } = options;
  const found: { meters?: Report["meters"] } = {};
  const reading = new Reading(
    {
      files: [{ name, path, bytes: content.length }],
      spoolPath: join(folder, "spool"),
      meter,
      accountZone: "Etc/GMT-1",
      memory,
      reading: {
        ...told,
        ...(told.mapping === undefined ? {} : { format: "mapper" }),
        expandedBytesMax: 1e9,
        units,
        qualities,
        futureFrom: Date.UTC(2027, 0, 1),
      },
    },
    (news) => {
      if (news.kind === "read") found.meters = news.meters;
    },
  );
  await reading.read();
  const report = reading.report(found.meters!.map(({ timezone, type }) => ({ timezone, type, isNew: true })));
  const sums = report.series.map(() => new DecimalSum());
  let stored = 0;
  for (let number = 0; report.counts.error === 0; number++) {
    const runs = reading.batch(number);
    if (runs === null) break;
    for (const run of runs) {
      for (const value of memory.values.subarray(run.from, run.to)) sums[run.series]!.add(value);
      stored += run.to - run.from;
    }
  }
  reading.close();
  return { report, totals: sums.map(String), stored };
}

describe("what is spooled", () => {
  const rows = fc.array(
    fc.record({
      series: fc.integer({ min: 0, max: 3 }),
      start: fc.integer({ min: 0, max: 50 }).map((n) => n * 3_600_000),
      value: fc.oneof(fc.integer({ min: -5, max: 5 }), fc.constant(Number.NaN)),
      quality: fc.integer({ min: 0, max: 4 }),
      line: fc.integer({ min: 1, max: 1000 }),
      file: fc.integer({ min: 0, max: 1 }),
      version: fc.constantFrom(Number.NaN, 1, 2),
    }),
    { maxLength: 300 },
  );

  test("comes back series by series in its order", () => {
    fc.assert(
      fc.property(rows, (all) => {
        const spool = new Spool(join(folder, "property"));
        for (const { series, ...row } of all) spool.add(series, row);
        for (const number of [2, 0, 1, 3]) {
          const wanted = all.filter((row) => row.series === number);
          const got = spool.read(number);
          expect(spool.countOf(number)).toBe(wanted.length);
          expect([...got.starts]).toEqual(wanted.map((row) => row.start));
          expect([...got.values]).toEqual(wanted.map((row) => row.value));
          expect([...got.versions]).toEqual(wanted.map((row) => row.version));
          expect([...got.lines]).toEqual(wanted.map((row) => row.line));
          expect([...got.files]).toEqual(wanted.map((row) => row.file));
          expect([...got.qualities]).toEqual(wanted.map((row) => row.quality));
        }
        spool.close();
      }),
      { numRuns: 150 },
    );
  });

  test("is settled as a plain reading of the rule says", () => {
    fc.assert(
      fc.property(rows, (all) => {
        const spool = new Spool(join(folder, "property"));
        for (const { series: _, ...row } of all) spool.add(0, row);
        const conflicts: Conflict[] = [];
        const settled = settle(spool.read(0), (conflict) => conflicts.push(conflict));
        const expected = plainly(all);
        expect(conflicts.map(({ start }) => start)).toEqual(expected.conflicts);
        expect([...settled.starts]).toEqual(expected.kept.map(({ start }) => start));
        if (conflicts.length === 0)
          expect([...settled.values]).toEqual(expected.kept.map(({ value }) => value));
        expect(settled.starts.length + settled.missing + settled.duplicates).toBe(all.length);
        spool.close();
      }),
      { numRuns: 300 },
    );
  });

  /** One start after the other, by maps and sets. */
  function plainly(all: readonly { start: number; value: number; version: number }[]) {
    const kept: { start: number; value: number }[] = [];
    const conflicts: number[] = [];
    for (const start of [...new Set(all.map((row) => row.start))].sort((a, b) => a - b)) {
      const here = all.filter((row) => row.start === start);
      const newest = Math.max(...here.map(({ version }) => (Number.isNaN(version) ? -1 : version)));
      const good = here.filter(({ version }) => Number.isNaN(version) || version === newest);
      const values = new Set(good.map(({ value }) => value).filter((value) => !Number.isNaN(value)));
      if (values.size > 1) conflicts.push(start);
      if (values.size > 0) kept.push({ start, value: [...values][0]! });
    }
    return { kept, conflicts };
  }
});

test("an interval is a granule exactly when the calendar says so", () => {
  const zones = ["Europe/Stockholm", "Etc/GMT-1", "Australia/Lord_Howe", "Asia/Kolkata", "America/St_Johns"];
  const lengths = { "5min": 300, "15min": 900, "30min": 1800, hour: 3600 } as const;
  for (const zone of zones) {
    const granules = new Granules(zone);
    for (let start = Date.UTC(2025, 2, 28); start < Date.UTC(2025, 3, 8); start += 300_000) {
      for (const [granularity, seconds] of Object.entries(lengths) as [keyof typeof lengths, number][]) {
        const begins = granuleStart(granularity, zone, start) === start;
        const isGranule = begins && granuleEnd(granularity, zone, start) === start + seconds * 1000;
        expect(granules.kindOf(start, seconds), `${zone} ${start} ${seconds}`).toBe(
          isGranule ? granularity : undefined,
        );
      }
    }
    const day = granuleStart("day", zone, Date.UTC(2025, 2, 30, 12));
    expect(granules.kindOf(day, (granuleEnd("day", zone, day) - day) / 1000)).toBe("day");
    const month = granuleStart("month", zone, Date.UTC(2025, 2, 30, 12));
    expect(granules.kindOf(month, (granuleEnd("month", zone, month) - month) / 1000)).toBe("month");
  }
});

/** Third-party sample files lie beside the repository on some machines. */
const samples = resolve(import.meta.dirname, "../../../../shared/samples");
const sample = (path: string) => readFileSync(join(samples, path));

describe.skipIf(!existsSync(samples))("sample files", () => {
  test("give the totals that a plain count gives", async () => {
    const path = "portal-csv-nordic/fi_datahub__consumption-test.csv";
    const lines = sample(path).toString("utf8").replace("\ufeff", "").trim().split(/\r?\n/).slice(1);
    const total = new DecimalSum();
    for (const line of lines) total.add(Number(line.split(";").at(-2)!.replace(",", ".")));
    const { totals, stored, report } = await read(path, sample(path), { meter: "643007" });
    expect(report.counts.error).toBe(0);
    expect(stored).toBe(lines.length);
    expect(totals).toEqual([total.toString()]);
  });

  test("of NEM12 give every printed value", async () => {
    const { report, stored } = await read(
      "x.zip",
      sample("nem12/nem12__NEM12_SCENARIO1005032705_ENERGEXM_NEMMCO.zip"),
    );
    expect(report).toMatchObject({ values: 480, missing: 72, duplicates: 0 });
    expect(stored).toBe(408);
  });
});

describe("1,000 damaged files", () => {
  const nem12 = [
    "100,NEM12,202501160930,MDP1,RET1",
    "200,6001234567,E1B1,1,E1,N1,METER7,KWH,30,",
    ...["20250114", "20250115", "20250116"].map(
      (day) =>
        `300,${day},${Array.from({ length: 48 }, (_, i) => (i / 10).toFixed(1)).join(",")},A,,,20250117120000,`,
    ),
    "900",
  ].join("\n");
  const hours = Array.from({ length: 72 }, (_, i) => {
    const at = new Date(Date.UTC(2025, 0, 1, i)).toISOString().slice(0, 16).replace("T", " ");
    return `735001;${at};${(i / 8).toFixed(3).replace(".", ",")}`;
  });
  const table = `meter;start;kWh\n${hours.join("\n")}\n`;
  const espi = [
    '<?xml version="1.0"?><feed xmlns="http://www.w3.org/2005/Atom" xmlns:e="http://naesb.org/espi">',
    '<entry><id>1</id><link rel="self" href="R/UsagePoint/1"/><content><e:UsagePoint><e:ServiceCategory><e:kind>0</e:kind>',
    "</e:ServiceCategory></e:UsagePoint></content></entry></feed>",
  ].join("\n");

  /** A file with some bytes changed, left out, doubled or cut off; all that follows from the number. */
  function damaged(number: number): Buffer {
    const whole = Buffer.from([nem12, table, espi][number % 3]!);
    let state = number * 2_654_435_761;
    const random = (max: number) => {
      state = (Math.imul(state ^ (state >>> 15), 2_246_822_519) + 0x9e3779b9) >>> 0;
      return state % max;
    };
    const at = random(whole.length);
    const until = Math.min(whole.length, at + 1 + random(40));
    switch (number % 7) {
      case 0:
        return whole.subarray(0, at);
      case 1:
        return Buffer.concat([whole.subarray(0, at), whole.subarray(until)]);
      case 2:
        return Buffer.concat([whole.subarray(0, until), whole.subarray(at)]);
      case 3:
        return Buffer.concat([
          whole.subarray(0, at),
          Buffer.from([random(256), random(256)]),
          whole.subarray(at),
        ]);
      case 4:
        return Buffer.from(whole.map((byte, i) => (i % 97 === at % 97 ? byte ^ (1 << random(8)) : byte)));
      case 5:
        return Buffer.from(whole.toString("latin1").replaceAll(random(2) === 0 ? "," : "\n", ";"), "latin1");
      default:
        return Buffer.concat([whole.subarray(at, until), whole]);
    }
  }

  test("are refused with a reason, or hold exactly what is reported", async () => {
    let refused = 0;
    for (let number = 0; number < 1000; number++) {
      const { report, stored } = await read(`file${number}`, damaged(number), {
        timezone: "Europe/Stockholm",
      });
      const { error } = report.counts;
      if (error > 0) {
        refused++;
        expect(stored).toBe(0);
        for (const problem of report.problems) expect(problem.message.length).toBeGreaterThan(10);
      } else {
        expect(stored).toBeGreaterThan(0);
        expect(report.values).toBe(stored + report.missing + report.duplicates);
      }
    }
    expect(refused).toBeGreaterThan(500);
  }, 120_000);
});
