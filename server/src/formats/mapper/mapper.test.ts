import { describe, expect, test } from "vitest";
import { type Collected, collect, iso, tally } from "../harness.ts";
import { mapper } from "./mapper.ts";

async function read(
  text: string,
  mapping?: Record<string, unknown>,
  fileName = "table.csv",
): Promise<Collected> {
  const told = mapping === undefined ? {} : { mapping: { version: 1, ...mapping } };
  return await collect(mapper, text, { fileName, ...told });
}

const two = (number: number): string => String(number).padStart(2, "0");

/** `count` rows of a table, one per step. */
function rowsOf(count: number, row: (at: number) => string): string {
  return `${Array.from({ length: count }, (_, at) => row(at)).join("\n")}\n`;
}

const hours = (count: number, value: (at: number) => string, separator = ","): string =>
  rowsOf(count, (at) => `2024-03-${two(1 + Math.floor(at / 24))} ${two(at % 24)}:00${separator}${value(at)}`);

const problem = (got: Collected, field: string): string =>
  got.problems.find((one) => one.field === field)?.message ?? "";

describe("what the file shows is used without a word", () => {
  test("start and end words, decimal comma, semicolon, zone told", async () => {
    const text = `Från;Till;Förbrukning kWh\n${rowsOf(48, (at) => {
      const label = (hour: number): string => `${1 + Math.floor(hour / 24)}.3.2024 ${hour % 24}:00`;
      return `${label(at)};${label(at + 1)};${at},5`;
    })}`;
    const got = await read(text);
    expect(got.errors).toEqual([]);
    expect(got.series).toMatchObject([
      { timezone: "Europe/Stockholm", unit: "kWh", direction: "consumption" },
    ]);
    expect(tally(got, 0)).toEqual({ count: 48, missing: 0, total: "1152" });
    expect(iso(got.intervals[0]?.start)).toBe("2024-02-29T23:00:00.000Z");
  });

  test("offsets in the text need no zone", async () => {
    const got = await read(`Start,kWh\n${rowsOf(4, (at) => `2024-03-01T0${at}:00:00+05:30,1`)}`);
    expect(got.errors).toEqual([]);
    expect(got.series).toMatchObject([{ timezone: null }]);
    expect(iso(got.intervals[0]?.start)).toBe("2024-02-29T18:30:00.000Z");
  });

  test.each([
    ["a tab", "\t"],
    ["a bar", "|"],
    ["a semicolon", ";"],
    ["a comma", ","],
  ])("%s as delimiter", async (_, delimiter) => {
    const got = await read(`Start${delimiter}kWh\n${hours(3, () => "1.5", delimiter)}`, { timezone: "UTC" });
    expect(tally(got, 0).total).toBe("4.5");
  });

  test("several meters in one file, and the unit in a column of its own", async () => {
    const text = `Meter;Start;Value;Unit\n${rowsOf(6, (at) => `M${at % 2};2024-03-01 0${Math.floor(at / 2)}:00;1,25;${at % 2 ? "MWh" : "kWh"}`)}`;
    const got = await read(text, { timezone: "UTC" });
    expect(got.errors).toEqual([]);
    expect(got.series.map((one) => [one.meter, one.unit, one.printedUnit])).toEqual([
      ["M0", "kWh", "kWh"],
      ["M1", "kWh", "MWh"],
    ]);
    expect([tally(got, 0).total, tally(got, 1).total]).toEqual(["3.75", "3750"]);
  });

  test.each([
    ["dd MMM yyyy", "01 Mar 2024 00:00", "01 Mar 2024 01:00", "01 Mar 2024 02:00"],
    ["MMM dd yyyy and AM", "Mar 01 2024 12:00AM", "Mar 01 2024 1:00AM", "Mar 01 2024 2:00AM"],
    ["weekday", "fredag 1.3.2024 00:00", "fredag 1.3.2024 01:00", "fredag 1.3.2024 02:00"],
    ["compact", "202403010000", "202403010100", "202403010200"],
    ["midnight without time", "01.03.2024", "01.03.2024 01:00", "01.03.2024 02:00"],
    ["no-break space", "01.03.2024\u00a000:00", "01.03.2024\u00a001:00", "01.03.2024\u00a002:00"],
    ["slashes, year first", "2024/03/01 00:00", "2024/03/01 01:00", "2024/03/01 02:00"],
  ])("dates: %s", async (_, ...labels) => {
    const got = await read(`Start;kWh\n${labels.map((label) => `${label};2`).join("\n")}\n`, {
      timezone: "UTC",
    });
    expect(got.errors).toEqual([]);
    expect(got.intervals.map((item) => iso(item.start).slice(8, 16))).toEqual([
      "01T00:00",
      "01T01:00",
      "01T02:00",
    ]);
  });

  test("date and time in columns of their own, the period in one, offsets of whole hours", async () => {
    const apart = await read("Date;Time;kWh\n2024-03-01;00:00;1\n2024-03-01;01:00;2\n2024-03-01;02:00;2\n", {
      timezone: "UTC",
    });
    expect(apart.errors).toEqual([]);
    expect(apart.intervals).toHaveLength(3);
    const period = await read(
      'Period,kWh\n"2024-03-01 00:00:00 to 2024-03-01 00:15:00","0.25"\n"2024-03-01 00:15:00 to 2024-03-01 00:30:00","\u00a0"\n',
      { timezone: "UTC" },
    );
    expect(period.errors).toEqual([]);
    expect(period.intervals.map((item) => [item.seconds, item.value])).toEqual([
      [900, 0.25],
      [900, null],
    ]);
  });

  test("a preamble, a repeated header and remarks", async () => {
    const block = `Start;kWh\n${hours(3, () => "1", ";")}`;
    const got = await read(`Customer: x\n\nReport of meters\n${block}End of block\n\n${block}Thank you\n`, {
      timezone: "UTC",
    });
    expect(got.errors).toEqual([]);
    expect(got.series.map((one) => one.channel)).toEqual(["", "block 2"]);
    expect(got.problems).toContainEqual(
      expect.objectContaining({ severity: "warning", message: expect.stringContaining("Thank you") }),
    );
  });

  test("days and months, and their lengths in the zone", async () => {
    const days = await read("Dag;Förbrukning (kWh)\n2024-03-30;1\n2024-03-31;2\n2024-04-01;3\n");
    expect(days.errors).toEqual([]);
    expect(days.intervals.map((item) => item.seconds / 3600)).toEqual([24, 23, 24]);
    const months = await read("Monat;Verbrauch kWh\n2024-01;1\n2024-02;2\n2024-03;3\n");
    expect(months.errors).toEqual([]);
    expect(months.intervals.map((item) => item.seconds / 86_400)).toEqual([31, 29, 31 - 1 / 24]);
  });

  test("ascending and descending files give the same values on both days of change", async () => {
    const autumn = ["00:00", "01:00", "02:00", "02:00", "03:00", "04:00"].map(
      (time, at) => `2024-10-27 ${time};${at + 1}`,
    );
    const up = await read(`Från;Förbrukning kWh\n${autumn.join("\n")}\n`);
    const down = await read(`Från;Förbrukning kWh\n${autumn.toReversed().join("\n")}\n`);
    expect(up.errors).toEqual([]);
    expect(up.intervals.map((item) => iso(item.start).slice(11, 16))).toEqual([
      "22:00",
      "23:00",
      "00:00",
      "01:00",
      "02:00",
      "03:00",
    ]);
    const values = (got: Collected): Map<number, number | null> =>
      new Map(got.intervals.map((item) => [item.start, item.value]));
    expect(values(down)).toEqual(new Map([...values(up)].toReversed()));
  });

  test("end labels on the day of change: the end is converted, then the length is taken off", async () => {
    const spring = ["01:00", "03:00", "04:00"].map((time) => `2024-03-31 ${time};1`);
    const got = await read(`Till;Förbrukning kWh\n${spring.join("\n")}\n`, { interval: 3600 });
    expect(got.errors).toEqual([]);
    expect(got.intervals.map((item) => iso(item.start).slice(11, 16))).toEqual(["23:00", "00:00", "01:00"]);
    const autumn = ["02:00", "02:00", "03:00"].map((time) => `2024-10-27 ${time};1`);
    const back = await read(`Till;Förbrukning kWh\n${autumn.join("\n")}\n`, { interval: 3600 });
    expect(back.intervals.map((item) => iso(item.start).slice(11, 16))).toEqual(["23:00", "00:00", "01:00"]);
  });

  test("a zone of half hours", async () => {
    const got = await read(`Start;kWh\n${hours(3, () => "1", ";")}`, { timezone: "Asia/Kolkata" });
    expect(got.errors).toEqual([]);
    expect(iso(got.intervals[0]?.start)).toBe("2024-02-29T18:30:00.000Z");
  });

  test("24:00 is the end of the day", async () => {
    const rows = rowsOf(24, (at) => `01.03.2024 ${two(at + 1)}:00;1`);
    const got = await read(`Zeit;Verbrauch kWh\n${rows}`);
    expect(got.errors).toEqual([]);
    expect(iso(got.intervals.at(-1)?.start)).toBe("2024-03-01T22:00:00.000Z");
  });
});

