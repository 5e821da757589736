import { afterAll, beforeAll, beforeEach, describe, expect, test } from "vitest";
import { newAccount, type TestAccount } from "../../../test/harness/accounts.ts";
import { type TestApi, testApi } from "../../../test/harness/api.ts";
import { newMeter } from "../../../test/harness/meters.ts";
import { authenticate } from "../accounts/accounts.ts";
import { meterEndpoints } from "../meters/api.ts";
import { removeMeters } from "../meters/meters.ts";
import { sql } from "../platform/db.ts";
import type { Granularity } from "../platform/granularity.ts";
import { granuleStarts } from "../platform/time/granule.ts";
import { ingest } from "../series/series.ts";
import { treeEndpoints } from "../trees/api.ts";
import { completenessEndpoints } from "./api.ts";
import { checkCompletenessJob } from "./completeness.ts";

let api: TestApi;
let manager: TestAccount;
let owner: TestAccount;
let friend: TestAccount;
let meter: { id: string; part: number };
/** The manager's copy, and the friend's. */
let copies: Map<string, string>;
const zone = "Etc/GMT-1";
const day = 86_400_000;
const hour = 3_600_000;
const start = Date.UTC(2026, 9, 20, 11);

beforeAll(async () => {
  api = await testApi({
    endpoints: [...meterEndpoints, ...treeEndpoints, ...completenessEndpoints([])],
    authenticate,
  });
});
afterAll(() => api.close());

beforeEach(async () => {
  api.clock.set(start);
  manager = await newAccount(api.deps);
  owner = await newAccount(api.deps, { managerId: manager.id });
  friend = await newAccount(api.deps);
  meter = await newMeter(api, owner, { timezone: zone });
  const [copy] = await ask(owner, "POST", "/meters/many/share_with", [{ _id: meter.id, holder: friend.id }]);
  await ask(friend, "PUT", `/meters/${copy._id}`, { box: "active" });
  const [own] = await ask(manager, "GET", "/meters");
  await ask(manager, "PUT", `/meters/${own._id}`, { box: "active" });
  copies = new Map([
    [manager.id, own._id],
    [friend.id, copy._id],
  ]);
});

async function ask(who: TestAccount, method: string, path: string, body?: unknown) {
  const answer = await api.call(method, path, { token: who.token, ...(body === undefined ? {} : { body }) });
  if (answer.status !== 200) throw new Error(`${method} ${path}: ${answer.text}`);
  return answer.json.data;
}
const refusal = async (who: TestAccount, method: string, path: string, body?: unknown) => {
  const answer = await api.call(method, path, { token: who.token, ...(body === undefined ? {} : { body }) });
  return [answer.status, answer.json.message];
};

async function store(
  from: number,
  to: number,
  granularity: Granularity = "hour",
  except: readonly number[] = [],
) {
  const starts = granuleStarts(granularity, zone, { from, to }).filter((at) => !except.includes(at));
  const run = {
    meter: { ...meter, timezone: zone },
    metric: "energy",
    granularity,
    starts: Float64Array.from(starts),
    values: Float64Array.from(starts, (_, i) => i),
    quality: "measured" as const,
  };
  await ingest(api.db, [{ document: { source: `${meter.id} ${from} ${to}` }, runs: [run] }], api.clock.now());
}

const check = () => checkCompletenessJob.run({}, api.deps, new AbortController().signal);
const complaints = (query = "", who = owner) => ask(who, "GET", `/complaints?${query}`);
const flags = async () =>
  Promise.all(
    [owner, manager, friend].map(async (who) => {
      const [shown] = await ask(who, "GET", "/meters");
      const filtered = await ask(who, "GET", "/meters?has_active_complaints=true");
      expect(filtered.length).toBe(shown.has_active_complaints ? 1 : 0);
      return shown.has_active_complaints;
    }),
  );

