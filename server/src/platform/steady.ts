import { setTimeout as delay } from "node:timers/promises";
import { type Queryable, sql } from "./db.ts";
import type { Deps } from "./deps.ts";
import { newId } from "./id.ts";
import type { JobKind } from "./jobs.ts";

/** Work that goes on in steps for as long as a server runs, done by one process at a time. */
export interface Steady {
  /** Name of the kind of job, and of the lease in the database. */
  name: string;
  /** From the end of a step to the beginning of the next. */
  pauseMs: number;
  /** Begins a run. `signal` is aborted when the server stops, or another process has taken over. */
  begin(deps: Deps, signal: AbortSignal): SteadyRun;
}

export interface SteadyRun {
  step(): Promise<void>;
  /** After the last step, also after one that failed. */
  end?(): Promise<void>;
}

/** A run ends after so long and sends the next: no job of the queue may run for a day. */
const runMs = 12 * 3_600_000;
/** A process that has shown no sign for so long has lost its lease. */
const leaseSeconds = 20;
const renewMs = 4_000;
/** Who finds the lease taken stands by for longer than that of a dead process lasts, and goes then. */
const standByMs = 25_000;
const askMs = 1_000;

/**
 * A kind of job that keeps `steady` going. A run sends its successor when it ends, also when the server stops; one more
 * is sent when a process begins to work, and every minute in case one died. Whoever comes while another has the lease
 * stands by for moments, then goes. Two may overlap for moments when a process was stopped in its tracks, so steps must
 * be safe for that.
 */
export function steadyJob(steady: Steady): JobKind {
  return {
    name: steady.name,
    retries: 3,
    secondsMax: 13 * 3_600,
    // One works, one stands by.
    atOnce: 2,
    cron: "* * * * *",
    atStart: true,
    async run(_data, deps, signal) {
      const owner = newId(deps.clock.now());
      const lease = { name: steady.name, owner };
      if (!(await obtain(deps.db, lease, signal))) return;
      const lost = new AbortController();
      let renewed = performance.now();
      const renewing = setInterval(async () => {
        const isOurs = await renew(deps, lease);
        if (isOurs === true) renewed = performance.now();
        // A database that is away for moments takes nothing from us; one that is away for longer does.
        if (isOurs === false || performance.now() - renewed > leaseSeconds * 1000) lost.abort();
      }, renewMs);
      try {
        await work(steady, deps, AbortSignal.any([signal, lost.signal]));
      } finally {
        clearInterval(renewing);
        await release(deps.db, lease);
      }
      await deps.db.transaction((tx) => deps.jobs.send(tx, steady.name, {}));
    },
  };
}

async function work(steady: Steady, deps: Deps, signal: AbortSignal): Promise<void> {
  const run = steady.begin(deps, signal);
  const end = performance.now() + runMs;
  try {
    while (!signal.aborted && performance.now() < end) {
      await run.step();
      await delay(steady.pauseMs, undefined, { signal }).catch(() => undefined);
    }
  } finally {
    await run.end?.();
  }
}

/** Takes a lease, at once or as soon as it is free; false when it was not free for long enough. */
async function obtain(db: Queryable, lease: Lease, signal: AbortSignal): Promise<boolean> {
  const end = performance.now() + standByMs;
  while (!signal.aborted && performance.now() < end) {
    if (await take(db, lease)) return true;
    await delay(askMs, undefined, { signal }).catch(() => undefined);
  }
  return false;
}

interface Lease {
  name: string;
  owner: string;
}

/** Takes or renews a lease, by the clock of the database; false when somebody else has it. */
async function take(db: Queryable, { name, owner }: Lease): Promise<boolean> {
  const taken = await db.run(sql`
    insert into steady_lease (name, owner, until)
    values (${name}, ${owner}, clock_timestamp() + make_interval(secs => ${leaseSeconds}))
    on conflict (name) do update set owner = excluded.owner, until = excluded.until
    where steady_lease.owner = excluded.owner or steady_lease.until < clock_timestamp()`);
  return taken === 1;
}

/** Whether the lease is still ours; undefined when the database did not say. */
async function renew({ db, log }: Deps, lease: Lease): Promise<boolean | undefined> {
  try {
    return await take(db, lease);
  } catch (error) {
    log.warn({ err: error, lease: lease.name }, "a lease was not renewed");
    return undefined;
  }
}

async function release(db: Queryable, { name, owner }: Lease): Promise<void> {
  await db.run(sql`delete from steady_lease where name = ${name} and owner = ${owner}`);
}
