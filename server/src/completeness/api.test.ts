import fc from "fast-check";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { newAccount, type TestAccount } from "../../../test/harness/accounts.ts";
import { type TestApi, testApi } from "../../../test/harness/api.ts";
import { newMeter, newMeters } from "../../../test/harness/meters.ts";
import { authenticate } from "../accounts/accounts.ts";
import { meterEndpoints } from "../meters/api.ts";
import type { Granularity } from "../platform/granularity.ts";
import { granuleStarts } from "../platform/time/granule.ts";
import { ingest } from "../series/series.ts";
import { treeEndpoints } from "../trees/api.ts";
import { completenessEndpoints } from "./api.ts";

let api: TestApi;
let owner: TestAccount;
const now = Date.UTC(2026, 10, 15, 12);

beforeAll(async () => {
  const endpoints = [...meterEndpoints, ...treeEndpoints, ...completenessEndpoints([])];
  api = await testApi({ endpoints, authenticate, settings: { pageMax: 100 } });
  api.clock.set(now);
  owner = await newAccount(api.deps);
});
afterAll(() => api.close());

const get = (path: string, who: TestAccount = owner) => api.call("GET", path, { token: who.token });
async function data(path: string, who: TestAccount = owner) {
  const answer = await get(path, who);
  if (answer.status !== 200) throw new Error(`${path}: ${answer.text}`);
  return answer.json.data;
}
const at = (text: string) => Date.parse(text);

interface Stored {
  id: string;
  part: number;
  timezone: string;
}

async function store(meter: Stored, granularity: Granularity, starts: readonly number[]): Promise<void> {
  const run = {
    meter: { id: meter.id, part: meter.part, timezone: meter.timezone },
    metric: "energy",
    granularity,
    starts: Float64Array.from(starts),
    values: Float64Array.from(starts, (_, i) => i + 0.5),
    quality: "measured" as const,
  };
  await ingest(api.db, [{ document: { source: `${meter.id} ${starts[0]}` }, runs: [run] }], now);
}

async function meterIn(timezone: string, holder: TestAccount = owner): Promise<Stored> {
  const { id, part } = await newMeter(api, holder, { timezone });
  return { id, part, timezone };
}

describe("what is missing", () => {
  test.for<[Granularity, string, string, string]>([
    ["hour", "Europe/Stockholm", "202510", "2025-09-30T22:00:00Z"],
    ["hour", "Australia/Lord_Howe", "202510", "2025-09-30T13:30:00Z"],
    ["15min", "Asia/Kathmandu", "202510", "2025-09-30T18:15:00Z"],
    ["day", "America/St_Johns", "2025", "2025-01-01T03:30:00Z"],
    ["month", "Europe/Stockholm", "2023-2025", "2022-12-31T23:00:00Z"],
  ])(
    "of %ss in %s is exactly what was left out, whatever that is",
    async ([granularity, timezone, period, first]) => {
      await fc.assert(
        fc.asyncProperty(fc.array(fc.tuple(fc.nat(4_000), fc.nat(80)), { maxLength: 8 }), async (runs) => {
          const meter = await meterIn(timezone);
          const to = at(period === "202510" ? "2025-11-10T00:00:00Z" : "2026-02-01T00:00:00Z");
          const all = granuleStarts(granularity, timezone, { from: at(first) - 40 * 86_400_000, to });
          const inside = all.filter((start) => start >= at(first));
          const gone = new Set(runs.flatMap(([from, n]) => inside.slice(from % inside.length).slice(0, n)));
          await store(
            meter,
            granularity,
            all.filter((start) => !gone.has(start)),
          );
          const [{ series }] = await data(
            `/completeness?meters=${meter.id}&granularity=${granularity}&period=${period}`,
          );
          const [found] = series[0].periods;
          expect(at(found.from)).toBe(at(first));
          const asked = inside.filter((start) => start < at(found.to));
          const holes = asked.filter((start) => gone.has(start));
          const told = found.gaps.flatMap((gap: { from: string; to: string }) =>
            granuleStarts(granularity, timezone, { from: at(gap.from), to: at(gap.to) }),
          );
          expect(told).toEqual(holes);
          expect(found).toMatchObject({
            received: asked.length - holes.length,
            missing: holes.length,
            expected: asked.length,
          });
          expect(series[0].complete).toBe(found.missing === 0);
        }),
        { numRuns: 6 },
      );
    },
  );

  test("counts hours of days with 23 and 25 of them", async () => {
    const meter = await meterIn("Europe/Stockholm");
    await store(meter, "hour", [at("2025-01-01T00:00:00+01:00")]);
    const path = `/completeness?meters=${meter.id}&granularity=hour&period=20250330%2B20251026%2B20251027`;
    const [{ series }] = await data(path);
    expect(series[0].periods.map(({ expected }: { expected: number }) => expected)).toEqual([23, 25, 24]);
    expect(series[0].periods[1].gaps).toEqual([
      {
        from: "2025-10-25T22:00:00+0000",
        to: "2025-10-26T23:00:00+0000",
        count: 25,
        reason: "not_uploaded",
        expected: true,
        who_acts: "customer",
        next_try: null,
        connection: null,
      },
    ]);
  });

  test("a day and a month that follow from hours are there, until an hour is not", async () => {
    const meter = await meterIn("Europe/Stockholm");
    const month = { from: at("2025-09-30T22:00:00Z"), to: at("2025-10-31T23:00:00Z") };
    const hours = granuleStarts("hour", "Europe/Stockholm", month);
    await store(meter, "hour", [month.from - 3_600_000, ...hours.filter((_, i) => i !== 100)]);
    const path = (granularity: string) =>
      `/completeness?meters=${meter.id}&period=202510&granularity=${granularity}`;
    const found = async (granularity: string) => (await data(path(granularity)))[0].series[0].periods[0];
    expect(await found("day")).toMatchObject({ expected: 31, received: 30, gaps: [{ count: 1 }] });
    expect(await found("month")).toMatchObject({ expected: 1, received: 0, gaps: [{ count: 1 }] });
    await store(meter, "hour", [hours[100]!]);
    expect(await found("day")).toMatchObject({ expected: 31, received: 31, gaps: [] });
    expect(await found("month")).toMatchObject({ expected: 1, received: 1, gaps: [] });
  });

  test("ends now: what is not over is neither expected nor missing", async () => {
    const meter = await meterIn("Etc/GMT-1");
    await store(meter, "hour", [at("2026-11-01T00:00:00+01:00")]);
    const [{ series }] = await data(`/completeness?meters=${meter.id}&granularity=hour&period=202611`);
    const [{ expected, reasons, gaps }] = series[0].periods;
    expect(expected).toBe(14 * 24 + 13);
    expect(gaps.map(({ reason, to }: { reason: string; to: string }) => [reason, to])).toEqual([
      ["not_uploaded", "2026-11-12T23:00:00+0000"],
      ["late_as_usual", "2026-11-15T12:00:00+0000"],
    ]);
    expect(reasons).toEqual({ not_uploaded: 12 * 24 - 1, late_as_usual: 2 * 24 + 13 });
    expect(
      (await data(`/completeness?meters=${meter.id}&granularity=hour&period=2027`))[0].series[0].periods[0],
    ).toMatchObject({ expected: 0, gaps: [] });
  });
});

