import { describe, expect, test } from "vitest";
import { lineOf, rules, thisProject } from "./tidy.ts";

describe("this project keeps its rules", () => {
  const tree = thisProject();

  test("there is something to look at", () => {
    expect(tree.sources.length).toBeGreaterThan(100);
    expect(tree.paths).toContain("server/src/app.ts");
  });

  test.for(Object.entries(rules))("%s", ([, rule]) => {
    expect(rule(tree).map(lineOf)).toEqual([]);
  });
});
