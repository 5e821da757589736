import { describe, expect, test } from "vitest";
import { checkConnector, folderOf } from "../../server/src/connector-kit/connector-kit.ts";
import { connectors } from "../../server/src/connectors/all.ts";

/** Every connector: its description, README and grades are complete, and its recorded cases come out as they say. */
describe.each(connectors.map((each) => [each.name, each] as const))("%s", async (name, connector) => {
  const checks = await checkConnector(connector, folderOf(name));
  test.each(checks.map((each) => [each.name, each.problems] as const))("%s", (_, problems) => {
    expect(problems.join("\n")).toBe("");
  });
});
