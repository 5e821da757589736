import { describe, expect, test } from "vitest";
import { eloverblikCsv } from "./eloverblik/csv.ts";
import { eloverblikJson } from "./eloverblik/json.ts";
import { fingrid } from "./fingrid/fingrid.ts";
import { type Collected, collect } from "./harness.ts";
import type { Format } from "./item.ts";
import { mapper } from "./mapper/mapper.ts";

/** Numbers that look random and are the same on each run (mulberry32). */
function dice(seed: number): (below: number) => number {
  let state = seed;
  return (below) => {
    state = (state + 0x6d2b79f5) | 0;
    let mixed = Math.imul(state ^ (state >>> 15), 1 | state);
    mixed = (mixed + Math.imul(mixed ^ (mixed >>> 7), 61 | mixed)) ^ mixed;
    return ((mixed ^ (mixed >>> 14)) >>> 0) % below;
  };
}

const two = (number: number): string => String(number).padStart(2, "0");
const rows = (count: number, row: (at: number) => string): string =>
  Array.from({ length: count }, (_, at) => `${row(at)}\n`).join("");

interface Subject {
  name: string;
  format: Format;
  text: string;
  mapping?: unknown;
  /** A value and a time as they stand in the file, to damage them on purpose. */
  value: string;
  time: string;
  delimiter: string;
}

const subjects: Subject[] = [
  {
    name: "Fingrid",
    format: fingrid,
    text:
      "Mittauspisteen tunnus;Tuotteen tyyppi;Resoluutio;Yksikkötyyppi;Lukeman tyyppi;Alkuaika;Määrä;Laatu\n" +
      rows(
        48,
        (at) =>
          `643007570000000001;8716867000030;PT15M;kWh;BN01;2025-01-01T${two(at >> 2)}:${two((at % 4) * 15)}:00Z;1,${at};OK`,
      ),
    value: "1,17;",
    time: "2025-01-01T03:15:00Z",
    delimiter: ";",
  },
  {
    name: "Eloverblik CSV",
    format: eloverblikCsv,
    text:
      "MålepunktsID;Fra_dato;Til_dato;Mængde;Måleenhed;Kvalitet;Type\n" +
      rows(
        24,
        (at) =>
          `571313179100000001;05-01-2023 ${two(at)}:00:00;05-01-2023 ${two(at + 1)}:00:00;0,${at + 1};KWH;Målt;Tidsserie`,
      ).replace("05-01-2023 24:00:00", "06-01-2023 00:00:00"),
    value: "0,17;",
    time: "05-01-2023 05:00:00",
    delimiter: ";",
  },
  {
    name: "Eloverblik JSON",
    format: eloverblikJson,
    text: JSON.stringify(
      {
        result: [
          {
            MyEnergyData_MarketDocument: {
              createdDateTime: "2024-02-15T10:10:07Z",
              TimeSeries: [
                {
                  mRID: "571313179100000001",
                  businessType: "A04",
                  "measurement_Unit.name": "KWH",
                  MarketEvaluationPoint: { mRID: { codingScheme: "A10", name: "571313179100000001" } },
                  Period: [
                    {
                      resolution: "PT1H",
                      timeInterval: { start: "2024-02-11T23:00:00Z", end: "2024-02-12T23:00:00Z" },
                      Point: Array.from({ length: 24 }, (_, at) => ({
                        position: `${at + 1}`,
                        "out_Quantity.quantity": `0.${at + 1}`,
                        "out_Quantity.quality": "A04",
                      })),
                    },
                  ],
                },
              ],
            },
            success: true,
            errorCode: 10000,
          },
        ],
      },
      null,
      1,
    ),
    value: '0.17"',
    time: "2024-02-11T23:00:00Z",
    delimiter: ",",
  },
  {
    name: "long table",
    format: mapper,
    mapping: {
      version: 1,
      timezone: "Europe/Stockholm",
      decimal: ",",
      date: "yyyy-MM-dd HH:mm",
      interval: 3600,
      label: "start",
    },
    text: `Meter;Start;kWh;Status\n${rows(48, (at) => `M1;2024-03-${two(1 + Math.floor(at / 24))} ${two(at % 24)}:00;2,${at};Measured`)}`,
    value: "2,17;",
    time: "2024-03-01 05:00",
    delimiter: ";",
  },
  {
    name: "wide table",
    format: mapper,
    mapping: { version: 1, timezone: "Europe/London", decimal: ".", unit: "kWh", date: "dd/MM/yyyy" },
    text:
      `MPAN,Date,${Array.from({ length: 48 }, (_, at) => `${two(at >> 1)}:${at % 2 ? "30" : "00"}`).join(",")}\n` +
      rows(
        20,
        (at) =>
          `2200012767323,${two(at + 1)}/05/2024,${Array.from({ length: 48 }, (_, slot) => `${at}.${slot}`).join(",")}`,
      ),
    value: ",3.17,",
    time: "04/05/2024",
    delimiter: ",",
  },
];

