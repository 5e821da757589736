import { expect, test } from "vitest";
import { zoneOf } from "./zone.ts";

const local = (tzOffset: number, dstStartRule = "", dstEndRule = "", dstOffset = "3600") =>
  zoneOf({ tzOffset: String(tzOffset), dstOffset, dstStartRule, dstEndRule });

test.each([
  ["New York", -18_000, "360E2000", "B40E2000", "America/New_York"],
  ["Los Angeles, lower case", -28_800, "360e2000", "b40e2000", "America/Los_Angeles"],
  ["St John's, by half an hour", -12_600, "360E2000", "B40E2000", "America/St_Johns"],
  ["Sunday on or after the 8th", -18_000, "328E2000", "B21E2000", "America/New_York"],
  ["Berlin, last Sundays", 3_600, "3E0E2000", "AE0E3000", "Europe/Berlin"],
  ["Sydney", 36_000, "A40E2000", "440E3000", "Australia/Sydney"],
  ["Auckland", 43_200, "9E0E2000", "440E3000", "Pacific/Auckland"],
  ["no rules", -25_200, "FFFFFFFF", "FFFFFFFF", "Etc/GMT+7"],
  ["no rules at all, east", 7_200, "", "", "Etc/GMT-2"],
  ["UTC", 0, "FFFFFFFF", "FFFFFFFF", "Etc/UTC"],
  ["India", 19_800, "FFFFFFFF", "FFFFFFFF", "Asia/Kolkata"],
])("%s", (_, tzOffset, start, end, zone) => {
  expect(local(tzOffset, start, end)).toEqual({ zone });
});

test("an offset of daylight saving of zero is none", () => {
  expect(local(-18_000, "360E2000", "B40E2000", "0")).toEqual({ zone: "Etc/GMT+5" });
});

test.each([
  ["rules cut to four digits", -28_800, "B60E", "B40E"],
  ["the wrong sign", 18_000, "360E2000", "B40E2000"],
  ["start and end swapped", -18_000, "B40E2000", "360E2000"],
  ["letters", -18_000, "36XE2000", "B40E2000"],
  ["an offset in hours and more", 1e9, "", ""],
  ["an odd offset", 1_234, "", ""],
])("%s is told, not guessed", (_, tzOffset, start, end) => {
  expect(local(tzOffset, start, end)).toHaveProperty("problem");
});

test("no offset", () => {
  expect(zoneOf({ tzOffset: "", dstOffset: "", dstStartRule: "", dstEndRule: "" })).toHaveProperty("problem");
});
