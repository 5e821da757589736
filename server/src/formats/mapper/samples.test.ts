import { describe, expect, test } from "vitest";
import { type Collected, collect, haveSamples, iso, sample, tally } from "../harness.ts";
import { unzipped } from "./harness.ts";
import { mapper } from "./mapper.ts";

/** Sums printed decimals as integers of 10^-8, by no code of the product. */
class Count {
  count = 0;
  missing = 0;
  #sum = 0n;

  add(printed: string | undefined): void {
    this.count++;
    const found = /^(-?)(\d+)(?:[.,](\d{1,8}))?$/.exec((printed ?? "").trim());
    if (found === null) {
      this.missing++;
      return;
    }
    const digits = BigInt(found[2]! + (found[3] ?? "").padEnd(8, "0"));
    this.#sum += found[1] === "-" ? -digits : digits;
  }

  get result(): { count: number; missing: number; total: string } {
    const sign = this.#sum < 0n ? "-" : "";
    const digits = `${this.#sum < 0n ? -this.#sum : this.#sum}`.padStart(9, "0");
    const fraction = digits.slice(-8).replace(/0+$/, "");
    const total = `${sign}${digits.slice(0, -8)}${fraction === "" ? "" : `.${fraction}`}`;
    return { count: this.count, missing: this.missing, total };
  }
}

function countOf(values: Iterable<string | undefined>): Count["result"] {
  const count = new Count();
  for (const value of values) count.add(value);
  return count.result;
}

const linesOf = (text: string): string[] =>
  text
    .replace(/^\ufeff/, "")
    .split(/\r\n|\n|\r/)
    .filter((line) => line !== "");
const cellsOf = (line: string, delimiter: string): string[] =>
  line.split(delimiter).map((cell) => cell.replace(/^="?|"/g, "").trim());

/** Cells of a sheet without gaps, by regular expressions over its XML. */
function sheetRows(path: string): string[][] {
  const xml = unzipped(sample(path), "xl/worksheets/sheet1.xml");
  return xml
    .split(/<(?:x:)?row[ >]/)
    .slice(1)
    .map((row) =>
      [...row.matchAll(/<(?:x:)?c[ >].*?<\/(?:x:)?c>/g)].map(([cell]) => cell.replace(/<[^>]*>/g, "")),
    );
}

async function read(path: string, mapping?: unknown): Promise<Collected> {
  const fileName = path.split("/").at(-1)!;
  const got = await collect(mapper, sample(path), {
    fileName,
    ...(mapping === undefined ? {} : { mapping }),
  });
  return got;
}

const channel = (got: Collected, name: string, unit?: string): Count["result"] => {
  const found = got.series.filter((one) => one.channel === name && (unit === undefined || one.unit === unit));
  expect(found).toHaveLength(1);
  return tally(got, found[0]!.series);
};

function noDuplicates(got: Collected): void {
  const starts = got.intervals.map((item) => `${item.series} ${item.start}`);
  expect(new Set(starts).size).toBe(starts.length);
}

