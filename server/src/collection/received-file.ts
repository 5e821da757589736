import { createHash } from "node:crypto";
import type { FileProblem } from "../imports/imports.ts";
import { any, type Db, type Queryable, sql, type Tx } from "../platform/db.ts";
import { newId } from "../platform/id.ts";
import type { SentFile } from "./connector.ts";

/**
 * Where a content is. `reading`: not at its end yet. `left_out`: stored, and read again where it still lies, for meters
 * that were put away then and are not any more. `unread`: its server does not hand it out; it is tried at each look.
 */
export const fileStatuses = ["reading", "stored", "refused", "left_out", "unread"] as const;
export type FileStatus = (typeof fileStatuses)[number];

/** What is known of a content. */
export interface KnownFile {
  id: string;
  status: FileStatus;
  /** When it came first, epoch ms; each one of a connection has its own. */
  received: number;
}

const columns = sql`f.id, f.status, (extract(epoch from f.received) * 1000)::float8 as received`;

type Placed = Pick<SentFile, "place" | "mark">;

/** What lay at a place when it had this mark; `undefined` when that is not known. */
export function fileAt(
  db: Queryable,
  connectionId: string,
  { place, mark }: Placed,
): Promise<KnownFile | undefined> {
  return db.maybe<KnownFile>(sql`
    select ${columns} from received_place p join received_file f on f.id = p.file_id
    where p.connection_id = ${connectionId} and p.place = ${storable(place)} and p.mark = ${storable(mark)}`);
}

/** A content that was found. */
export interface FoundFile extends Placed {
  name: string;
  bytes: number;
  /** Hexadecimal. */
  sha256: string;
}

/** Writes down where a content lies, and the content itself unless it is known. */
export function noteFile(
  db: Db,
  connectionId: string,
  file: FoundFile & { now: number },
): Promise<KnownFile> {
  const { bytes, sha256, now } = file;
  const [place, name, mark] = [file.place, file.name, file.mark].map(storable);
  const content = Buffer.from(sha256, "hex");
  return db.transaction(async (tx) => {
    const at = new Date(now);
    // Later than all before it: of two contents of one name the later one wins, also when no time has passed.
    await tx.run(sql`
      insert into received_file (id, connection_id, sha256, place, name, bytes, status, received)
      select ${newId(now)}, ${connectionId}, ${content}, ${place}, ${name}, ${bytes}, 'reading',
        greatest(${at}::timestamptz, max(received) + interval '1 millisecond')
      from received_file where connection_id = ${connectionId}
      on conflict (connection_id, sha256) do nothing`);
    const known = await tx.one<KnownFile>(sql`
      select ${columns} from received_file f where f.connection_id = ${connectionId} and f.sha256 = ${content}`);
    // What could not be looked at is over when something else is known of the place.
    await tx.run(sql`
      delete from received_file f using received_place p
      where p.connection_id = ${connectionId} and p.place = ${place} and f.id = p.file_id and f.status = 'unread'
        and f.id <> ${known.id}`);
    await tx.run(sql`
      insert into received_place (connection_id, place, mark, file_id)
      values (${connectionId}, ${place}, ${mark}, ${known.id})
      on conflict (connection_id, place) do update set mark = excluded.mark, file_id = excluded.file_id`);
    return known;
  });
}

/** Stands for the content of a file that is too large to be looked at. */
export function unreadHash({ place, mark }: Placed): string {
  return createHash("sha256").update(`not read: ${place} ${mark}`).digest("hex");
}

/** How the reading of a file ended. */
export interface FileEnd {
  status: "stored" | "refused" | "unread";
  formats: readonly string[];
  counts: Readonly<Record<string, number>>;
  problems: readonly FileProblem[];
  /** Keys of meters that were put away. */
  leftOut: readonly string[];
  now: number;
}

/** Problems of a file that are kept; all of them are counted. */
const problemsKept = 100;

/** Writes down how the reading of a file ended, in the transaction that does the rest. */
export async function endFile(
  tx: Tx,
  fileId: string,
  { status, formats, counts, problems, leftOut, now }: FileEnd,
): Promise<void> {
  const kept = problems
    .slice(0, problemsKept)
    .map((problem) => ({ ...problem, message: problem.message.slice(0, 2_000) }));
  await tx.run(sql`
    update received_file set status = ${status}, settled = ${new Date(now)}, counts = ${JSON.stringify(counts)}::jsonb,
      formats = ${[...formats]}::text[],
      problems = ${JSON.stringify(kept, storableValue)}::jsonb, left_out = ${[...leftOut]}::text[]
    where id = ${fileId}`);
}

/** A refused file, and the first reason. */
export interface RefusedFile {
  _id: string;
  name: string;
  place: string;
  line: number | null;
  reason: string;
}

/** Refused files of these, by id. */
export async function refusedFiles(db: Queryable, ids: readonly string[]): Promise<Map<string, RefusedFile>> {
  const rows = await db.rows<RefusedFile>(sql`
    select id as "_id", coalesce(problems -> 0 ->> 'file', name) as name, place,
      (problems -> 0 ->> 'line')::int4 as line, coalesce(problems -> 0 ->> 'message', '') as reason
    from received_file where id = ${any(ids.filter((id) => id !== ""))}`);
  return new Map(rows.map((row) => [row._id, row]));
}

/** Keys of meters that were put away when files brought values of them. */
export async function keysLeftOut(db: Queryable, connectionId: string): Promise<string[]> {
  const rows = await db.rows<{ key: string }>(sql`
    select distinct unnest(left_out) as key from received_file
    where connection_id = ${connectionId} and left_out <> '{}'`);
  return rows.map(({ key }) => key);
}

/** Files that left these meters out are read again, where they still lie. */
export async function readAgain(db: Queryable, connectionId: string, keys: readonly string[]): Promise<void> {
  await db.run(sql`
    update received_file set status = 'left_out'
    where connection_id = ${connectionId} and status = 'stored' and left_out && ${[...keys]}::text[]`);
}

/** Text of a provider as the database takes it. */
const storable = (text: string) => text.toWellFormed().replaceAll("\0", "");
const storableValue = (_name: string, value: unknown) =>
  typeof value === "string" ? storable(value) : value;
