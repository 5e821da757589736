import { describe, expect, test } from "vitest";
import { readCsv, readMonths } from "./values.ts";

const head = ["Anläggnings-id;1", "Mätarnummer;2", "Benämning;Hus", "Skapad;2026-11-01 12:00", ""];
const columns = "Från;Till;Förbrukning (kWh);Status";
const file = (rows: readonly string[], labels = columns) =>
  `\uFEFF${[...head, labels, ...rows].join("\r\n")}\r\n`;
const row = (from: string, to: string, value = "1,000", status = "Uppmätt") =>
  `2026-10-25 ${from};2026-10-25 ${to};${value};${status}`;
const hours = { metric: "energy", minutes: 60 } as const;
const quarters = { metric: "energy", minutes: 15 } as const;
const changed = expect.objectContaining({ kind: "changed" });

describe("a file of values", () => {
  test("tells the two hours apart that are called 02:00", () => {
    const rows = [row("02:00", "02:00", "1,698"), row("02:00", "03:00", "1,837", "Beräknad")];
    expect(readCsv(file(rows), hours)).toEqual({
      starts: [Date.parse("2026-10-25T00:00Z"), Date.parse("2026-10-25T01:00Z")],
      values: [1.698, 1.837],
      quality: ["measured", "estimated"],
    });
  });

  test("a quarter that can be either of two goes on where the one before ended, else it is not taken", () => {
    const { starts } = readCsv(file([row("01:45", "02:00"), row("02:00", "02:15")]), quarters);
    expect(starts.at(-1)).toBe(Date.parse("2026-10-25T00:00Z"));
    expect(() => readCsv(file([row("02:15", "02:30")]), quarters)).toThrow(changed);
  });

  test("rows that stand twice are one, unless they contradict each other", () => {
    const one = row("05:00", "06:00");
    expect(readCsv(file([one, one]), hours).values).toEqual([1]);
    expect(() => readCsv(file([one, row("05:00", "06:00", "2,000")]), hours)).toThrow(changed);
  });

  test.each([
    ["a point", file([row("05:00", "06:00", "1.000")])],
    ["another number of decimals", file([row("05:00", "06:00", "1,00")])],
    ["a status", file([row("05:00", "06:00", "1,000", "Målt")])],
    ["another length", file([row("05:00", "07:00")])],
    ["a fifth cell", file([`${row("05:00", "06:00")};1`])],
    ["a unit", file([], columns.replace("kWh", "MWh"))],
    ["a label", file([], columns.replace("Till", "Sluttid"))],
    ["a page", "<!doctype html>"],
    ["an end in the middle", file([row("05:00", "06:00")]).slice(0, -5)],
  ])("%s that is not known is changed", (_, text) => {
    expect(() => readCsv(text, hours)).toThrow(changed);
  });
});

test("months: whole ones are read, unknown ones are changed", () => {
  const month = { from: "2026-02-01", to: "2026-02-28", usage: 3.5, status: "measured" };
  const json = (more: object) => ({ metering_point: "1", unit: "m3", months: [{ ...month, ...more }] });
  expect(readMonths(json({}), "flow")).toMatchObject({
    starts: [Date.parse("2026-01-31T23:00Z")],
    values: [3.5],
  });
  expect(readMonths(json({ to: "2026-02-20" }), "flow").starts).toEqual([]);
  for (const wrong of [json({ usage: "3.5" }), json({ status: "x" }), { ...json({}), unit: "l" }, null]) {
    expect(() => readMonths(wrong, "flow")).toThrow(changed);
  }
});
