import { expect, test } from "vitest";
import { killImport } from "../../tools/proof/kill-import.ts";

test("a server and a database that are killed while they store lose nothing", async () => {
  const verdict = await killImport({ cycles: 3, seed: 7 });
  expect(verdict).toMatchObject({ ok: true, lost: 0, wrong: 0, miscounted: 0, leftovers: 0 });
  expect(verdict.compared).toBeGreaterThan(100_000);
}, 240_000);
