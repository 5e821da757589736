import { afterAll, beforeAll, expect, test } from "vitest";
import { newAccount } from "../../../test/harness/accounts.ts";
import { type TestApi, testApi } from "../../../test/harness/api.ts";
import { newMeter } from "../../../test/harness/meters.ts";
import { ingest } from "../series/series.ts";
import { commit, createStream, nextCut } from "./streams.ts";

let t: TestApi;
beforeAll(async () => {
  t = await testApi({});
});
afterAll(() => t.close());

test("history first, then changes", async () => {
  const account = await newAccount(t.deps);
  const meter = await newMeter(t, account, { timezone: "Etc/GMT-1" });
  const hour = 3_600_000;
  const from = Date.UTC(2025, 0, 1, 23);
  const starts = Array.from({ length: 48 }, (_, i) => from + i * hour);
  const root = { id: meter.id, part: meter.part, timezone: "Etc/GMT-1" };
  const run = (values: number[], at = starts) => [
    {
      document: { source: "x" },
      runs: [{ meter: root, metric: "energy", granularity: "hour" as const, starts: at, values }],
    },
  ];
  await ingest(t.db, run(starts.map((_, i) => i)), t.clock.now());
  const stream = await t.db.transaction((tx) =>
    createStream(tx, {
      accountId: account.id,
      clientId: null,
      resource: "consumption",
      granularity: null,
      now: t.clock.now(),
    }),
  );
  const first = (await nextCut(t.deps, stream, { after: null, limit: 20 }))!;
  expect(first.count).toBe(20);
  expect(await nextCut(t.deps, stream, { after: null, limit: 100 })).toEqual(first);
  const second = (await nextCut(t.deps, stream, { after: first.offset, limit: 1000 }))!;
  expect(second.count).toBe(30);
  expect(second.runs.map((r) => [r.granularity, r.values.length])).toEqual([
    ["hour", 28],
    ["day", 2],
  ]);
  expect(await nextCut(t.deps, stream, { after: second.offset, limit: 1000 })).toBe(null);
  t.clock.advance(1000);
  await ingest(t.db, run([100], [starts[3]!]), t.clock.now());
  const third = (await nextCut(t.deps, stream, { after: second.offset, limit: 1000 }))!;
  expect(third.runs.map((r) => [r.granularity, [...r.values], r.updated])).toEqual([
    ["hour", [100], true],
    ["day", [373], true],
  ]);
  await commit(t.db, stream.id, third.offset);
  await expect(commit(t.db, stream.id, third.offset + 1)).rejects.toThrow("never issued");
});
