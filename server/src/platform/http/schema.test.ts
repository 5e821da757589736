import fc from "fast-check";
import { expect, test } from "vitest";
import { z } from "zod";
import {
  accountId,
  boolean,
  commaList,
  decimal,
  formatTimestamp,
  id,
  integer,
  parseTimestamp,
  timestamp,
  timestampText,
} from "./schema.ts";

const passes = (schema: z.ZodType, value: unknown) => schema.safeParse(value).success;

test("ids", () => {
  expect(passes(id(), "5d1c9f2a8b3e4c0017a6d2f1")).toBe(true);
  for (const wrong of ["5D1C9F2A8B3E4C0017A6D2F1", "5d1c", "", "me", 7, "5d1c9f2a8b3e4c0017a6d2f1\n"]) {
    expect(passes(id(), wrong)).toBe(false);
  }
  expect(passes(accountId(), "me")).toBe(true);
  expect(passes(accountId(), "you")).toBe(false);
});

test("numbers come as text from an address and as numbers from JSON", () => {
  expect(integer({ min: 0 }).parse("12")).toBe(12);
  expect(integer().parse(-3)).toBe(-3);
  expect(decimal().parse("-1.5e3")).toBe(-1500);
  for (const wrong of ["", " ", "1.5", "0x10", "1e400", "12abc", null, true, [], "9007199254740993"]) {
    expect(passes(integer(), wrong)).toBe(false);
  }
  expect(passes(integer({ min: 0 }), "-1")).toBe(false);
  for (const wrong of ["", "Infinity", "NaN", "1,5", "--1"]) expect(passes(decimal(), wrong)).toBe(false);
});

test("true and false", () => {
  for (const yes of ["true", "1", 1, true]) expect(boolean().parse(yes)).toBe(true);
  for (const no of ["false", "0", 0, false]) expect(boolean().parse(no)).toBe(false);
  for (const wrong of ["yes", "", null, 2]) expect(passes(boolean(), wrong)).toBe(false);
});

test("lists with commas, repeats or brackets are the same", () => {
  const list = commaList(z.string());
  expect(list.parse("a,b,,c ")).toEqual(["a", "b", "c"]);
  expect(list.parse(["a", "b,c"])).toEqual(["a", "b", "c"]);
  expect(list.parse("")).toEqual([]);
  expect(passes(list, [1])).toBe(false);
  expect(passes(commaList(z.string(), 2), "a,b,c")).toBe(false);
});

test("instants are written with an offset without colon", () => {
  expect(formatTimestamp(Date.UTC(2019, 2, 19, 9, 20, 35, 999))).toBe("2019-03-19T09:20:35+0000");
  expect(passes(timestampText(), formatTimestamp(0))).toBe(true);
});

test("instants are read in every usual spelling", () => {
  const at = Date.UTC(2019, 2, 19, 9, 20, 35);
  for (const text of [
    "2019-03-19T09:20:35+0000",
    "2019-03-19T09:20:35Z",
    "2019-03-19T10:20:35+01:00",
    "2019-03-19T10:20:35 0100",
    "2019-03-19 04:20:35-0500",
    "2019-03-19T09:20:35.000Z",
  ]) {
    expect(timestamp().parse(text), text).toBe(at);
  }
  expect(parseTimestamp("2019-03-19T09:20Z")).toBe(Date.UTC(2019, 2, 19, 9, 20));
  expect(parseTimestamp("2019-03-19T09:20:35.250Z")).toBe(at + 250);
});

test("what is no instant is refused", () => {
  for (const text of [
    "2019-02-30T00:00:00Z",
    "2019-03-19",
    "2019-13-01T00:00:00Z",
    "2019-03-19T24:00:00Z",
    "",
    "now",
  ]) {
    expect(passes(timestamp(), text), text).toBe(false);
  }
});

test("an instant that is written reads back the same", () => {
  const seconds = fc.integer({
    min: Date.UTC(1, 0) / 1000 + 3_200_000_000,
    max: Date.UTC(9999, 11, 31) / 1000,
  });
  fc.assert(
    fc.property(seconds, (second) => parseTimestamp(formatTimestamp(second * 1000)) === second * 1000),
  );
});
