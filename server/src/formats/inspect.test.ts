import { gzipSync } from "node:zlib";
import { describe, expect, test } from "vitest";
import { memoryFile } from "./container.ts";
import { type Inspection, type InspectOptions, inspectFile } from "./inspect.ts";

const day = (date: string, value: string, quality = "A,,,,") =>
  `300,${date},${Array.from({ length: 48 }, () => value).join(",")},${quality}`;
const file = (...records: string[]) => ["100,NEM12,202402050000,A,B", ...records, "900", ""].join("\n");
const stream = (suffix = "E1", uom = "kWh") => `200,6001234567,E1B1,1,${suffix},N1,M7,${uom},30,`;

async function inspect(content: string, options?: InspectOptions): Promise<Inspection> {
  const told = await inspectFile(memoryFile("file.csv", Buffer.from(content)), options);
  if (Array.isArray(told)) throw new Error("several files");
  return told;
}

describe("what a file holds", () => {
  test("counts, exact totals, months by the zone of the meter, repeated starts", async () => {
    const told = await inspect(
      file(
        stream(),
        day("20240131", "0.1"),
        day("20240201", "0.3"),
        day("20240201", "0.7"),
        day("20240202", "9", "N,,,,"),
        stream("B1", "Wh"),
        day("20240131", "1", "F52,71,,,"),
      ),
    );
    expect(told).toEqual({
      file: "file.csv",
      format: "nem12",
      series: [
        {
          meter: "6001234567",
          channel: "E1",
          metric: "energy",
          direction: "consumption",
          unit: "kWh",
          interval_seconds: 1800,
          count: 144,
          missing: 48,
          first_start_utc: "2024-01-30T14:00:00Z",
          last_end_utc: "2024-02-02T14:00:00Z",
          tz: "Etc/GMT-10",
          total: "52.8",
          duplicate_starts: 48,
          quality: { A: 144, N: 48 },
          by_month: { "2024-01": "4.8", "2024-02": "48" },
        },
        {
          meter: "6001234567",
          channel: "B1",
          metric: "energy",
          direction: "production",
          unit: "kWh",
          interval_seconds: 1800,
          count: 48,
          missing: 0,
          first_start_utc: "2024-01-30T14:00:00Z",
          last_end_utc: "2024-01-31T14:00:00Z",
          tz: "Etc/GMT-10",
          total: "0.048",
          duplicate_starts: 0,
          quality: { F52: 48 },
          by_month: { "2024-01": "0.048" },
        },
      ],
      problems: [],
    });
  });

  test("a stated zone moves the months, not the values", async () => {
    const [series] = (await inspect(file(stream(), day("20240201", "1")), { timezone: "Etc/UTC" })).series;
    expect(series!.by_month).toEqual({ "2024-01": "20", "2024-02": "28" });
    expect(series!.total).toBe("48");
  });

  test("the states of a register have no total", async () => {
    const record = "250,6001234568,11,1,11,,M8,E,100.5,20240101000000,A,,,110,20240201000000,A,,,9.5,KWH,,,";
    const [series] = (await inspect(file(record).replace("NEM12", "NEM13"))).series;
    expect(series).toMatchObject({ count: 2, total: null, by_month: {}, interval_seconds: null });
    expect(series).toMatchObject({
      first_start_utc: "2023-12-31T14:00:00Z",
      last_end_utc: "2024-01-31T14:00:00Z",
    });
  });

  test("without a zone the default is used and told", async () => {
    const feed = `<entry xmlns="http://www.w3.org/2005/Atom"><content><IntervalBlock xmlns="http://naesb.org/espi">
      <IntervalReading><timePeriod><duration>3600</duration><start>1704063600</start></timePeriod><value>5</value></IntervalReading>
      </IntervalBlock></content></entry>`;
    const berlin = await inspect(feed, { unit: "kWh", defaultTimezone: "Europe/Berlin" });
    expect(berlin.series[0]).toMatchObject({ tz: "Europe/Berlin", by_month: { "2024-01": "5" } });
    expect(berlin.problems).toMatchObject([
      { severity: "info", message: expect.stringMatching(/Europe\/Berlin/) },
    ]);
    expect((await inspect(feed, { unit: "kWh" })).series[0]!.tz).toBe("Etc/GMT-1");
    await expect(inspect(feed, { defaultTimezone: "Mars/Base" })).rejects.toThrow(RangeError);
  });

  test("wall-clock labels that nothing places are those of the default zone, with a warning", async () => {
    const rows = Array.from(
      { length: 30 },
      (_, i) =>
        `2024-02-${String(1 + Math.floor(i / 24)).padStart(2, "0")} ${String(i % 24).padStart(2, "0")}:00,1.5`,
    );
    const told = await inspect(`time,energy (kWh)\n${rows.join("\n")}\n`, {
      defaultTimezone: "Asia/Kolkata",
    });
    expect(told.series[0]).toMatchObject({
      tz: "Asia/Kolkata",
      total: "45",
      first_start_utc: "2024-01-31T18:30:00Z",
    });
    expect(told.problems).toContainEqual(expect.objectContaining({ severity: "warning", field: "timezone" }));
  });

  test("problems keep severity, line and field", async () => {
    const told = await inspect(file(stream(), day("20240230", "1")));
    expect(told.series).toEqual([]);
    expect(told.problems).toMatchObject([{ severity: "error", line: 3, field: "IntervalDate" }]);
    expect(Object.keys(told.problems[0]!)).toEqual(["severity", "line", "field", "message"]);
  });

  test("an unknown file and an unknown format", async () => {
    expect(await inspect("\u0000\u0001")).toMatchObject({
      format: null,
      series: [],
      problems: [{ severity: "error" }],
    });
    const told = await inspect(file(), { format: "nem99" });
    expect(told.problems[0]!.message).toMatch(/no format "nem99"/);
  });

  test("a gzip is told by its own name", async () => {
    const told = await inspectFile(memoryFile("file.csv.gz", gzipSync(file(stream(), day("20240201", "1")))));
    expect(told).toMatchObject({ file: "file.csv.gz", format: "nem12" });
  });
});
