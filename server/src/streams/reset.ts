import { headsOf } from "../changes/changes.ts";
import { type Db, sql } from "../platform/db.ts";
import { takeLease } from "./lease.ts";
import { beginning, type Position } from "./position.ts";
import { batchAt, nextOffset, type Stream, streamById } from "./stream.ts";
import { holdStream } from "./take-up.ts";

/** A change carries the time at which its transaction began, and appears when it ends: so much later at most. */
const transactionMs = 60_000;

/**
 * Moves the consumer of a stream: to the changes since `from`, when the log reaches back to it, else to the beginning
 * of everything. Offsets that were issued before lead to the same place from then on.
 * @throws Problem 429 while somebody consumes the stream
 */
export async function resetStream(
  db: Db,
  id: string,
  { from, now }: { from: number | null; now: number },
): Promise<Stream> {
  const lease = await takeLease(db, id);
  try {
    const stream = await streamById(db, id);
    const position = await positionOf(db, stream, { from, now });
    await db.transaction(async (tx) => {
      await holdStream(tx, id, lease.token);
      const offset = await nextOffset(tx, id, now);
      const text = JSON.stringify(position);
      await tx.run(sql`delete from stream_batch where stream_id = ${id} and off < ${offset}`);
      await tx.run(sql`
        insert into stream_batch (stream_id, off, previous, start, position, created)
        values (${id}, ${offset}, -1, ${text}::jsonb, ${text}::jsonb, ${new Date(now)})`);
      await tx.run(sql`
        update stream set last_offset = ${offset}, reset_offset = ${offset}, purged = ${offset - 1} where id = ${id}`);
    });
    return await streamById(db, id);
  } finally {
    await lease.release();
  }
}

async function positionOf(
  db: Db,
  stream: Stream,
  { from, now }: { from: number | null; now: number },
): Promise<Position> {
  const current = (await batchAt(db, stream.id, stream.lastOffset ?? 0))?.position;
  const everything = beginning("again", Math.max(now, current?.pushed ?? 0));
  if (from === null || current === undefined || current.phase !== "log") return everything;
  const since = (from - transactionMs) * 1000;
  // The log of invoices is never purged.
  const heads = stream.resource === "invoices" ? [] : await headsOf(db, stream.parts);
  if (heads.some((head) => head.purged > since)) return everything;
  const log: Record<string, number> = {};
  // Never forward: what the consumer has not confirmed yet comes in any case.
  for (const [part, off] of Object.entries(current.log)) log[part] = Math.min(since, off);
  return { ...current, log, entry: null, base: current.history.done };
}
