import { headsOf } from "../changes/changes.ts";
import { accessCount, compareReadable, type ReadableRoot, readableAfter } from "../meters/meters.ts";
import { any, type Db, type Queryable, sql, type Tx } from "../platform/db.ts";
import { busy } from "./lease.ts";
import { type Stream, streamById } from "./stream.ts";

/** Meters of a new stream are taken up so many at a time: an account may have a hundred thousand. */
const atOnce = 1_000;

/** A meter of a stream. */
export interface StreamMeter {
  rootId: string;
  part: number;
  seq: number;
  covered: number;
}

/**
 * Brings the list of the stream's meters up to what the account may read now. What it may no longer read goes; what
 * is new, or was away, is put at the end of the history that is pushed. Costs one look when nothing changed.
 *
 * @param done the number up to which the consumer has the history
 */
export async function takeUp(
  db: Db,
  stream: Stream,
  { lease, done }: { lease: string; done: number },
): Promise<Stream> {
  // Read before the list: what happens in between makes the next count another one.
  const access = await accessCount(db, stream.accountId);
  const isFilling = stream.filledPart !== null && stream.seq - done < atOnce;
  if (access === stream.access && !isFilling) return stream;
  return db.transaction(async (tx) => {
    await holdStream(tx, stream.id, lease);
    const now = await streamById(tx, stream.id);
    const changed = access === now.access ? now : await compare(tx, now, access);
    if (!isFilling) return changed;
    return fill(tx, changed);
  });
}

/** Locks the row of a stream whose lease is ours. @throws Problem 429 when it is not any more */
export async function holdStream(tx: Tx, id: string, lease: string): Promise<void> {
  const held = await tx.maybe(
    sql`select 1 as one from stream where id = ${id} and lease = ${lease} for no key update`,
  );
  if (held === undefined) {
    await streamById(tx, id);
    throw busy();
  }
}

async function compare(tx: Tx, stream: Stream, access: number): Promise<Stream> {
  const { filledPart, filledRoot } = stream;
  const { gone, entered } = await compareReadable(tx, stream.accountId, {
    known: sql`select root_id, entered from stream_meter where stream_id = ${stream.id}`,
    upTo: filledPart === null ? null : { part: filledPart, rootId: filledRoot! },
  });
  await tx.run(sql`delete from stream_meter where stream_id = ${stream.id} and root_id = ${any(gone)}`);
  await tx.run(sql`update stream set access = ${access} where id = ${stream.id}`);
  return add(tx, { ...stream, access }, entered);
}

async function fill(tx: Tx, stream: Stream): Promise<Stream> {
  const found = await readableAfter(tx, stream.accountId, {
    part: stream.filledPart!,
    rootId: stream.filledRoot!,
    limit: atOnce,
  });
  const last = found.length < atOnce ? undefined : found.at(-1);
  const filled = { filledPart: last?.part ?? null, filledRoot: last?.rootId ?? null };
  await tx.run(sql`
    update stream set filled_part = ${filled.filledPart}, filled_root = ${filled.filledRoot} where id = ${stream.id}`);
  return add(tx, { ...stream, ...filled }, found);
}

async function add(tx: Tx, stream: Stream, roots: readonly ReadableRoot[]): Promise<Stream> {
  if (roots.length === 0) return stream;
  const parts = [...new Set([...stream.parts, ...roots.map((root) => root.part)])].sort((a, b) => a - b);
  // Before their history is read: it holds everything up to here.
  const heads = new Map((await headsOf(tx, parts)).map((head) => [head.part, head.off]));
  await tx.run(sql`
    insert into stream_meter (stream_id, root_id, part, seq, entered, covered)
    select ${stream.id}, new.root_id, new.part, ${stream.seq} + new.n, new.entered, new.covered
    from unnest(${roots.map((root) => root.rootId)}::text[], ${roots.map((root) => root.part)}::int4[],
      ${roots.map((root) => root.entered)}::int8[], ${roots.map((root) => heads.get(root.part) ?? 0)}::int8[])
      with ordinality as new (root_id, part, entered, covered, n)
    on conflict (stream_id, root_id) do update set
      part = excluded.part, seq = excluded.seq, entered = excluded.entered, covered = excluded.covered`);
  const seq = stream.seq + roots.length;
  await tx.run(sql`update stream set seq = ${seq}, parts = ${parts}::int4[] where id = ${stream.id}`);
  return { ...stream, seq, parts };
}

/** Meters of the history behind a number, in order. */
export async function metersAfter(
  db: Queryable,
  streamId: string,
  { after, upTo, limit }: { after: number; upTo: number; limit: number },
): Promise<StreamMeter[]> {
  return db.rows({
    name: "streams-meters-after",
    text: `select root_id as "rootId", part, seq, covered from stream_meter
           where stream_id = $1 and seq > $2 and seq <= $3 order by seq limit $4`,
    values: [streamId, after, upTo, limit],
  });
}

/** Meters of the stream by root id. */
export async function metersOf(
  db: Queryable,
  streamId: string,
  rootIds: readonly string[],
): Promise<StreamMeter[]> {
  if (rootIds.length === 0) return [];
  return db.rows({
    name: "streams-meters",
    text: `select root_id as "rootId", part, seq, covered from stream_meter
           where stream_id = $1 and root_id = any($2::text[])`,
    values: [streamId, rootIds],
  });
}
