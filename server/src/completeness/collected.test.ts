import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { newAccount, type TestAccount } from "../../../test/harness/accounts.ts";
import { type TestApi, testApi } from "../../../test/harness/api.ts";
import { authenticate } from "../accounts/accounts.ts";
import { collectionEndpoints } from "../collection/api.ts";
import { makeCollector } from "../collection/collection.ts";
import { ProviderFailure } from "../collection/connector.ts";
import { meterFound, playedConnector, type Script } from "../collection/harness.ts";
import { meterEndpoints } from "../meters/api.ts";
import { granuleStarts } from "../platform/time/granule.ts";
import { treeEndpoints } from "../trees/api.ts";
import { completenessEndpoints } from "./api.ts";
import { checkCompletenessJob } from "./completeness.ts";

/** A meter of a provider that is played: what a gap is said to be follows from what really happened to its connection. */

let api: TestApi;
let script: Script;
let collector: ReturnType<typeof makeCollector>;
let manager: TestAccount;
let customer: TestAccount;
let friend: TestAccount;
let meter: string;
let shared: string;
let connection: string;
const zone = "Europe/Stockholm";
const begin = Date.parse("2026-10-01T06:00:00Z");
const hour = 3_600_000;
const day = 24 * hour;

beforeAll(async () => {
  const played = playedConnector({ historyDays: 20, latenessHours: 12, correctionDays: 2 });
  script = played.script;
  const connectors = [played.connector];
  api = await testApi({
    endpoints: [
      ...meterEndpoints,
      ...treeEndpoints,
      ...collectionEndpoints(connectors),
      ...completenessEndpoints(connectors),
    ],
    authenticate,
  });
  api.clock.set(begin);
  collector = makeCollector(api.deps, connectors);
  manager = await newAccount(api.deps);
  customer = await newAccount(api.deps, { managerId: manager.id });
  friend = await newAccount(api.deps);
  script.meters.push(meterFound("1"));
  const hours = granuleStarts("hour", zone, { from: begin - 40 * day, to: begin + 60 * day });
  script.values.set("1 energy hour", new Map(hours.map((start, i) => [start, i])));
});
afterAll(async () => {
  await collector.stop();
  await api.close();
});

async function ask(who: TestAccount, method: string, path: string, body?: unknown) {
  const answer = await api.call(method, path, { token: who.token, ...(body === undefined ? {} : { body }) });
  if (answer.status !== 200) throw new Error(`${method} ${path}: ${answer.text}`);
  return answer.json.data;
}

async function run(): Promise<void> {
  await collector.step();
  await collector.idle();
}

/** Moves on day by day, as a server that runs does. */
async function liveUntil(until: number): Promise<void> {
  while (api.clock.now() < until) {
    api.clock.set(Math.min(until, api.clock.now() + 12 * hour));
    await run();
  }
}

interface SomeGap {
  from: string;
  to: string;
  reason: string;
  next_try: string | null;
  connection: object | null;
}

async function gaps(period: string, who = customer, id = meter): Promise<SomeGap[]> {
  const [{ series }] = await ask(who, "GET", `/completeness?granularity=hour&period=${period}&meters=${id}`);
  return series[0].periods[0].gaps;
}
const reasons = async (...asked: Parameters<typeof gaps>) =>
  (await gaps(...asked)).map(({ reason }) => reason);