describe("the wide layout", () => {
  const times = (count: number, first: number): string =>
    Array.from({ length: count }, (_, at) => {
      const minutes = (at + first) * (1440 / count);
      return `${two(Math.floor(minutes / 60))}:${two(minutes % 60)}`;
    }).join(",");
  const ones = (count: number): string => Array(count).fill("1").join(",");

  test.each([
    [24, 3600],
    [48, 1800],
    [96, 900],
  ])("%i columns", async (count, seconds) => {
    for (const first of [0, 1]) {
      const text = `Meter,Date,${times(count, first)}\nM1,2024-03-01,${ones(count)}\nM1,2024-03-02,${ones(count)}\n`;
      const got = await read(text, { timezone: "Europe/London", unit: "kWh" });
      expect(got.errors).toEqual([]);
      expect(tally(got, 0)).toEqual({ count: 2 * count, missing: 0, total: `${2 * count}` });
      expect(iso(got.intervals[0]?.start)).toBe("2024-03-01T00:00:00.000Z");
      expect(got.intervals[0]?.seconds).toBe(seconds);
    }
  });

  test("clock columns in spring: the hour that is not there must be empty or zero", async () => {
    const cells = (hole: string): string => `${ones(2)},${hole},${hole},${ones(44)}`;
    const text = (hole: string): string =>
      `Meter,Date,${times(48, 0)}\nM1,2024-03-31,${cells(hole)}\nM1,2024-04-01,${ones(48)}\n`;
    const got = await read(text(""), { timezone: "Europe/London", unit: "kWh" });
    expect(got.errors).toEqual([]);
    expect(tally(got, 0)).toEqual({ count: 94, missing: 0, total: "94" });
    const full = await read(text("7"), { timezone: "Europe/London", unit: "kWh" });
    expect(full.errors).toHaveLength(2);
    expect(full.errors[0]).toMatchObject({ line: 2, field: "01:00" });
  });

  test("clock columns in autumn: one hour is not in the file, and that is told", async () => {
    const text = `Meter,Date,${times(24, 0)}\nM1,2024-10-27,${ones(24)}\nM1,2024-10-28,${ones(24)}\n`;
    const got = await read(text, { timezone: "Europe/London", unit: "kWh" });
    expect(got.errors).toEqual([]);
    expect(got.problems).toContainEqual(expect.objectContaining({ severity: "warning", line: 2 }));
    expect(new Set(got.intervals.map((item) => item.start)).size).toBe(48);
  });

  test("fifty counted columns hold the long day", async () => {
    const names = Array.from({ length: 50 }, (_, at) => `kWh_${at + 1}`).join(",");
    const rows = `M1,2024-10-26,${ones(48)},,\nM1,2024-10-27,${ones(50)}\nM1,2024-10-28,${ones(48)},,\n`;
    const got = await read(`Meter,Date,${names}\n${rows}`, { timezone: "Europe/London" });
    expect(got.errors).toEqual([]);
    expect(tally(got, 0)).toEqual({ count: 146, missing: 0, total: "146" });
    const wrong = await read(`Meter,Date,${names}\n${rows.replace(",,", ",1,1")}`, {
      timezone: "Europe/London",
    });
    expect(wrong.errors.map((one) => one.line)).toEqual([2, 2]);
  });

  test("a row too short, a row too long, a date with an hour", async () => {
    const head = `Meter,Date,${times(24, 0)}\n`;
    const got = await read(
      `${head}M1,2024-03-01,${ones(24)}\nM1,2024-03-02,${ones(20)}\nM1,2024-03-03,${ones(25)}\n`,
      {
        timezone: "UTC",
        unit: "kWh",
      },
    );
    expect(got.errors.map((one) => one.line)).toEqual([3, 4]);
    const hour = await read(`${head}M1,2024-03-01 05:00,${ones(24)}\n`, { timezone: "UTC", unit: "kWh" });
    expect(hour.errors).toMatchObject([{ line: 2, field: "date" }]);
  });
});

