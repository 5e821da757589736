import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { Budget } from "./budget.ts";
import { Pattern } from "./pattern.ts";

const match = (source: string, text: string) => new Pattern(source).match(text, new Budget());

/** Patterns out of the parts that both matchers know, without groups inside of what is repeated. */
const atom = fc.constantFrom(
  "a",
  "b",
  "\\d",
  "\\w",
  "\\s",
  "[ab1]",
  "[^a]",
  ".",
  "1",
  "(?:a|ab)",
  "\\.",
  "[a-c\\d]",
);
const times = fc.constantFrom("", "", "*", "+", "?", "*?", "+?", "??", "{2}", "{1,2}", "{0,2}?", "{2,}");
const piece = fc.tuple(atom, times).map(([what, count]) => what + count);
const sequence = fc.array(piece, { minLength: 1, maxLength: 4 }).map((all) => all.join(""));
const source = fc
  .tuple(fc.boolean(), sequence, sequence, sequence, fc.boolean())
  .map(
    ([start, one, other, last, end]) =>
      `${start ? "^" : ""}(?<value>${one})(?:${other}|(?<rest>${last}))${end ? "$" : ""}`,
  );

describe("patterns", () => {
  test("match as those of JavaScript do", () => {
    fc.assert(
      fc.property(
        source,
        fc.string({ unit: fc.constantFrom(..."aabbc1 .ä"), maxLength: 12 }),
        (told, text) => {
          // Letters are those of all languages here.
          const expected = new RegExp(told.replaceAll("\\w", "[\\p{L}\\p{N}_]"), "u").exec(text);
          const got = match(told, text);
          expect(got?.[""]).toBe(expected?.[0]);
          expect(got?.value).toBe(expected?.groups?.value);
          expect(got?.rest).toBe(expected?.groups?.rest);
        },
      ),
      { numRuns: 3_000 },
    );
  });

  test("that take ages elsewhere end at once", () => {
    const text = `${"a".repeat(1_000)}!`;
    expect(match("^(?<value>(a+)+)$", text)).toBeUndefined();
    expect(match("^(?<value>a*a*a*a*a*a*a*a*b)", text)).toBeUndefined();
    expect(match("(?<value>(a|aa)+)$", `${"a".repeat(500)}!`)).toBeUndefined();
  });

  test("spend a budget", () => {
    const budget = new Budget();
    const pattern = new Pattern("(?<value>a{1,100}b{1,100}c{1,100})");
    const spend = () => {
      for (;;) pattern.match("x".repeat(1_000), budget);
    };
    expect(spend).toThrow("takes too long");
  });

  test.for([
    ["(?<value>", 'a ")" is missing'],
    ["a)", 'the ")" closes nothing'],
    ["[a", 'a "]" is missing'],
    ["[z-a]", "the range ends before it begins"],
    ["*a", 'nothing to repeat before "*"'],
    ["a**", "repeats what is repeated already"],
    ["(a*)*", "must not match an empty text"],
    ["(?=a)", "looking around is not possible"],
    ["(?<!a)b", "a group's name has letters and digits"],
    ["(a)\\1", '"\\1" is not known'],
    ["\\bword", '"\\b" is not known'],
    ["a{1000}", "go up to 100"],
    ["a{3,2}", "smaller than the first"],
    ["a{x}", 'write "{" as "\\{"'],
    ["((a{100}){100})", "repeats too much"],
    ["(?<x>a)(?<x>b)", "is there twice"],
    ["x".repeat(201), "more than 200"],
    ["a\\", 'nothing follows the last "\\"'],
    [`${"(".repeat(30)}a${")".repeat(30)}`, "deeper than 20"],
  ])("%s is refused: %s", ([told, message]) => {
    expect(() => new Pattern(told!)).toThrow(message!);
  });
});
