/**
 * Keeps a SQLite file in step with an account: `node consume.ts FILE`.
 *
 * The values of a batch and the offset behind it are stored in one transaction. That is all it takes: killed at any
 * point, it goes on from the offset in the file, and gets again what was not stored.
 *
 * METERTREE_URL and METERTREE_TOKEN say where; METERTREE_STREAM names a stream, otherwise one is made and remembered.
 * `--once` ends when nothing is new.
 */
import { DatabaseSync } from "node:sqlite";
import { parseArgs } from "node:util";
import { ApiError, Client, ConnectionError } from "@metertree/client";

const { positionals, values: flags } = parseArgs({
  allowPositionals: true,
  options: { once: { type: "boolean", default: false }, limit: { type: "string", default: "20000" } },
});
const { METERTREE_URL: url, METERTREE_TOKEN: token, METERTREE_STREAM: given } = process.env;
const [file] = positionals;
if (url === undefined || token === undefined || file === undefined) {
  console.error("METERTREE_URL=… METERTREE_TOKEN=… node consume.ts FILE [--once] [--limit VALUES]");
  process.exit(2);
}

const db = new DatabaseSync(file);
db.exec(`
  pragma journal_mode = wal;
  pragma synchronous = full;
  create table if not exists cursor (one integer primary key check (one = 1), stream text not null, offset integer);
  create table if not exists value (
    meter text, metric text, currency text, granularity text, start text, value real not null,
    primary key (meter, metric, currency, granularity, start)
  ) without rowid;
`);
const put = db.prepare("insert or replace into value values (?, ?, ?, ?, ?, ?)");
const remove = db.prepare(
  "delete from value where meter = ? and metric = ? and currency = ? and granularity = ? and start = ?",
);
const moveOn = db.prepare("update cursor set offset = ?");

/** The stream, and what was stored of it. */
interface Cursor {
  stream: string;
  offset: number | null;
}

interface Batch {
  offset: number | null;
  records: {
    meter: { _id: string };
    values: {
      value: number | null;
      granularity: string;
      metric: string;
      currency?: string;
      start: string;
    }[];
  }[];
}

const client = new Client({ url, token });
let cursor = (db.prepare("select stream, offset from cursor").get() as Cursor | undefined) ?? (await begin());

for (;;) {
  const batch = await patiently(() => next(cursor));
  if (batch.records.length > 0) {
    store(batch);
    cursor = { stream: cursor.stream, offset: batch.offset };
  } else if (flags.once) break;
}

async function next({ stream, offset }: Cursor): Promise<Batch> {
  const body = { offset, limit: Number(flags.limit), wait: flags.once ? 0 : 30 };
  const batch = await client.call("POST /streams/{id}/consume", { path: { id: stream }, body });
  return batch as unknown as Batch;
}

/** All of a batch and the offset behind it, or nothing. */
function store({ offset, records }: Batch): void {
  let count = 0;
  db.exec("begin immediate");
  for (const { meter, values } of records) {
    for (const { value, metric, currency = "", granularity, start } of values) {
      count++;
      if (value === null) remove.run(meter._id, metric, currency, granularity, start);
      else put.run(meter._id, metric, currency, granularity, start, value);
    }
  }
  moveOn.run(offset);
  db.exec("commit");
  console.log(`${count} values up to ${offset}`);
}

/** Notes which stream is read before anything is. */
async function begin(): Promise<Cursor> {
  const stream = given ?? (await patiently(makeStream));
  db.prepare("insert into cursor values (1, ?, null)").run(stream);
  return { stream, offset: null };
}

async function makeStream(): Promise<string> {
  return (await client.call("POST /streams", { body: { resource: "consumption" } }))._id;
}

/** Asks again as long as the server is away; the client itself repeats what the server was too busy for. */
async function patiently<T>(ask: () => Promise<T>): Promise<T> {
  for (;;) {
    try {
      return await ask();
    } catch (error) {
      const isAway = error instanceof ConnectionError || (error instanceof ApiError && error.code >= 429);
      if (!isAway) throw error;
      console.error(`${error.message}; trying again in 2 s`);
      await new Promise((resolve) => setTimeout(resolve, 2000));
    }
  }
}