describe("what the file does not show is asked for, never guessed", () => {
  test("the zone", async () => {
    const got = await read(`Start;kWh\n${hours(3, () => "1", ";")}`);
    expect(got.intervals).toEqual([]);
    expect(got.errors).toMatchObject([{ field: "timezone" }]);
    expect(problem(got, "timezone")).toContain("Europe/Stockholm");
    const told = await collect(mapper, `Start;kWh\n${hours(3, () => "1", ";")}`, { timezone: "UTC" });
    expect(told.intervals).toHaveLength(3);
  });

  test("day or month first", async () => {
    const text = "Date,kWh\n01/02/2024,1\n02/02/2024,1\n";
    const got = await read(text, { timezone: "America/Chicago" });
    expect(problem(got, "date")).toContain('"dd/MM/yyyy" or "MM/dd/yyyy"');
    const told = await read(text, { timezone: "America/Chicago", date: "MM/dd/yyyy", interval: "day" });
    expect(told.errors).toEqual([]);
    expect(iso(told.intervals[0]?.start)).toBe("2024-01-02T06:00:00.000Z");
    const shown = await read("Date,kWh\n12/02/2024,1\n13/02/2024,1\n14/02/2024,1\n", {
      timezone: "America/Chicago",
    });
    expect(iso(shown.intervals[0]?.start)).toBe("2024-02-12T06:00:00.000Z");
  });

  test("the decimal mark", async () => {
    const text = `Start;kWh\n${hours(3, (at) => `1.23${at}`, ";")}`;
    const got = await read(text, { timezone: "UTC" });
    expect(problem(got, "decimal")).toContain("1.230");
    expect(tally(await read(text, { timezone: "UTC", decimal: "." }), 0).total).toBe("3.693");
    expect(tally(await read(text, { timezone: "UTC", decimal: ",", thousands: "." }), 0).total).toBe("3693");
    const proven = `Start;kWh\n${hours(3, (at) => (at === 0 ? "0,5" : "1.234"), ";")}`;
    expect((await read(proven, { timezone: "UTC" })).errors.length).toBeGreaterThan(0);
  });

  test("thousands", async () => {
    const text = `Start;kWh\n${hours(3, (at) => ["0,5", "1.234,5", "1 234,5"][at]!, ";")}`;
    const got = await read(text, { timezone: "UTC" });
    expect(got.errors).toEqual([]);
    expect(tally(got, 0).total).toBe("2469.5");
    const lone = await read(`Start;kWh\n${hours(400, (at) => (at === 390 ? "1.234" : "0,5"), ";")}`, {
      timezone: "UTC",
    });
    expect(lone.errors).toMatchObject([{ line: 392 }]);
    expect(lone.errors[0]?.message).toContain('State "thousands"');
  });

  test("start or end", async () => {
    const late = `Time;kWh\n${rowsOf(3, (at) => `2024-03-01 0${5 + at}:00;1`)}`;
    const got = await read(late, { timezone: "UTC" });
    expect(got.errors).toMatchObject([{ field: "label" }]);
    expect(iso((await read(late, { timezone: "UTC", label: "end" })).intervals[0]?.start)).toBe(
      "2024-03-01T04:00:00.000Z",
    );
    expect(iso((await read(late, { timezone: "UTC", label: "start" })).intervals[0]?.start)).toBe(
      "2024-03-01T05:00:00.000Z",
    );
    const half = await read(`Time;kWh\n${rowsOf(3, (at) => `2024-03-01 0${1 + at}:00;1`)}`, {
      timezone: "UTC",
    });
    expect(half.problems).toContainEqual(expect.objectContaining({ severity: "warning", field: "label" }));
  });

  test("the unit, the type and what is a register", async () => {
    const gas = await read(`Start;Gas\n${hours(3, () => "1", ";")}`, { timezone: "UTC" });
    expect(gas.errors).toMatchObject([{ field: "unit" }]);
    const cubic = await read(`Start;Value (m3)\n${hours(3, () => "1", ";")}`, { timezone: "UTC" });
    expect(cubic.errors).toMatchObject([{ field: "type" }]);
    expect(
      (await read(`Start;Value (m3)\n${hours(3, () => "1", ";")}`, { timezone: "UTC", type: "water" }))
        .series,
    ).toMatchObject([{ type: "water", metric: "flow", unit: "m3" }]);
    const rising = `Start;Import kWh\n${hours(12, (at) => `${5000 + at}.5`, ";")}`;
    expect((await read(rising, { timezone: "UTC" })).errors).toMatchObject([{ field: "values" }]);
    const register = await read(rising, { timezone: "UTC", values: "register" });
    expect(register.errors).toEqual([]);
    expect(register.readings).toHaveLength(12);
    expect(register.series).toMatchObject([{ register: true }]);
  });

  test("rows that differ in nothing but a column without a name that we know", async () => {
    const text = `Start;Part;kWh\n${rowsOf(24, (at) => `2024-03-01 ${two(at >> 1)}:00;${at % 2 ? "A" : "B"};${at},5`)}`;
    const got = await read(text, { timezone: "UTC" });
    expect(problem(got, "columns.channel")).toContain('"Part"');
    const told = await read(text, { timezone: "UTC", columns: { channel: "Part" } });
    expect(told.errors).toEqual([]);
    expect(told.series.map((one) => one.channel)).toEqual(["B", "A"]);
  });

  test("the columns of values, and columns that are not there", async () => {
    const several = await read(`Start;A;B\n${hours(3, () => "1;2", ";")}`, { timezone: "UTC", unit: "kWh" });
    expect(several.errors).toMatchObject([{ field: "columns.values" }]);
    const wrong = await read(`Start;kWh\n${hours(3, () => "1", ";")}`, {
      timezone: "UTC",
      columns: { values: [{ column: "MWh" }] },
    });
    expect(wrong.errors).toMatchObject([{ field: "columns.values" }]);
    const meter = await read(`Start;kWh\n${hours(3, () => "1", ";")}`, {
      timezone: "UTC",
      columns: { meter: "Meter" },
    });
    expect(meter.errors).toMatchObject([{ field: "columns" }]);
    const text = await read("a;b\nc;d\n");
    expect(text.errors).toMatchObject([{ field: "columns.start" }]);
    expect((await read("")).errors).toMatchObject([{ field: "columns.start" }]);
  });
});

