import { type Head, headsOf } from "../changes/changes.ts";
import { type Db, sql } from "../platform/db.ts";
import type { Deps } from "../platform/deps.ts";
import { Gathering, type StreamRun } from "./gather.ts";
import { gatherHistory } from "./history.ts";
import { type Lease, takeLease } from "./lease.ts";
import { gatherLog } from "./log.ts";
import { beginning, type Position } from "./position.ts";
import {
  type Batch,
  batchAfter,
  batchAt,
  nextOffset,
  type Resource,
  type Stream,
  streamById,
} from "./stream.ts";
import { holdStream, takeUp } from "./take-up.ts";

/** One batch of a stream. */
export interface Cut {
  /** What to send next time: everything up to here was given out. */
  offset: number;
  resource: Resource;
  runs: StreamRun[];
  /** Invoices as the API shows them. */
  invoices: unknown[];
  /** Values, or invoices. */
  count: number;
}

/** There is nothing behind an offset now. */
export interface Idle {
  stream: Stream;
  /** What was read of the log, per part: when a head moves on, it is worth asking again. */
  log: Record<string, number>;
}

/**
 * The batch behind an offset (`null`: behind the last one that was committed), `null` when there is nothing. The
 * same offset gives the same batch again, with the values as they are now. Commits nothing.
 * @param limit most values of a batch that is new
 * @throws Problem 429 while somebody else consumes the stream
 */
export async function nextCut(
  deps: Deps,
  { id }: { id: string },
  { after, limit }: { after: number | null; limit: number },
): Promise<Cut | null> {
  const lease = await takeLease(deps.db, id);
  try {
    const stream = await streamById(deps.db, id);
    const found = await cutBehind(deps, { stream, lease }, { after: after ?? stream.lastOffset ?? 0, limit });
    return "count" in found ? found : null;
  } finally {
    await lease.release();
  }
}

interface Held {
  stream: Stream;
  lease: Lease;
}

/** `nextCut` for who holds the lease, and tells what to wait for when there is nothing. */
export async function cutBehind(
  deps: Deps,
  { stream, lease }: Held,
  { after, limit }: { after: number; limit: number },
): Promise<Cut | Idle> {
  let now = stream;
  for (let from = after; ; ) {
    const known = await batchAfter(deps.db, stream.id, from);
    const again = known === undefined ? undefined : await giveAgain(deps, now, known);
    if (again !== undefined && again.count > 0) return again;
    // Everything in that batch may not be read any more: what follows it is next.
    if (again !== undefined) from = again.offset;
    else {
      const made = await cutNew(deps, { stream: now, lease }, { after: from, limit });
      now = made.stream;
      if (made.cut !== null) return made.cut;
      if (!made.more) return { stream: now, log: made.position.log };
    }
  }
}

/** A batch that was issued before; `undefined` when the log does not reach back to it. */
async function giveAgain({ db }: Deps, stream: Stream, batch: Batch): Promise<Cut | undefined> {
  const { start, position } = batch;
  const gathering = new Gathering({ db, stream, start, end: position, heads: new Map(), limit: 0 });
  if (start.phase === "log") await gatherLog(gathering);
  await gatherHistory(gathering, start.phase === "first" ? stream.created : batch.created);
  const moved = Object.keys(position.log).filter((part) => position.log[part] !== start.log[part]);
  // Looked at after the entries were read: what is purged meanwhile may be missing.
  if (hasGap(start, await headsOf(db, moved.map(Number)))) return undefined;
  return cutOf(stream, gathering, batch.off);
}

function hasGap({ log }: Position, heads: readonly Head[]): boolean {
  return heads.some(({ part, purged }) => log[part] !== undefined && purged > log[part]);
}

function cutOf(stream: Stream, { runs, count }: Gathering, offset: number): Cut {
  return { offset, resource: stream.resource, runs, invoices: [], count };
}

interface Made {
  cut: Cut | null;
  /** Nothing was found, but not everything was looked at. */
  more: boolean;
  stream: Stream;
  position: Position;
}

/** Cuts a new batch behind an offset, or moves the position of the offset past what the stream does not carry. */
async function cutNew(deps: Deps, held: Held, about: { after: number; limit: number }): Promise<Made> {
  const { db, clock } = deps;
  const { lease } = held;
  const now = clock.now();
  const from = await batchAt(db, held.stream.id, about.after);
  const behind = from?.position ?? beginning("again", 0);
  const stream = await takeUp(db, held.stream, { lease: lease.token, done: behind.history.done });
  // Before any value is read: what is committed later lies behind these.
  const heads = new Map((await headsOf(db, stream.parts)).map((head) => [head.part, head]));
  const start = hasGap(behind, [...heads.values()])
    ? beginning("again", behind.pushed)
    : structuredClone(behind);
  for (const part of stream.parts) start.log[part] ??= heads.get(part)?.off ?? 0;
  const gathering = new Gathering({ db, stream, start, end: null, heads, limit: about.limit });
  const more = await gather(gathering, { limit: about.limit, now });
  const moved = Object.keys(start.log).filter((part) => gathering.position.log[part] !== start.log[part]);
  if (hasGap(start, await headsOf(db, moved.map(Number)))) {
    return { cut: null, more: true, stream, position: behind };
  }
  const offset = await keep(db, { stream, lease }, { after: about.after, gathering, now });
  const cut = gathering.count === 0 ? null : cutOf(stream, gathering, offset);
  return { cut, more, stream, position: gathering.position };
}

/** Gathers what lies behind a position; returns whether there may be more. */
async function gather(
  gathering: Gathering,
  { limit, now }: { limit: number; now: number },
): Promise<boolean> {
  const { position, start, stream } = gathering;
  let more = false;
  if (start.phase === "log") {
    const isPending = start.history.from !== null || start.history.done < stream.seq;
    // Meters that come later, with years of history, must not keep the changes of the others waiting.
    if (isPending) gathering.room = Math.ceil(limit / 2);
    more = await gatherLog(gathering);
    gathering.room = limit - gathering.count;
  }
  await gatherHistory(gathering, start.phase === "first" ? stream.created : now);
  const { history } = position;
  if (history.from !== null || history.done < stream.seq || stream.filledPart !== null) return true;
  if (position.phase === "log") return more;
  position.phase = "log";
  return true;
}

/** Stores what a new batch is, or how far the offset before it reaches; returns the offset of the batch. */
async function keep(
  db: Db,
  { stream, lease }: Held,
  { after, gathering, now }: { after: number; gathering: Gathering; now: number },
): Promise<number> {
  const { start, position, count } = gathering;
  const end = JSON.stringify(position);
  return db.transaction(async (tx) => {
    await holdStream(tx, stream.id, lease.token);
    if (count === 0) {
      // The row of an offset that was purged is made again.
      await tx.run(sql`
        insert into stream_batch (stream_id, off, previous, start, position, created)
        values (${stream.id}, ${after}, -1, ${end}::jsonb, ${end}::jsonb, ${new Date(now)})
        on conflict (stream_id, off) do update set position = excluded.position`);
      return after;
    }
    const issued = await nextOffset(tx, stream.id, now);
    await tx.run(sql`
      insert into stream_batch (stream_id, off, previous, start, position, created)
      values (${stream.id}, ${issued}, ${after}, ${JSON.stringify(start)}::jsonb, ${end}::jsonb, ${new Date(now)})`);
    return issued;
  });
}