describe.runIf(haveSamples)("Nordic and Dutch portals, by themselves", () => {
  test.each(["01", "02", "05", "06", "07"])(
    "Caruna 2022-%s: weekday words and a sentence for no value",
    async (month) => {
      const path = `portal-csv-nordic/fi_caruna__2022-${month}.csv`;
      const rows = linesOf(sample(path).toString())
        .slice(1)
        .map((line) => cellsOf(line, ";"));
      const got = await read(path);
      expect(got.errors).toEqual([]);
      expect(channel(got, "Laskutettava kulutus (kWh)")).toEqual(countOf(rows.map((row) => row[1])));
      expect(channel(got, "Ylijäämätuotanto (kWh)")).toEqual(countOf(rows.map((row) => row[2])));
      expect(channel(got, "Ulkolämpötila (°C)")).toEqual(countOf(rows.map((row) => row[3])));
      expect(got.series.map((one) => [one.metric, one.direction])).toEqual([
        ["energy", "consumption"],
        ["energy", "production"],
        ["temperature", "unknown"],
      ]);
      const offset = ["05", "06", "07"].includes(month) ? 3 : 2;
      expect(got.intervals[0]?.start).toBe(Date.UTC(2022, Number(month) - 1, 1) - offset * 3_600_000);
      noDuplicates(got);
    },
  );

  test("DSMR-reader: five quantities, offsets, the repeated hour", async () => {
    const path = "portal-csv/dsmrreader-data-export-hour.csv";
    const [header, ...rows] = linesOf(sample(path).toString()).map((line) => cellsOf(line, ","));
    const got = await read(path);
    expect(got.errors).toEqual([]);
    for (const [at, name] of header!.entries()) {
      if (at > 0) expect(channel(got, name)).toEqual(countOf(rows.map((row) => row[at])));
    }
    expect(got.series.map((one) => [one.type, one.unit])).toEqual([
      ...Array(4).fill(["electricity", "kWh"]),
      ["gas", "m3"],
    ]);
    noDuplicates(got);
  });

  test("EMO: days by start and end, the total row and the total column stay out", async () => {
    const path = "portal-csv/emo_site_2014.csv";
    const [header, ...rows] = linesOf(sample(path).toString()).map((line) => cellsOf(line, ";"));
    const days = rows.slice(0, -1);
    const got = await read(path);
    expect(got.errors).toEqual([]);
    for (const at of [2, 3, 4, 5])
      expect(channel(got, header![at]!)).toEqual(countOf(days.map((row) => row[at])));
    expect(got.series).toHaveLength(4);
    // The publisher's own totals agree.
    const printed = rows.at(-1)![2]!.replace(".", "").replace(",", ".");
    expect(Number(channel(got, header![2]!).total)).toBeCloseTo(Number(printed), 6);
    expect(new Set(got.intervals.map((item) => item.seconds))).toEqual(new Set([82_800, 86_400, 90_000]));
    expect(got.problems).toContainEqual(expect.objectContaining({ severity: "info", line: rows.length + 1 }));
  });

  test.each([
    ["fluvius_elec_15min_nl.csv", 900],
    ["fluvius_gas_hourly_nl.csv", 3600],
  ])("Fluvius %s: disjoint registers and two units are series of their own", async (name, seconds) => {
    const path = `portal-csv/${name}`;
    const rows = linesOf(sample(path).toString())
      .slice(1)
      .map((line) => cellsOf(line, ";"));
    const got = await read(path);
    expect(got.errors).toEqual([]);
    const groups = Map.groupBy(rows, (row) => `${row[7]}|${row[9]}`);
    expect(got.series).toHaveLength(groups.size);
    for (const [key, members] of groups) {
      const [register, unit] = key.split("|");
      expect(channel(got, register!, unit === "m³" ? "m3" : "kWh")).toEqual(
        countOf(members.map((row) => row[8])),
      );
    }
    expect(new Set(got.intervals.map((item) => item.seconds))).toEqual(new Set([seconds]));
    expect(got.series.map((one) => one.meter)).toEqual(Array(groups.size).fill(rows[0]![4]));
    expect(
      got.series.every(
        (one) => one.direction === (one.channel.startsWith("Afname") ? "consumption" : "production"),
      ),
    ).toBe(true);
    noDuplicates(got);
  });

  test("EnergyControl: preamble, remarks at the end, readings of a register", async () => {
    const path = "portal-csv/energycontrol_water.csv";
    const rows = linesOf(sample(path).toString()).map((line) => cellsOf(line, ";"));
    const readings = rows.filter((row) => /^\d\d\.\d\d\.\d\d$/.test(row[0]!));
    const got = await read(path);
    expect(got.errors).toEqual([]);
    expect(got.series).toMatchObject([{ type: "water", unit: "m3", register: true }]);
    expect(tally(got, 0)).toEqual(countOf(readings.map((row) => row[2])));
    expect(got.intervals).toEqual([]);
    expect(iso(got.readings[0]?.time)).toBe("2022-10-29T09:39:00.000Z");
    expect(got.problems.filter((one) => one.severity === "warning" && one.line !== null).length).toBe(
      rows.filter((row) => /^(Created|Wenn|https|Made)/.test(row[0]!)).length,
    );
  });

  test("VanOns: four registers as readings, four days of use, newest first", async () => {
    const path = "portal-csv/vanons_nl_registers_2023.csv";
    const [header, ...rows] = linesOf(sample(path).toString()).map((line) => cellsOf(line, ";"));
    const got = await read(path);
    expect(got.errors).toEqual([]);
    expect(got.series.filter((one) => one.register === true)).toHaveLength(4);
    for (const at of [1, 2, 3, 4, 6, 7, 8, 9])
      expect(channel(got, header![at]!)).toEqual(countOf(rows.map((row) => row[at])));
    expect(got.series).toHaveLength(8);
  });

  test("Eneco workbook: group titles above the header, cells without addresses", async () => {
    const got = await read("portal-csv/eneco_nl_2020.xlsx");
    expect(got.errors).toEqual([]);
    expect(got.series).toHaveLength(8);
    const rows = sheetRows("portal-csv/eneco_nl_2020.xlsx").slice(2);
    for (const [index, one] of got.series.entries()) {
      const at = [1, 2, 3, 4, 6, 7, 8, 9][index]!;
      expect(tally(got, one.series)).toEqual(countOf(rows.map((row) => row[at])));
    }
    expect(got.series.map((one) => one.register === true)).toEqual([
      true,
      true,
      false,
      false,
      true,
      true,
      false,
      false,
    ]);
    expect(iso(got.readings[0]?.time)).toBe("2019-12-31T23:00:00.000Z");
  });
});