describe("what a connection lives through", () => {
  test("before its meter is asked for, and when it has come", async () => {
    const made = await ask(customer, "POST", "/connections", {
      provider: "scripted",
      credentials: { username: "anna", password: "right" },
    });
    connection = made._id;
    await run();
    [{ _id: meter }] = await ask(customer, "GET", "/meters");
    [{ _id: shared }] = await ask(manager, "GET", "/meters");
    await ask(customer, "PUT", `/meters/${meter}`, { box: "active" });
    await ask(manager, "PUT", `/meters/${shared}`, { box: "active" });
    expect(await reasons("202609")).toEqual(["not_asked_yet"]);
    await liveUntil(begin + 2 * day);
    expect(await reasons("20260915-202609")).toEqual([]);
    expect(await reasons("202609")).toEqual(["not_started"]);
    api.clock.advance(2 * hour);
    const [late] = await gaps("20261003");
    expect(late).toMatchObject({ reason: "late_as_usual", connection: { _id: connection } });
    expect(Date.parse(late!.next_try!)).toBeGreaterThanOrEqual(api.clock.now());
  });

  test("a hole that the provider has is asked for again, and gone when it is filled", async () => {
    const hole = Date.parse("2026-10-04T10:00:00Z");
    const values = script.values.get("1 energy hour")!;
    const value = values.get(hole)!;
    values.set(hole, null);
    await liveUntil(Date.parse("2026-10-12T06:00:00Z"));
    const [gap] = await gaps("20261004");
    expect(gap).toMatchObject({
      from: "2026-10-04T10:00:00+0000",
      to: "2026-10-04T11:00:00+0000",
      reason: "not_delivered",
      connection: { _id: connection },
    });
    const next = Date.parse(gap!.next_try!);
    expect(next - api.clock.now()).toBeLessThanOrEqual(2 * day);
    values.set(hole, value);
    await liveUntil(next + day);
    expect(await gaps("20261004")).toEqual([]);
  });

  test("of the granularities that a provider names, those count that ever came", async () => {
    const some = [{ metric: "energy", granularities: ["15min", "hour"] as const }];
    script.meters[0] = { ...script.meters[0]!, metrics: some };
    await ask(customer, "POST", `/connections/${connection}/run`);
    await run();
    await liveUntil(api.clock.now() + 5 * day);
    const day5 = new Date(api.clock.now() - 5 * day).toISOString().slice(0, 10).replaceAll("-", "");
    const [{ series }] = await ask(customer, "GET", `/completeness?granularity=15min&period=${day5}`);
    expect(series[0].periods[0]).toMatchObject({ expected: 0, reasons: { never_had: 96 } });
    await checkCompletenessJob.run({}, api.deps, new AbortController().signal);
    expect(await ask(customer, "GET", "/complaints?state=open")).toEqual([]);
  });

  test("refused credentials say so to the customer and its manager, and not to a friend", async () => {
    const [copy] = await ask(customer, "POST", "/meters/many/share_with", [
      { _id: meter, holder: friend.id },
    ]);
    await ask(friend, "PUT", `/meters/${copy._id}`, { box: "active" });
    script.password = "another";
    const from = api.clock.now();
    await liveUntil(from + 5 * day);
    const period = new Date(from + 2 * day).toISOString().slice(0, 10).replaceAll("-", "");
    expect(await gaps(period)).toMatchObject([
      {
        reason: "credentials_refused",
        next_try: null,
        connection: { _id: connection },
        who_acts: "customer",
      },
    ]);
    expect(await reasons(period, manager, shared)).toEqual(["credentials_refused"]);
    expect(await gaps(period, friend, copy._id)).toMatchObject([
      { reason: "not_available", next_try: null, connection: null },
    ]);
    expect(
      await ask(
        manager,
        "GET",
        `/completeness/summary?account=${customer.id}&granularity=hour&period=${period}`,
      ),
    ).toMatchObject({
      meters: 1,
      complete_meters: 0,
      reasons: { credentials_refused: 24 },
    });
    await checkCompletenessJob.run({}, api.deps, new AbortController().signal);
    const [complaint, ...others] = await ask(customer, "GET", "/complaints?state=open");
    expect(others).toEqual([]);
    expect(complaint).toMatchObject({
      granularity: "hour",
      reason: "credentials_refused",
      who_acts: "customer",
    });
    expect(await ask(manager, "GET", `/complaint_cases/${complaint.case._id}`)).toMatchObject({
      origin: "check",
      connection: { _id: connection },
    });
    await ask(customer, "PUT", `/connections/${connection}`, {
      credentials: { username: "anna", password: "another" },
    });
    await liveUntil(api.clock.now() + day);
    expect(await gaps(period)).toEqual([]);
  });

  test("a provider that is away, a pause, and a meter that its holder has left", async () => {
    const from = api.clock.now();
    script.fail.login = () => new ProviderFailure("unreachable", "no answer");
    await liveUntil(from + 3 * day);
    const period = new Date(from + 2 * day).toISOString().slice(0, 10).replaceAll("-", "");
    const [away] = await gaps(period);
    expect(away).toMatchObject({ reason: "provider_unreachable", who_acts: "nobody" });
    expect(Date.parse(away!.next_try!)).toBeGreaterThan(api.clock.now());
    await ask(customer, "POST", `/connections/${connection}/pause`);
    expect(await gaps(period)).toMatchObject([{ reason: "paused", next_try: null }]);
    const left = new Date(from + 2 * day).toISOString().slice(0, 10);
    await ask(customer, "POST", `/meters/${meter}/events`, { kind: "moved_out", day: left });
    expect(await gaps(period)).toMatchObject([{ reason: "ended", expected: false }]);
    await ask(customer, "DELETE", `/connections/${connection}?data=keep`);
    await run();
    const before = new Date(from + day).toISOString().slice(0, 10).replaceAll("-", "");
    expect(await reasons(before)).toEqual(["connection_removed"]);
  });
});