describe("the daily check", () => {
  test("complains about what is missing, follows it, and resolves when it comes", async () => {
    const hole = Date.UTC(2026, 9, 10, 4);
    await store(start - 60 * day, start - 10 * day, "hour", [hole]);
    await check();
    const [complaint, ...others] = await complaints();
    expect(others).toEqual([]);
    // Of the last three days it says nothing yet.
    const seen = Date.UTC(2026, 9, 17, 11);
    expect(complaint).toMatchObject({
      state: "open",
      origin: "check",
      account: { _id: owner.id },
      meter: { _id: meter.id, root_id: meter.id },
      metric: "energy",
      granularity: "hour",
      from: "2026-10-10T04:00:00+0000",
      to: "2026-10-17T11:00:00+0000",
      missing: 1 + (seen - (start - 10 * day)) / hour,
      reason: "not_uploaded",
      who_acts: "customer",
      ended: null,
    });
    expect(await flags()).toEqual([true, true, true]);
    const [followed] = await ask(owner, "GET", "/complaint_cases");
    expect(followed).toMatchObject({
      _id: complaint.case._id,
      state: "open",
      origin: "check",
      connection: null,
      complaints: { open: 1, total: 1 },
    });

    await store(start - 10 * day, start);
    api.clock.advance(hour);
    await check();
    expect(await complaints()).toMatchObject([
      { _id: complaint._id, missing: 1, from: "2026-10-10T04:00:00+0000", to: "2026-10-10T05:00:00+0000" },
    ]);

    await store(hole, hole + hour);
    await check();
    expect(await complaints()).toMatchObject([{ _id: complaint._id, state: "resolved", missing: 0 }]);
    expect(await flags()).toEqual([false, false, false]);
    expect(await ask(owner, "GET", "/complaint_cases")).toMatchObject([
      { state: "closed", closed_by: "check", complaints: { open: 0, total: 1 } },
    ]);
  });

  test("says nothing of what is complete, late as usual, over for long, or not wanted", async () => {
    await store(start - 30 * day, start - 3 * day);
    await check();
    expect(await complaints()).toMatchObject([]);
    await store(start - 100 * day, start - 90 * day);
    await check();
    // The gap of two months ago is older than what the check looks at; the part of it within is complained about.
    expect(await complaints()).toMatchObject([
      { from: "2026-09-15T11:00:00+0000", to: "2026-09-20T11:00:00+0000", missing: 120 },
    ]);
    await ask(owner, "PUT", `/meters/${meter.id}`, { box: "ignored" });
    api.clock.advance(hour);
    await check();
    expect(await complaints()).toMatchObject([{ state: "resolved" }]);
  });

  test("repeated it does nothing, and never says twice what was taken back or closed", async () => {
    await store(start - 60 * day, start - 10 * day);
    await check();
    await check();
    const [complaint] = await complaints();
    expect(await complaints()).toHaveLength(1);
    await ask(owner, "DELETE", `/complaints/${complaint._id}`);
    expect(await flags()).toEqual([false, false, false]);
    expect(await refusal(owner, "GET", `/complaints/${complaint._id}`)).toEqual([404, "Resource not found"]);
    await check();
    expect(await complaints()).toEqual([]);
    // Three more days are missing by then: those are new.
    api.clock.advance(3 * day);
    await check();
    const [next] = await complaints();
    expect(next).toMatchObject({ from: complaint.to, missing: 72 });
    await ask(owner, "PUT", `/complaint_cases/${next.case._id}/close`, { text: "The device is broken." });
    expect(await complaints()).toMatchObject([{ _id: next._id, state: "closed", missing: 72 }]);
    await check();
    expect(await complaints("state=open")).toEqual([]);
    expect(await flags()).toEqual([false, false, false]);
  });

  test("looks for the granularity that is expected of the meter", async () => {
    await store(Date.UTC(2025, 11, 31, 23), Date.UTC(2026, 5, 30, 23), "month");
    await check();
    // Two months, the earlier of them not quite within the hundred days.
    expect(await complaints()).toMatchObject([
      { granularity: "month", from: "2026-07-31T22:00:00+0000".replace("22", "23"), missing: 2 },
    ]);
    await ask(owner, "PUT", `/meters/${meter.id}`, { expected_granularity: "day" });
    await check();
    // The meter never had days: of them nothing is expected, and of months nothing any more.
    expect(await complaints("state=open")).toMatchObject([{ granularity: "month" }]);
  });
});