describe("what a mapping can say", () => {
  const table = `Zeit;Zahl;Nr\n${rowsOf(4, (at) => `01.03.2024 0${at}:15;${at},5;x`)}`;

  test("mean power becomes energy, exactly where it is exact", async () => {
    const power = `Start;Power (kW)\n${rowsOf(4, (at) => `2024-03-01 00:${two(at * 15)};0,${at}`)}`;
    const mean = await read(power, { timezone: "UTC", values: "mean power" });
    expect(mean.errors).toEqual([]);
    expect(mean.series).toMatchObject([{ metric: "energy", unit: "kWh", printedUnit: "kW" }]);
    expect(mean.intervals.map((item) => item.value)).toEqual([0, 0.025, 0.05, 0.075]);
    const plain = await read(power, { timezone: "UTC" });
    expect(plain.series).toMatchObject([{ metric: "power", unit: "kW" }]);
  });

  test("units, missing words, qualities, directions and types of the file", async () => {
    const text =
      "Start;Kind;Flow;Number;State\n2024-03-01 00:00;warm;in;0,001;gut\n2024-03-01 01:00;warm;in;nix;gut\n2024-03-01 02:00;warm;in;0,5;schlecht\n";
    const got = await read(text, {
      timezone: "UTC",
      unit: "MWh",
      missing: ["nix"],
      qualities: { gut: "measured", schlecht: "estimated" },
      directions: { in: "consumption" },
      types: { warm: "heat" },
      columns: { type: "Kind", direction: "Flow", quality: "State", values: [{ column: "Number" }] },
    });
    expect(got.errors).toEqual([]);
    expect(got.series).toMatchObject([{ type: "heat", direction: "consumption", unit: "kWh" }]);
    expect(got.intervals.map((item) => [item.value, item.quality, item.code])).toEqual([
      [1, "measured", "gut"],
      [null, "missing", "gut"],
      [500, "estimated", "schlecht"],
    ]);
  });

  test("columns by number, fixed meter, name of the channel, metric", async () => {
    const got = await read(table.replaceAll(":15", ":00"), {
      timezone: "Europe/Vienna",
      meter: "M-7",
      label: "start",
      columns: {
        start: 1,
        values: [
          { column: 2, unit: "GJ", type: "heat", channel: "main", metric: "energy", direction: "net" },
        ],
      },
    });
    expect(got.errors).toEqual([]);
    expect(got.series).toMatchObject([
      { meter: "M-7", channel: "main", type: "heat", direction: "net", unit: "kWh", printedUnit: "GJ" },
    ]);
    // 1.5 GJ = 1500/3.6 kWh, to 15 digits.
    expect(got.intervals[1]?.value).toBe(416.666666666667);
  });

  test("a total row is left out, or refused", async () => {
    const text =
      "Von;Bis;Verbrauch kWh\n01.03.2024;02.03.2024;1\n02.03.2024;03.03.2024;2\n01.03.2024;03.03.2024;3\n";
    const skipped = await read(text);
    expect(skipped.errors).toEqual([]);
    expect(tally(skipped, 0).total).toBe("3");
    expect((await read(text, { totals: "refuse" })).errors).toMatchObject([{ line: 4 }]);
    const named = "Von;Verbrauch kWh\n01.03.2024;1\n02.03.2024;2\nSumme;3\n";
    expect((await read(named)).errors).toEqual([]);
    expect((await read(named, { totals: "refuse" })).errors).toMatchObject([{ line: 4 }]);
  });

  test("skipped lines, header rows, delimiter, encoding", async () => {
    const got = await collect(
      mapper,
      Buffer.from("2023-01-01;2023\nx\nWann|Größe\n2024-03-01 00:00|1\n2024-03-01 01:00|2\n", "latin1"),
      {
        mapping: {
          version: 1,
          skipLines: 2,
          headerRows: 1,
          delimiter: "|",
          encoding: "iso-8859-1",
          timezone: "UTC",
          unit: "kWh",
          columns: { values: [{ column: "größe" }] },
        },
      },
    );
    expect(got.errors).toEqual([]);
    expect(got.intervals).toHaveLength(2);
  });

  test("a mapping that is not sound says where", async () => {
    const got = await read("a", { timezone: "Mars/Olympus", unit: "pcs", date: "qq", colums: {} });
    expect(got.errors.map((one) => one.message).join(" ")).toMatch(/timezone.*date|date.*timezone/);
    expect(got.errors.every((one) => one.field === "mapping")).toBe(true);
  });
});

