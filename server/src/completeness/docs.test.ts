import { readFileSync } from "node:fs";
import { expect, test } from "vitest";
import { stateMeanings } from "../collection/collection.ts";
import { reasonMeanings } from "./reason.ts";

const page = readFileSync(new URL("../../../docs/completeness.md", import.meta.url), "utf8");
const state = "See the [state](collection.md#states) of the connection.";

test("the page has every reason with its meaning", () => {
  const rows = Object.entries(reasonMeanings).map(
    ([reason, { expected, who, what }]) =>
      `| \`${reason}\` | ${expected ? "yes" : "no"} | ${who} | ${reason in stateMeanings ? state : what.en} |`,
  );
  const table = page.split("<!-- reasons -->")[1]!.split("<!-- end -->")[0]!;
  expect(table.trim()).toBe(
    ["| reason | missing | who acts | what to do |", "| --- | --- | --- | --- |", ...rows].join("\n"),
  );
});
