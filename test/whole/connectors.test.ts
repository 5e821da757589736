import { expect, test } from "vitest";
import { connectors } from "../../tools/proof/connectors.ts";

test("what the utility has published is held, through faults and kills, and every fault has its state", async () => {
  const verdict = await connectors({ customers: 3, days: 7, browsers: 0, seed: 11 });
  expect(verdict, JSON.stringify(verdict, null, 2)).toMatchObject({
    ok: true,
    lockouts: 0,
    held: { missing: 0, extra: 0, wrong: 0, unknown: 0 },
  });
  expect(verdict.held.compared).toBeGreaterThan(100_000);
}, 400_000);