describe("people complain", () => {
  test("about their own reference, which shows it; of the root meter, in every copy", async () => {
    await store(start - 60 * day, start);
    const body = { granularity: "hour", period: "20260101" };
    const theirs = await ask(friend, "POST", "/complaints", { ...body, meter: copies.get(friend.id) });
    expect(theirs).toMatchObject({
      origin: "person",
      missing: 24,
      reason: "not_started",
      meter: { _id: copies.get(friend.id), root_id: meter.id },
    });
    expect(await flags()).toEqual([false, false, true]);
    const other = await newAccount(api.deps);
    const wish = { _id: copies.get(friend.id), holder: other.id };
    await ask(friend, "POST", "/meters/many/share_with", [wish]);
    expect(await ask(other, "GET", "/meters")).toMatchObject([{ has_active_complaints: false }]);
    const own = await ask(owner, "POST", "/complaints", {
      ...body,
      meter: meter.id,
      text: "Where are they?",
    });
    expect(own).toMatchObject({ text: "Where are they?", case: null });
    expect(await flags()).toEqual([true, true, true]);
    await ask(owner, "DELETE", `/complaints/${own._id}`);
    expect(await flags()).toEqual([false, false, true]);
    expect((await complaints("", friend)).length).toBe(1);
    expect(await complaints("", manager)).toEqual([]);
    // When it was revoked, nobody follows it up.
    await ask(owner, "PUT", "/meters/many/revoke", [copies.get(friend.id)]);
    api.clock.advance(hour);
    await check();
    expect(await complaints("", friend)).toMatchObject([{ state: "closed" }]);
  });

  test("it resolves with the daily check when all is there, and not before its period is over", async () => {
    await store(start - 60 * day, start - day);
    const made = await ask(owner, "POST", "/complaints", {
      meter: meter.id,
      granularity: "day",
      period: "202610",
    });
    expect(made).toMatchObject({ missing: 1, to: "2026-10-31T23:00:00+0000" });
    await store(start - day, start);
    api.clock.advance(hour);
    await check();
    expect(await complaints(`_id=${made._id}`)).toMatchObject([{ state: "open", missing: 0 }]);
    api.clock.set(Date.UTC(2026, 10, 1));
    await store(start, api.clock.now());
    await check();
    expect(await complaints(`_id=${made._id}`)).toMatchObject([{ state: "resolved" }]);
  });

  test.for<[object, number, RegExp]>([
    [{ period: "20261001", granularity: "hour" }, 400, /no value of the meter is missing/],
    [{ period: "2027" }, 400, /no value of the meter is missing/],
    [{ period: "2026+2025" }, 400, /takes one period/],
    [{ period: "soon" }, 400, /is not a period/],
    [{ period: "1970-2099", granularity: "5min" }, 400, /at most 1000000/],
    [{ period: "2025", metric: "heat" }, 400, /unknown metric/],
    [{ period: "2025", granularity: "week" }, 400, /granularity/],
    [{}, 400, /period/],
    [{ period: "2025", meter: "0".repeat(24) }, 404, /not found/],
  ])("%j is refused", async ([body, status, message]) => {
    await store(start - 60 * day, start);
    expect(await refusal(owner, "POST", "/complaints", { meter: meter.id, ...body })).toEqual([
      status,
      expect.stringMatching(message),
    ]);
  });

  test("at most ten thousand are open at once", async () => {
    await store(start - 60 * day, start - 50 * day);
    const of = (period: string) => ({ meter: meter.id, granularity: "hour", period });
    await ask(owner, "POST", "/complaints", of("20260901"));
    await api.db.run(sql`
      insert into complaint (id, account_id, meter_id, root_id, metric, granularity, begins, ends, missing, origin, opened,
                             checked)
      select id || n, account_id, meter_id, root_id, metric, granularity, begins, ends, missing, origin, opened, checked
      from complaint, generate_series(1, 9999) n where account_id = ${owner.id}`);
    expect(await refusal(owner, "POST", "/complaints", of("20260902"))).toEqual([
      409,
      "People of an account have at most 10000 open complaints. Take some back, or close their cases.",
    ]);
    await api.db.run(sql`delete from complaint where account_id = ${owner.id}`);
    await ask(owner, "POST", "/complaints", of("20260902"));
  });

  test("a meter that was put away is refused", async () => {
    await ask(owner, "PUT", `/meters/${meter.id}`, { box: "ignored" });
    expect((await refusal(owner, "POST", "/complaints", { meter: meter.id, period: "2025" }))[0]).toBe(403);
  });
});

