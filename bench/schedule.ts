/**
 * The schedule at size: 50,000 connections of 1,000 accounts with 5 providers. What a look for due work costs, when nothing
 * is due and when everything is; how soon a connection begins that somebody waits for; and, without a database, how close
 * to their publication values are asked for once their lateness is learned.
 */

import { z } from "zod";
import { createAccount } from "../server/src/accounts/accounts.ts";
import { type Claimed, claimDue, keepLease } from "../server/src/collection/claim.ts";
import { type Connector, connector, line, titled } from "../server/src/collection/connector.ts";
import { expectedAt, learnedLateness, nextRun } from "../server/src/collection/schedule.ts";
import { type Db, sql } from "../server/src/platform/db.ts";
import { openPlace } from "./lists.ts";
import { median } from "./world.ts";

const connectionCount = 50_000;
const accountCount = 1_000;
const hour = 3_600_000;
const day = 24 * hour;

const providers = Array.from(
  { length: 5 },
  (_, n): Connector =>
    connector({
      name: `provider-${n}`,
      title: `Provider ${n}`,
      countries: [],
      types: ["electricity"],
      granularities: ["hour"],
      historyDays: 400,
      latenessHours: 34,
      correctionDays: 30,
      help: { en: "None.", sv: "Ingen." },
      settings: z.object({ user: titled(line(10), { en: "User", sv: "Användare" }) }),
      limits: { perMinute: 600, atOnce: 10_000 },
      async *discover() {},
      async *collect() {},
    }),
);

/** Runs it all on a database of its own, or on one of the server at `url`, and prints it. */
export async function schedule({ url }: { url: string | undefined }): Promise<void> {
  const { db, stop } = await openPlace(url);
  try {
    await makeConnections(db);
    console.log(`\nCollection: ${connectionCount} connections, ${providers.length} providers`);
    await looks(db);
    lateness();
  } finally {
    await stop();
  }
}

async function makeConnections(db: Db): Promise<void> {
  const now = Date.now();
  const ids: string[] = [];
  for (let n = 0; n < accountCount; n++) {
    ids.push((await db.transaction((tx) => createAccount(tx, { name: `Account ${n}`, now }))).id);
  }
  await db.run(sql`
    insert into connection (id, account_id, provider, settings, sealed, state, state_since, next_run, next_reason,
      created, updated)
    select 'c' || lpad(n::text, 23, '0'), (${ids}::text[])[1 + n % ${accountCount}], 'provider-' || n % 5, '{}', '',
      'collecting', now(), now() + make_interval(secs => n), 'schedule', now(), now()
    from generate_series(1, ${connectionCount}::int) as n`);
  await db.run(sql`analyze connection`);
}

async function timed<T>(work: () => Promise<T>): Promise<[ms: number, result: T]> {
  const from = performance.now();
  const result = await work();
  return [performance.now() - from, result];
}

async function looks(db: Db): Promise<void> {
  const idle: number[] = [];
  const past = Date.now() - day;
  for (let n = 0; n < 50; n++)
    idle.push((await timed(() => claimDue(db, providers, { free: 64, now: past })))[0]);
  tell("a look when nothing is due", median(idle), "ms");

  const now = Date.now() + connectionCount * 1_000 + day;
  const busy: number[] = [];
  let claimed: Claimed[] = [];
  for (let n = 0; n < 20; n++) {
    const [ms, taken] = await timed(() => claimDue(db, providers, { free: 64, now }));
    busy.push(ms);
    claimed = taken;
  }
  tell("a claim of 64 when all are due", median(busy), "ms");
  const leases: number[] = [];
  for (const each of claimed) leases.push((await timed(() => keepLease(db, each, now)))[0]);
  tell("the lease of a run renewed", median(leases), "ms");

  const waited: number[] = [];
  for (let n = 0; n < 20; n++) {
    const id = `c${String(connectionCount - n).padStart(23, "0")}`;
    await db.run(sql`
      update connection set next_reason = 'by_hand', next_run = ${new Date(now)} where id = ${id} and run_id is null`);
    let claims = 0;
    for (let found = false; !found && claims < 100; claims++) {
      found = (await claimDue(db, providers, { free: 64, now })).some((each) => each.id === id);
    }
    waited.push(claims);
  }
  tell("claims until a run begins that somebody waits for", median(waited), "");
}

/** A provider publishes each day at 9 and some minutes of the next one; a connection asks when the schedule says. */
function lateness(): void {
  const zone = "Europe/Stockholm";
  for (const [name, spreadMs] of [
    ["sharp", 10 * 60_000],
    ["within two hours", 2 * hour],
  ] as const) {
    const delays: number[] = [];
    let runs = 0;
    for (let n = 0; n < 200; n++) {
      const publishedAt = (start: number) =>
        start + day + 9 * hour + (((start / day) * 7_919 + n * 31) % 97) * (spreadMs / 97);
      let until = Date.UTC(2026, 0, 1, 23);
      let latenessMs = 34 * hour;
      let at = until + day;
      const end = until + 90 * day;
      while (at < end) {
        let came = until;
        while (publishedAt(came) <= at) came += day;
        const isLearnt = at > end - 60 * day;
        if (isLearnt) runs++;
        if (came > until) {
          if (isLearnt) delays.push((at - publishedAt(came - day)) / hour);
          until = came;
          latenessMs = learnedLateness(latenessMs, at - until);
        }
        const series = { granularity: "hour" as const, zone, until, latenessMs };
        at = Math.max(nextRun([series], { id: `${n}`, now: at }), expectedAt(series) > at ? at + 1 : 0);
      }
    }
    tell(`publication to collection, ${name}: median`, median(delays), "hours");
    tell(
      `publication to collection, ${name}: 95 of 100`,
      delays.toSorted((a, b) => a - b)[Math.floor(delays.length * 0.95)]!,
      "hours",
    );
    tell(`runs a day, ${name}`, runs / 200 / 60, "");
  }
}

function tell(name: string, value: number, unit: string): void {
  console.log(`  ${name.padEnd(58)} ${value.toPrecision(3).padStart(9)} ${unit}`);
}