describe("which meters", () => {
  let account: TestAccount;
  let meters: Stored[];
  let node: string;

  beforeAll(async () => {
    account = await newAccount(api.deps);
    const made = await newMeters(
      api,
      account,
      Array.from({ length: 5 }, (_, i) => ({
        name: `Meter ${i}`,
        timezone: "Etc/GMT-1",
        ...(i === 4 ? { box: "ignored" as const } : {}),
      })),
    );
    meters = made.map(({ id, part }) => ({ id, part, timezone: "Etc/GMT-1" }));
    for (const [i, meter] of meters.entries()) {
      const starts = granuleStarts("month", "Etc/GMT-1", {
        from: at("2026-01-01T00:00:00+01:00"),
        to: at("2026-10-20T00:00:00+02:00"),
      });
      await store(meter, "month", i % 2 === 0 ? starts : starts.slice(0, -1));
    }
    const post = (path: string, body: object) => api.call("POST", path, { token: account.token, body });
    node = (await post("/trees", { name: "House", parent: null })).json.data._id;
    for (const { id } of meters.slice(0, 2)) await post(`/trees/${node}/meters`, { _id: id });
  });

  const names = (elements: { meter: { name: string } }[]) => elements.map(({ meter }) => meter.name);

  test("all active ones, of the last whole month, unless told otherwise", async () => {
    const found = await data("/completeness", account);
    expect(names(found)).toEqual(["Meter 0", "Meter 1", "Meter 2", "Meter 3"]);
    expect(found[1]).toMatchObject({
      meter: { _id: meters[1]!.id, root_id: meters[1]!.id, type: "electricity", timezone: "Etc/GMT-1" },
      granularity: "month",
      series: [
        {
          metric: "energy",
          complete: false,
          periods: [
            {
              from: "2026-09-30T23:00:00+0000",
              to: "2026-10-31T23:00:00+0000",
              expected: 1,
              received: 0,
              missing: 1,
            },
          ],
        },
      ],
    });
  });

  test("pages, and lists those that are incomplete", async () => {
    const page = await get("/completeness?limit=2&skip=1", account);
    expect(page.json).toMatchObject({ count: 4, skip: 1, limit: 2 });
    expect(names(page.json.data)).toEqual(["Meter 1", "Meter 2"]);
    const some = await get("/completeness?complete=false&limit=1&skip=1", account);
    expect(some.json).toMatchObject({ count: 2, skip: 1, limit: 1 });
    expect(names(some.json.data)).toEqual(["Meter 3"]);
    expect(names(await data("/completeness?complete=true", account))).toEqual(["Meter 0", "Meter 2"]);
  });

  test("below nodes, by name, and both", async () => {
    expect(names(await data(`/completeness?tree_structure_ids=${node}`, account)).sort()).toEqual([
      "Meter 0",
      "Meter 1",
    ]);
    expect(names(await data(`/completeness?meters=${meters[2]!.id},${meters[1]!.id}`, account))).toEqual([
      "Meter 2",
      "Meter 1",
    ]);
    expect(
      names(
        await data(
          `/completeness?tree_structure_ids=${node}&meters=${meters[2]!.id},${meters[1]!.id}`,
          account,
        ),
      ),
    ).toEqual(["Meter 1"]);
  });

  test("in short", async () => {
    expect(await data("/completeness/summary?period=2026", account)).toEqual({
      meters: 4,
      complete_meters: 2,
      expected: 40,
      received: 38,
      missing: 2,
      reasons: { not_uploaded: 2 },
    });
  });

  test("metrics by name; one that a meter never had is not expected", async () => {
    const [found] = await data(`/completeness?meters=${meters[0]!.id}&metrics=flow,energy`, account);
    expect(found.series).toMatchObject([
      {
        metric: "flow",
        complete: true,
        periods: [{ expected: 0, received: 0, gaps: [{ reason: "never_had", expected: false }] }],
      },
      { metric: "energy", complete: true },
    ]);
  });

  test.for([
    ["metrics=heat", 400, /metrics: unknown metric "heat"; known are energy/],
    ["metrics=", 400, /metrics: name at least one/],
    ["metrics=estimated_energy", 400, /unknown metric "estimated_energy"/],
    ["granularity=week", 400, /granularity/],
    ["period=last", 400, /is not a period/],
    ["period=2026-2025", 400, /ends before it starts/],
    ["complete=perhaps", 400, /complete/],
    ["meters=", 400, /name at least one/],
    [`period=${Array.from({ length: 101 }, () => "2026").join("%2B")}`, 400, /at most 100 periods/],
    ["period=1970-2099&granularity=5min", 400, /looks at \d+ values of each meter, at most 1000000/],
    ["account=000000000000000000000000", 404, /not found/],
    ["account=you", 400, /account/],
    ["tree_structure_ids=000000000000000000000000", 404, /not found/],
    ["meters=000000000000000000000000", 404, /not found/],
  ] as const)("%s is refused", async ([query, status, message]) => {
    for (const path of ["/completeness", "/completeness/summary"]) {
      if (path.endsWith("summary") && query.startsWith("complete")) continue;
      const answer = await get(`${path}?${query}`, account);
      expect([answer.status, answer.json.message]).toEqual([status, expect.stringMatching(message)]);
    }
  });

  test("a meter that was put away is refused by name", async () => {
    expect((await get(`/completeness?meters=${meters[4]!.id}`, account)).status).toBe(403);
  });

  test("others have neither the meters nor the nodes", async () => {
    for (const query of [`account=${account.id}`, `meters=${meters[0]!.id}`, `tree_structure_ids=${node}`]) {
      expect((await get(`/completeness?${query}`)).status).toBe(404);
      expect((await get(`/completeness/summary?${query}`)).status).toBe(404);
    }
  });

  test("more values than one request may look at are refused with the number", async () => {
    await newMeters(
      api,
      account,
      Array.from({ length: 25 }, () => ({})),
    );
    const answer = await get("/completeness/summary?granularity=5min&period=2017-2025", account);
    expect([answer.status, answer.json.message]).toEqual([
      400,
      expect.stringMatching(/looks at \d+ values of 29 meters, at most 20000000/),
    ]);
  });
});

test("an answer has room for so many gaps, and says how many it left out", async () => {
  const account = await newAccount(api.deps);
  const made = await newMeters(
    api,
    account,
    Array.from({ length: 6 }, () => ({ timezone: "Etc/GMT-1" })),
  );
  const year = { from: at("2025-01-01T00:00:00+01:00"), to: at("2026-01-01T00:00:00+01:00") };
  for (const { id, part } of made) {
    await store(
      { id, part, timezone: "Etc/GMT-1" },
      "hour",
      granuleStarts("hour", "Etc/GMT-1", year).filter((_, i) => i % 2 === 0),
    );
  }
  const found = await data("/completeness?granularity=hour&period=2025", account);
  const periods = found.map((each: { series: { periods: object[] }[] }) => each.series[0]!.periods[0]);
  expect(periods.map(({ missing }: { missing: number }) => missing)).toEqual(Array(6).fill(4380));
  expect(
    periods.map(({ gaps, gaps_left_out }: { gaps: object[]; gaps_left_out: number }) => [
      gaps.length,
      gaps_left_out,
    ]),
  ).toEqual([...Array(4).fill([4380, 0]), [2480, 1900], [0, 4380]]);
});