describe("cases", () => {
  const complain = async (who: TestAccount, period: string) =>
    (
      await ask(who, "POST", "/complaints", {
        meter: copies.get(who.id) ?? meter.id,
        granularity: "day",
        period,
      })
    )._id;

  test("hold complaints together, also those of subaccounts; each complaint is in one", async () => {
    const [one, other] = [await complain(owner, "20260901"), await complain(owner, "20260902")];
    const first = await ask(owner, "POST", "/complaint_cases", {
      complaints: [one, other],
      title: "September",
    });
    expect(first).toMatchObject({
      state: "open",
      origin: "person",
      title: "September",
      complaints: { open: 2, total: 2 },
      closed: null,
    });
    const second = await ask(manager, "POST", "/complaint_cases", {
      complaints: [one],
      text: "Called the utility.",
    });
    expect(await ask(owner, "GET", `/complaint_cases/${first._id}`)).toMatchObject({
      complaints: { open: 1, total: 1 },
    });
    expect(await complaints("sort=opened")).toMatchObject([
      { _id: one, case: null },
      { _id: other, case: { _id: first._id } },
    ]);
    expect(await complaints(`case._id=${second._id}`, manager)).toMatchObject([
      { _id: one, case: { _id: second._id } },
    ]);
    expect(await refusal(owner, "GET", `/complaint_cases/${second._id}`)).toEqual([
      404,
      "Resource not found",
    ]);
    await ask(manager, "POST", "/complaint_cases", { complaints: [other] });
    expect(await ask(owner, "GET", `/complaint_cases/${first._id}`)).toMatchObject({
      state: "closed",
      closed_by: "check",
    });
  });

  test("a checkup looks now: what is there resolves, of the rest it says what and when", async () => {
    await store(start - 60 * day, start - 50 * day);
    const [one, other] = [await complain(owner, "20260901"), await complain(owner, "20260902-20260903")];
    const { _id } = await ask(owner, "POST", "/complaint_cases", { complaints: [one, other] });
    await store(Date.UTC(2026, 7, 31, 23), Date.UTC(2026, 8, 2, 23));
    const looked = await ask(owner, "GET", `/complaint_cases/${_id}/checkup`);
    expect(looked).toMatchObject({
      state: "open",
      complaints: { open: 1, total: 2 },
      left_out: 0,
      checked: [
        { _id: one, state: "resolved", missing: 0, gaps: [], next_try: null },
        {
          _id: other,
          state: "open",
          missing: 1,
          gaps: [
            {
              from: "2026-09-02T23:00:00+0000",
              to: "2026-09-03T23:00:00+0000",
              count: 1,
              reason: "not_uploaded",
            },
          ],
        },
      ],
    });
    expect(await flags()).toEqual([true, true, true]);
    await store(Date.UTC(2026, 8, 2, 23), Date.UTC(2026, 8, 3, 23));
    expect(await ask(owner, "GET", `/complaint_cases/${_id}/checkup`)).toMatchObject({
      state: "closed",
      closed_by: "check",
      complaints: { open: 0 },
    });
    expect(await flags()).toEqual([false, false, false]);
    const again = await ask(owner, "PUT", `/complaint_cases/${_id}/close`, { text: "Late." });
    expect(again).toMatchObject({ closed_by: "check", text: null });
  });

  test("a checkup looks at no more than any request does, and says what it left out", async () => {
    const { settings } = api.deps;
    const before = settings.valuesMax;
    await store(start - 60 * day, start - 50 * day);
    const complaints = [await complain(owner, "20260901"), await complain(owner, "20260902-20260903")];
    const { _id } = await ask(owner, "POST", "/complaint_cases", { complaints });
    const looked = async (valuesMax: number) => {
      settings.valuesMax = valuesMax;
      const { checked, left_out } = await ask(owner, "GET", `/complaint_cases/${_id}/checkup`);
      return [checked.length, left_out];
    };
    try {
      expect([await looked(1), await looked(0.005)]).toEqual([
        [2, 0],
        [1, 1],
      ]);
    } finally {
      settings.valuesMax = before;
    }
  });

  test("refuse complaints that are closed, of others, or none", async () => {
    const mine = await complain(owner, "20260901");
    const theirs = await complain(friend, "20260901");
    const { _id } = await ask(owner, "POST", "/complaint_cases", { complaints: [mine] });
    expect((await refusal(owner, "POST", "/complaint_cases", { complaints: [mine, theirs] }))[0]).toBe(404);
    expect((await refusal(friend, "PUT", `/complaint_cases/${_id}/close`))[0]).toBe(404);
    expect((await refusal(friend, "GET", `/complaint_cases/${_id}/checkup`))[0]).toBe(404);
    expect((await refusal(owner, "POST", "/complaint_cases", { complaints: [] }))[0]).toBe(400);
    await ask(owner, "PUT", `/complaint_cases/${_id}/close`);
    expect(await refusal(owner, "POST", "/complaint_cases", { complaints: [mine] })).toEqual([
      400,
      "complaints: names one that is not open any more",
    ]);
  });

  test("go with their meter", async () => {
    const mine = await complain(owner, "20260901");
    await ask(owner, "POST", "/complaint_cases", { complaints: [mine] });
    await ask(owner, "PUT", `/meters/${meter.id}`, { box: "ignored" });
    await api.db.transaction((tx) => removeMeters(tx, [meter.id]));
    await check();
    expect(await complaints()).toEqual([]);
    expect(await ask(owner, "GET", "/complaint_cases")).toMatchObject([
      { state: "closed", complaints: { total: 0 } },
    ]);
  });
});
