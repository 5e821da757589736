import { headsOf } from "../changes/changes.ts";
import { accessCount } from "../meters/meters.ts";
import type { Db } from "../platform/db.ts";
import type { Deps } from "../platform/deps.ts";
import { Watch } from "../platform/watch.ts";
import { type Cut, cutBehind, type Idle } from "./cut.ts";
import type { Lease } from "./lease.ts";
import { assertIssued, commit, type Stream } from "./stream.ts";

/** How often heads are looked at while somebody waits: half of it is added to the way from a commit to its consumer. */
const headsMs = 20;
/** Meters come and go seldom. */
const accessMs = 500;

interface Watches {
  heads: Watch<number>;
  access: Watch<string>;
}

/** One of each per database, for all who wait in this process. */
const watches = new WeakMap<Db, Watches>();

function watchesOf(db: Db): Watches {
  let found = watches.get(db);
  if (found === undefined) {
    found = {
      heads: new Watch(
        async (parts) => new Map((await headsOf(db, parts)).map((head) => [head.part, head.off])),
        headsMs,
      ),
      access: new Watch(async (accounts) => {
        const counts = new Map<string, number>();
        for (const account of accounts) counts.set(account, await accessCount(db, account));
        return counts;
      }, accessMs),
    };
    watches.set(db, found);
  }
  return found;
}

/**
 * Where a consumer that sends `offset` goes on; a greater one than the last is committed.
 * @throws Problem 400 for an offset that was never issued; nothing is committed then
 */
export async function startOf(db: Db, stream: Stream, offset: number | null): Promise<number> {
  if (offset === null) return stream.lastOffset ?? 0;
  if (stream.lastOffset === null || offset > stream.lastOffset) {
    await commit(db, stream.id, offset);
    return offset;
  }
  await assertIssued(db, stream, offset);
  // What was issued before a reset leads to where the reset went.
  return stream.resetOffset !== null && offset < stream.resetOffset ? stream.resetOffset : offset;
}

/** What to wait for, and how long. */
export interface Wanted {
  after: number;
  limit: number;
  waitMs: number;
  signal: AbortSignal;
}

/** The batch behind an offset; waits for one when there is none. `null` when there is none in time. */
export async function batchOrWait(
  deps: Deps,
  held: { stream: Stream; lease: Lease },
  { after, limit, waitMs, signal }: Wanted,
): Promise<Cut | null> {
  const ends = [signal, held.lease.lost, ...(waitMs > 0 ? [AbortSignal.timeout(waitMs)] : [])];
  const ended = AbortSignal.any(ends);
  for (let { stream } = held; ; ) {
    const found = await cutBehind(deps, { ...held, stream }, { after, limit });
    if ("count" in found) return found;
    stream = found.stream;
    if (waitMs === 0 || ended.aborted) return null;
    await news(deps.db, found, ended);
  }
}

/** Waits until something may be new: a change in the log, or another meter. */
async function news(db: Db, { stream, log }: Idle, ended: AbortSignal): Promise<void> {
  const { heads, access } = watchesOf(db);
  const found = new AbortController();
  const signal = AbortSignal.any([ended, found.signal]);
  const parts = new Map(Object.entries(log).map(([part, off]) => [Number(part), off]));
  await Promise.race([
    heads.moved(parts, signal),
    access.moved(new Map([[stream.accountId, stream.access]]), signal),
  ]);
  found.abort();
}
