import { type Queryable, sql, type Tx } from "../platform/db.ts";
import { type Granularity, granularities } from "../platform/granularity.ts";
import { newId } from "../platform/id.ts";
import { invalid, notFound, Problem } from "../platform/problem.ts";
import { beginning, type Position } from "./position.ts";

/** What a stream carries. */
export const resources = ["consumption", "invoices"] as const;
export type Resource = (typeof resources)[number];

/** A stream as it is stored. */
export interface Stream {
  id: string;
  accountId: string;
  clientId: string | null;
  owner: "export" | null;
  resource: Resource;
  granularity: Granularity | null;
  /** Epoch ms. */
  created: number;
  lastOffset: number | null;
  issued: number;
  resetOffset: number | null;
  purged: number;
  parts: number[];
  seq: number;
  filledPart: number | null;
  filledRoot: string | null;
  access: number;
}

/** The columns of `Stream`, of the table `stream` under the name `s`. */
export const streamColumns = sql`s.id, s.account_id as "accountId", s.client_id as "clientId", s.owner, s.resource,
  s.granularity, (extract(epoch from s.created) * 1000)::float8 as created, s.last_offset as "lastOffset", s.issued,
  s.reset_offset as "resetOffset", s.purged, s.parts, s.seq, s.filled_part as "filledPart",
  s.filled_root as "filledRoot", s.access`;

/** Offsets of a stream lie a millisecond apart at least. */
const offsetStep = 1_000;

/** Streams of an account and one of its clients; exports' own ones do not count. */
const streamsMax = 100;

/** What a stream without a granularity carries. */
const usual: readonly Granularity[] = ["hour", "day", "month"];

/** Granularities of the values that a stream carries. */
export function granularitiesOf({ granularity }: Pick<Stream, "granularity">): readonly Granularity[] {
  return granularity === null ? usual : [granularity];
}

/** Names that a new stream may give as its granularity. */
export const streamGranularities = granularities;

/** What a new stream is made of. */
export interface NewStream {
  accountId: string;
  clientId: string | null;
  resource: Resource;
  granularity: Granularity | null;
  now: number;
  /** Whoever of the server reads it; such a stream is not listed, and no consumer finds it. */
  owner?: "export" | null;
}

/**
 * Makes a stream. Nothing is copied: its history is read when it is asked for, so this costs the same however much
 * is stored.
 * @throws Problem `conflict` when the account and client have as many as they may
 */
export async function createStream(tx: Tx, options: NewStream): Promise<Stream> {
  const { accountId, clientId, resource, granularity, now, owner = null } = options;
  if (owner === null) {
    // Two requests at once must not both be the last one allowed.
    await tx.run(sql`select pg_advisory_xact_lock(hashtextextended(${`stream ${accountId}`}, 0))`);
    const { count } = await tx.one<{ count: number }>(sql`
      select count(*) as count from stream
      where account_id = ${accountId} and coalesce(client_id, '') = ${clientId ?? ""} and owner is null`);
    if (count >= streamsMax) {
      throw new Problem(
        "conflict",
        `There are ${count} streams already, as many as an account may have; delete those that nobody consumes`,
      );
    }
  }
  const id = newId(now);
  const at = new Date(now);
  await tx.run(sql`
    insert into stream (id, account_id, client_id, owner, resource, granularity, created)
    values (${id}, ${accountId}, ${clientId}, ${owner}, ${resource}, ${granularity}, ${at})`);
  const start = JSON.stringify(beginning("first", now));
  await tx.run(sql`
    insert into stream_batch (stream_id, off, previous, start, position, created)
    values (${id}, 0, -1, ${start}::jsonb, ${start}::jsonb, ${at})`);
  return streamById(tx, id);
}

/** A stream, whoever it belongs to. @throws Problem 404 */
export async function streamById(db: Queryable, id: string): Promise<Stream> {
  const found = await db.maybe<Stream>(sql`select ${streamColumns} from stream s where s.id = ${id}`);
  if (found === undefined) throw notFound(`stream ${id}`);
  return found;
}

/** Issues an offset: microseconds, so that it is exact in every client until 2255, and greater than all before. */
export async function nextOffset(tx: Tx, id: string, now: number): Promise<number> {
  const { issued } = await tx.one<{ issued: number }>(sql`
    update stream set issued = greatest(issued + ${offsetStep}, ${now * 1000}) where id = ${id} returning issued`);
  return issued;
}

/** Removes a stream with its state. */
export async function removeStream(tx: Queryable, id: string): Promise<void> {
  await tx.run(sql`delete from stream where id = ${id}`);
}

/** A batch that was issued, or where one begins. */
export interface Batch {
  off: number;
  start: Position;
  position: Position;
  /** When it was cut, epoch ms. */
  created: number;
}

const batchColumns = "off, start, position, (extract(epoch from created) * 1000)::float8 as created";

/** The position behind an offset; `undefined` when it was never issued or is purged. */
export async function batchAt(db: Queryable, streamId: string, off: number): Promise<Batch | undefined> {
  return db.maybe<Batch>({
    name: "streams-batch",
    text: `select ${batchColumns} from stream_batch where stream_id = $1 and off = $2`,
    values: [streamId, off],
  });
}

/** The batch that follows an offset: the newest, when its content had to be made anew. */
export async function batchAfter(db: Queryable, streamId: string, off: number): Promise<Batch | undefined> {
  return db.maybe<Batch>({
    name: "streams-batch-after",
    text: `select ${batchColumns} from stream_batch
           where stream_id = $1 and previous = $2 order by off desc limit 1`,
    values: [streamId, off],
  });
}

/**
 * Everything before `offset` was processed. A smaller one than the last changes nothing.
 * @throws Problem 400 for an offset that this stream never issued, 404 without the stream
 */
export async function commit(tx: Queryable, streamId: string, offset: number): Promise<void> {
  const stream = await streamById(tx, streamId);
  await assertIssued(tx, stream, offset);
  await tx.run(sql`
    update stream set last_offset = greatest(last_offset, ${offset}) where id = ${streamId}`);
}

/** @throws Problem 400 for an offset that this stream never issued */
export async function assertIssued(db: Queryable, stream: Stream, offset: number): Promise<void> {
  const isOld = offset <= stream.purged && offset >= stream.created * 1000;
  if (offset > 0 && (isOld || (await batchAt(db, stream.id, offset)) !== undefined)) return;
  throw invalid(
    "offset",
    "was never issued by this stream; send the offset of an earlier answer, or none to go on from last_offset",
  );
}