const read = (subject: Subject, content: string | Uint8Array): Promise<Collected> =>
  collect(subject.format, content, {
    fileName: "file",
    pieceBytes: 1000,
    ...(subject.mapping ? { mapping: subject.mapping } : {}),
  });

function sound(got: Collected): void {
  for (const item of got.intervals) {
    expect(item.value === null || Number.isFinite(item.value)).toBe(true);
    expect(item.start % 60_000).toBe(0);
    expect(item.seconds).toBeGreaterThan(0);
    expect(got.series[item.series]).toBeDefined();
  }
  for (const problem of got.errors) {
    expect(problem.message.length).toBeGreaterThan(10);
    expect(problem.message.length).toBeLessThan(600);
  }
}

describe.each(subjects)("$name", (subject) => {
  test("the file itself is sound", async () => {
    const got = await read(subject, subject.text);
    expect(got.errors).toEqual([]);
    expect(got.intervals.length).toBeGreaterThan(20);
  });

  test("400 random damages: never a crash, never a number from nowhere", async () => {
    const original = Buffer.from(subject.text);
    const roll = dice(20_240_331);
    const pieces = [
      subject.delimiter,
      '"',
      "\n",
      "\r",
      "\0",
      "\u00e9",
      "9999999999",
      "-",
      "e9",
      "=",
      "  ",
      "\ufeff",
      "{",
      "]",
    ];
    for (let round = 0; round < 400; round++) {
      let bytes = Buffer.from(original);
      for (let times = roll(3); times >= 0; times--) {
        const at = roll(bytes.length);
        const length = roll(30);
        const kind = roll(5);
        if (kind === 0) bytes[at] = roll(256);
        else if (kind === 1) bytes = Buffer.concat([bytes.subarray(0, at), bytes.subarray(at + length)]);
        else if (kind === 2)
          bytes = Buffer.concat([
            bytes.subarray(0, at),
            Buffer.from(pieces[roll(pieces.length)]!),
            bytes.subarray(at),
          ]);
        else if (kind === 3)
          bytes = Buffer.concat([bytes.subarray(0, at), bytes.subarray(Math.max(0, at - length))]);
        else bytes = bytes.subarray(0, Math.max(1, at));
      }
      sound(await read(subject, bytes));
    }
  });

  test("each damage that changes a row is told with its line", async () => {
    const at = (needle: string): number => subject.text.indexOf(needle);
    const line = (needle: string): number => subject.text.slice(0, at(needle)).split("\n").length;
    expect(at(subject.value)).toBeGreaterThan(0);
    expect(at(subject.time)).toBeGreaterThan(0);
    const damages: [string, string, string][] = [
      [subject.value, subject.value.replace("17", "1x"), subject.value],
      [subject.value, subject.value.replace("17", "1.7,1"), subject.value],
      [subject.value, subject.value.replace("17", "17NaN"), subject.value],
      [subject.time, subject.time.replace(/\d/, "x"), subject.time],
      [
        subject.time,
        subject.time.replace(/-0[1-5]-|\/05\//, (month) => month.replace(/\d+/, "13")),
        subject.time,
      ],
    ];
    for (const [from, to, where] of damages) {
      const got = await read(subject, subject.text.replace(from, to));
      expect(got.errors.length).toBeGreaterThan(0);
      const told = got.errors.map((problem) => problem.line ?? 0);
      // JSON tells the line on which the damaged object begins.
      expect(
        told.some((one) => Math.abs(one - line(where)) <= (subject.format === eloverblikJson ? 3 : 0)),
      ).toBe(true);
    }
  });

  test("a file cut off inside a row is refused", async () => {
    const end = subject.text.lastIndexOf(subject.delimiter);
    for (const cut of [end, end - 5]) {
      expect((await read(subject, subject.text.slice(0, cut))).errors.length).toBeGreaterThan(0);
    }
  });
});

test("the event loop turns at least once for every 64 KiB", async () => {
  const time = (at: number): string => new Date(Date.UTC(2022, 0, 1, at)).toISOString().replace(".000", "");
  const row = (at: number): string => `643007570000000001;8716867000030;PT1H;kWh;BN01;${time(at)};1,5;OK`;
  const text = `${subjects[0]!.text.split("\n", 1)[0]}\n${rows(20_000, row)}`;
  for (const format of [fingrid, mapper]) {
    let turns = 0;
    let reading = true;
    const count = (): void => {
      turns++;
      if (reading) setImmediate(count);
    };
    setImmediate(count);
    const mapping = { version: 1, direction: "consumption" };
    const got = await collect(format, text, {
      pieceBytes: text.length,
      ...(format === mapper ? { mapping } : {}),
    });
    expect(got.errors).toEqual([]);
    expect(got.intervals).toHaveLength(20_000);
    reading = false;
    expect(turns).toBeGreaterThanOrEqual(Math.floor(text.length / 65_536));
  }
});