describe.runIf(haveSamples)("files that need a word from the user", () => {
  test("Engie: what gas is counted in", async () => {
    const path = "portal-csv/engie_be.csv";
    const rows = linesOf(sample(path).toString())
      .slice(1)
      .map((line) => cellsOf(line, ","));
    const alone = await read(path);
    expect(alone.errors).toMatchObject([
      { field: "unit", line: 2 + rows.findIndex((row) => row[3] === "Gas") },
    ]);
    const got = await read(path, { version: 1, units: { Elektriciteit: "kWh", Gas: "m3" } });
    expect(got.errors).toEqual([]);
    for (const series of got.series) {
      const own = rows.filter((row) => row[1] === series.meter);
      expect(tally(got, series.series)).toEqual(countOf(own.map((row) => row[2])));
    }
    expect(got.series.map((one) => [one.type, one.unit, one.timezone])).toEqual([
      ["electricity", "kWh", "Europe/Brussels"],
      ["gas", "m3", "Europe/Brussels"],
    ]);
    noDuplicates(got);
  });

  test("SlimmeMeterPortal workbook: the unit; the labels are ends", async () => {
    const path = "portal-csv/slimmemeterportal_nl_2024_gas.xlsx";
    expect((await read(path)).errors).toMatchObject([{ field: "unit" }]);
    const got = await read(path, { version: 1, columns: { values: [{ column: "levering", unit: "m3" }] } });
    expect(got.errors).toEqual([]);
    expect(got.series).toMatchObject([
      { type: "gas", direction: "consumption", timezone: "Europe/Amsterdam" },
    ]);
    expect(tally(got, 0)).toEqual(
      countOf(
        sheetRows(path)
          .slice(1)
          .map((row) => row[1]),
      ),
    );
    expect(iso(got.intervals[0]?.start)).toBe("2023-12-31T23:00:00.000Z");
    noDuplicates(got);
  });

  test("United Power: three blocks, negative values, a period in one cell", async () => {
    const path = "portal-csv/united_power_hourly_sample.csv";
    expect((await read(path)).errors).toMatchObject([{ field: "timezone" }]);
    const got = await read(path, { version: 1, timezone: "America/Denver" });
    expect(got.errors).toEqual([]);
    const blocks: string[][] = [];
    for (const line of linesOf(sample(path).toString())) {
      if (line.startsWith(" Energy consumption")) blocks.push([]);
      else if (/^ \d{4}-/.test(line)) blocks.at(-1)!.push(line.split(",")[1]!);
    }
    expect(blocks).toHaveLength(3);
    expect(got.series.map((one) => tally(got, one.series))).toEqual(blocks.map((values) => countOf(values)));
    expect(got.series.map((one) => one.channel)).toEqual(["", "block 2", "block 3"]);
  });

  test("Xcel: bills are no granules", async () => {
    const got = await read("portal-csv/xcel_energy_gas_only_sample.csv", {
      version: 1,
      timezone: "America/Denver",
    });
    expect(got.errors).toMatchObject([{ field: "interval" }]);
    expect(got.intervals).toEqual([]);
  });

  const london = { version: 1, timezone: "Europe/London", unit: "kWh", date: "dd/MM/yy" };

  test.each(["valid", "some-missing-readings"])("half-hours in columns: %s", async (name) => {
    const path = `uk/amr_data__row-per-day__${name}.csv`;
    const rows = linesOf(sample(path).toString())
      .slice(1)
      .map((line) => cellsOf(line, ","));
    const got = await read(path, london);
    expect(got.errors).toEqual([]);
    expect(got.series).toMatchObject([{ meter: "K0229111D6" }]);
    expect(tally(got, 0)).toEqual(countOf(rows.flatMap((row) => row.slice(3, 51))));
    expect(iso(got.intervals[0]?.start)).toBe(
      name === "valid" ? "2018-11-12T00:00:00.000Z" : "2017-11-11T00:00:00.000Z",
    );
  });

  test("half-hours in columns: a quotation mark that never closes", async () => {
    const got = await read("uk/amr_data__row-per-day__malformed.csv", london);
    expect(got.errors.length).toBeGreaterThan(0);
    expect(got.errors).toContainEqual(
      expect.objectContaining({ line: 3, message: expect.stringContaining("quotation mark") }),
    );
  });
});