describe("bad rows are told with line and reason", () => {
  const good = `Meter;Start;kWh\n${rowsOf(30, (at) => `M1;2024-03-${two(1 + Math.floor(at / 24))} ${two(at % 24)}:00;${at},25`)}`;
  const told = { timezone: "Europe/Stockholm", decimal: "," };

  test.each([
    ["no date", "M1;yesterday;1,5", "is no date like"],
    ["a date that does not exist", "M1;2019-02-31 00:00;1,5", "is no date like"],
    ["text for a number", "M1;2024-03-05 00:00;many", "is no number"],
    ["another decimal mark", "M1;2024-03-05 00:00;1.5", "is no number"],
    ["not a number", "M1;2024-03-05 00:00;NaN", "is no number"],
    ["a number beyond all doubles", "M1;2024-03-05 00:00;1e309", "is no number"],
    ["a spreadsheet error", "M1;2024-03-05 00:00;#REF!", "is no number"],
    ["a row cut off", "M1;2024-03-05 00:00", "2 cells"],
    ["a shifted row", "M1;2024-03-05 00:00;1;5", "more cells"],
    ["lost digits", "7,36E+17;2024-03-05 00:00;1,5", "lost its digits"],
    ["off the grid", "M1;2024-03-05 00:07;1,5", "No interval of 60 minutes"],
    ["a skipped hour", "M1;2024-03-31 02:00;1,5", "went forward"],
    ["outside the years we keep", "M1;1969-12-31 00:00;1,5", "is no date like"],
  ])("%s", async (_, row, message) => {
    const got = await read(`${good}${row}\nM1;2024-03-06 00:00;2\n`, told);
    expect(got.errors).toHaveLength(1);
    expect(got.errors[0]).toMatchObject({ line: 32, message: expect.stringContaining(message) });
    expect(got.intervals).toHaveLength(31);
  });

  test("signs, blanks and minus signs are read", async () => {
    const row = (hour: number, value: string): string => `M1;2024-03-05 0${hour}:00;${value}\n`;
    const got = await read(
      `${good}${row(0, "−1,5")}${row(1, " 2,5 ")}${row(2, "+3")}${row(3, "-")}${row(4, "null")}`,
      told,
    );
    expect(got.errors).toEqual([]);
    expect(got.intervals.slice(-5).map((item) => item.value)).toEqual([-1.5, 2.5, 3, null, null]);
  });

  test("more problems than are listed are counted", async () => {
    const got = await read(`${good}${"M1;x1;1\n".repeat(1500)}`, told);
    expect(got.errors.length).toBeGreaterThan(990);
    expect(got.errors.at(-1)?.message).toContain("more problems");
  });

  test("too many series stop the reading", async () => {
    const got = await read(`Meter;Start;kWh\n${rowsOf(10_050, (at) => `M${at};2024-03-01 00:00;1`)}`, {
      timezone: "UTC",
      interval: 3600,
      label: "start",
    });
    expect(got.series).toHaveLength(10_000);
    expect(got.errors).toMatchObject([{ message: expect.stringContaining("10000 series") }]);
  });
});

describe("which files are tables", () => {
  test.each([
    ['{"a":1}', "x.json", 0],
    ["<a/>", "x.xml", 0],
    ["hello", "x.txt", 0],
  ])("%s is none", (text, name, confidence) => {
    expect(mapper.detect(Buffer.from(text), name)).toBe(confidence);
  });

  test("a table that is plain scores higher than one with questions", () => {
    const plain = mapper.detect(
      Buffer.from(`Start,kWh\n${rowsOf(5, (at) => `2024-03-01T0${at}:00:00Z,1.5`)}`),
      "x.csv",
    );
    const open = mapper.detect(
      Buffer.from(`Time,kWh\n${rowsOf(5, (at) => `2024-03-01T0${at}:00:00,1`)}`),
      "x.csv",
    );
    expect(plain).toBe(0.5);
    expect(open).toBe(0.2);
  });
});

test("the same items whatever the size of the pieces", async () => {
  const text = `Från;Förbrukning kWh\r\n${hours(100, (at) => `${at},5`, ";").replaceAll("\n", "\r\n")}`;
  const whole = await read(text);
  for (const pieceBytes of [1, 17, 1000]) {
    expect(await collect(mapper, text, { fileName: "table.csv", pieceBytes })).toEqual(whole);
  }
});
