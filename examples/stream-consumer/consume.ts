// Keeps a copy of all values of an account in SQLite: node consume.ts FILE [--once]
import { DatabaseSync } from "node:sqlite";
import { Client } from "../../client/src/client.ts";

const [file = "copy.db", once] = process.argv.slice(2);
const client = new Client({ url: process.env.METERTREE_URL ?? "", token: process.env.METERTREE_TOKEN ?? "" });

const db = new DatabaseSync(file);
db.exec(`
  create table if not exists progress (stream text not null, offset integer);
  create table if not exists value (meter text, metric text, granularity text, start text, period text, value real,
    primary key (meter, metric, granularity, start));`);
const upsert = db.prepare(`
  insert into value (meter, metric, granularity, start, period, value) values (?, ?, ?, ?, ?, ?)
  on conflict do update set value = excluded.value`);
const remove = db.prepare(
  "delete from value where meter = ? and metric = ? and granularity = ? and start = ?",
);

type Progress = { stream: string; offset: number | null };
let progress = db.prepare("select stream, offset from progress").get() as Progress | undefined;
if (progress === undefined) {
  // Killed between these two steps it leaves a stream that nobody reads: that costs nothing.
  const { _id } = await client.call("POST /streams", { body: { resource: "consumption" } });
  db.prepare("insert into progress (stream, offset) values (?, null)").run(_id);
  progress = { stream: _id, offset: null };
}

for (;;) {
  const body = { offset: progress.offset, limit: 10_000, wait: once === "--once" ? 0 : 30 };
  const batch = await client.call("POST /streams/{id}/consume", { path: { id: progress.stream }, body });
  // The values and the offset, or neither.
  db.exec("begin");
  for (const record of batch.records) {
    if (!("meter" in record)) continue;
    for (const { metric, granularity, start, period, value } of record.values) {
      if (value === null) remove.run(record.meter._id, metric, granularity, start);
      else upsert.run(record.meter._id, metric, granularity, start, period, value);
    }
  }
  db.prepare("update progress set offset = ?").run(batch.offset);
  db.exec("commit");
  progress.offset = batch.offset;
  if (batch.records.length === 0 && once === "--once") break;
}