describe.runIf(haveSamples)("British files, by themselves", () => {
  test.each([
    ["uk/amr_data__row-per-reading__valid.csv", "2019-08-25T23:00:00.000Z"],
    ["uk/amr_data__row-per-reading__some-missing-readings.csv", "2019-12-03T00:00:00.000Z"],
    ["uk/amr_highlands__example.csv", "2019-08-25T23:00:00.000Z"],
  ])("%s: sep=, and labels by end or start", async (path, first) => {
    const rows = linesOf(sample(path).toString())
      .slice(2)
      .map((line) => cellsOf(line, ","));
    const got = await read(path);
    expect(got.errors).toEqual([]);
    const meters = Map.groupBy(rows, (row) => row[0]!);
    expect(got.series.map((one) => one.meter)).toEqual([...meters.keys()]);
    for (const series of got.series) {
      expect(tally(got, series.series)).toEqual(countOf(meters.get(series.meter)!.map((row) => row[2])));
    }
    expect(iso(got.intervals[0]?.start)).toBe(first);
    expect(got.intervals.filter((item) => item.quality === "estimated").length).toBe(
      rows.filter((row) => row[3] === "Estimated").length,
    );
  });

  test("mixed line ends and no header", async () => {
    const path = "uk/amr_upload_data_files__with-mixed-line-endings.csv";
    const rows = linesOf(sample(path).toString()).map((line) => cellsOf(line, ","));
    const got = await read(path);
    expect(got.errors).toEqual([]);
    expect(got.series).toMatchObject([{ meter: "2200013680374", unit: "kWh" }]);
    expect(tally(got, 0)).toEqual(countOf(rows.flatMap((row) => row.slice(3))));
    expect(new Set(got.intervals.map((item) => item.line))).toEqual(new Set([1, 2, 3]));
  });

  test("kWh and kVArh side by side", async () => {
    const path = "uk/amr_upload_data_files__example-sheffield-file.csv";
    const rows = linesOf(sample(path).toString())
      .slice(1)
      .map((line) => cellsOf(line, ","));
    const got = await read(path);
    expect(got.errors).toEqual([]);
    expect(got.series.map((one) => [one.meter, one.unit])).toEqual([
      ["2336533093112", "kWh"],
      ["2336533093112", "kVArh"],
    ]);
    expect(tally(got, 0)).toEqual(countOf(rows.flatMap((row) => row.slice(3, 51))));
    expect(tally(got, 1)).toEqual(countOf(rows.flatMap((row) => row.slice(51, 99))));
  });

  test("the same table as CSV and as workbook", async () => {
    const path = "uk/amr_upload_data_files__banes-example-file";
    const rows = linesOf(sample(`${path}.csv`).toString())
      .slice(1)
      .map((line) => cellsOf(line, ","));
    const csv = await read(`${path}.csv`);
    const workbook = await read(`${path}.xlsx`);
    expect(csv.errors).toEqual([]);
    expect(workbook.errors).toEqual([]);
    expect(csv.series.map((one) => one.meter)).toEqual(rows.map((row) => row.at(-2)));
    for (const series of csv.series) {
      const row = rows[series.series]!;
      expect(tally(csv, series.series)).toEqual(countOf(row.slice(7, 55)));
      // The file prints the day's total too.
      expect(tally(csv, series.series).total).toBe(row[6]);
    }
    expect(workbook.intervals).toEqual(csv.intervals);
  });
});
