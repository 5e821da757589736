import { expect, test } from "vitest";
import { Fault, Problems } from "./problems.ts";

test("tells a thousand problems and how many more, as severe as the worst of them", () => {
  const problems = new Problems();
  for (let line = 1; line <= 1_500; line++) problems.warning("odd", { line });
  problems.error("wrong", { line: 1_501, field: "value" });
  expect(problems.waiting).toBe(true);
  expect(problems.take()).toHaveLength(1_000);
  expect(problems.take()).toEqual([]);
  expect(problems.errors).toBe(1);
  const [last, ...more] = problems.end();
  expect(last).toMatchObject({ severity: "error", line: null, message: expect.stringMatching(/^501 more/) });
  expect(more).toEqual([]);
});

test("a fault stops with its place, other errors go on", () => {
  const problems = new Problems();
  problems.stop(new Fault("too long", { line: 7 }));
  expect(problems.end()).toEqual([
    { kind: "problem", severity: "error", line: 7, field: null, message: "too long" },
  ]);
  expect(() => problems.stop(new TypeError("bug"))).toThrow("bug");
});
