import { type Db, sql } from "../platform/db.ts";
import type { Deps } from "../platform/deps.ts";
import { newConsumption, sameConsumption } from "./consumption.ts";
import { newInvoices, sameInvoices } from "./invoice-batch.ts";
import { type Lease, takeLease } from "./lease.ts";
import type { Content, Found } from "./piece.ts";
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
import { holdStream } from "./take-up.ts";

/** One batch of a stream. */
export interface Cut extends Content {
  /** What to send next time: everything up to here was given out. */
  offset: number;
  resource: Resource;
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
    const again = known === undefined ? undefined : await sameContent(deps.db, now, known);
    if (known !== undefined && again !== undefined) {
      if (again.count > 0) return { offset: known.off, resource: stream.resource, ...again };
      // Everything in that batch may not be read any more: what follows it is next.
      from = known.off;
      continue;
    }
    const made = await cutNew(deps, { stream: now, lease }, { after: from, limit });
    now = made.stream;
    if (made.cut !== null) return made.cut;
    if (!made.more) return { stream: now, log: made.position.log };
  }
}

/** What a batch that was issued before holds; `undefined` when it cannot be told any more. */
function sameContent(db: Db, stream: Stream, batch: Batch): Promise<Content | undefined> {
  return stream.resource === "invoices"
    ? sameInvoices(db, stream, batch)
    : sameConsumption(db, stream, batch);
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
  const { stream: known, lease } = held;
  const { after, limit } = about;
  const now = clock.now();
  const behind = (await batchAt(db, known.id, after))?.position ?? beginning("again", 0);
  const found =
    known.resource === "invoices"
      ? await newInvoices(db, known, { behind, limit })
      : await newConsumption(db, known, { behind, lease: lease.token, limit, now });
  const { stream, start, position, more, ...content } = found;
  const offset = await keep(db, { stream, lease }, { after, found, now });
  const cut = content.count === 0 ? null : { offset, resource: stream.resource, ...content };
  return { cut, more, stream, position };
}

/** Stores what a new batch is, or how far the offset before it reaches; returns the offset of the batch. */
async function keep(
  db: Db,
  { stream, lease }: Held,
  { after, found, now }: { after: number; found: Found; now: number },
): Promise<number> {
  const { start, position, count } = found;
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
