import { setTimeout as delay } from "node:timers/promises";
import { systemClock } from "../server/src/platform/clock.ts";
import type { Deps } from "../server/src/platform/deps.ts";
import { commit, createStream, nextCut } from "../server/src/streams/streams.ts";
import { type BenchServer, startServer, tokenOf } from "./http.ts";
import type { Row } from "./store.ts";
import { dayOf, silent, type World } from "./world.ts";

const batch = 100_000;
const hour = 3_600_000;
/** Deliveries whose way to the consumer is timed. */
const deliveries = 400;

/**
 * Streams of an account with everything that was loaded: replay by the store alone and over HTTP, what a new stream
 * costs, and the time from the commit of a delivery to its consumer.
 */
export async function streams(world: World): Promise<Row[]> {
  const store = await replayInStore(world);
  const server = await startServer(world, await tokenOf(world));
  try {
    const rows: Row[] = [
      {
        name: "replay by the store: batches of 100,000 values in memory",
        value: store,
        unit: "M values/s",
        more: true,
      },
    ];
    const bound = { bound: store, boundName: "replay by the store", more: true };
    const created = performance.now();
    const id = await server.makeStream();
    rows.push({
      name: "a new stream over everything",
      value: performance.now() - created,
      unit: "ms",
      more: false,
    });
    const first = performance.now();
    await server.consume(id, { limit: 1_000 });
    rows.push({ name: "its first batch", value: performance.now() - first, unit: "ms", more: false });
    rows.push({
      name: "replay over HTTP, JSON",
      value: await replayOverHttp(server),
      unit: "M values/s",
      ...bound,
    });
    const columns = await replayInColumns(server);
    rows.push({ name: "replay over HTTP, JSON in columns", value: columns, unit: "M values/s", ...bound });
    rows.push(...(await lag(world, server)));
    return rows;
  } finally {
    await server.stop();
  }
}

/** M values a second that come out of the store, decoded, with their meters: what a stream costs before any JSON. */
async function replayInStore(world: World): Promise<number> {
  const deps = { db: world.db, clock: systemClock, log: silent } as Deps;
  const stream = await world.db.transaction((tx) =>
    createStream(tx, {
      accountId: world.accountId,
      clientId: null,
      resource: "consumption",
      granularity: null,
      now: Date.now(),
    }),
  );
  let values = 0;
  const start = performance.now();
  for (let after: number | null = null; ; ) {
    const cut = await nextCut(deps, stream, { after, limit: batch });
    if (cut === null) break;
    values += cut.count;
    after = cut.offset;
    await world.db.transaction((tx) => commit(tx, stream.id, cut.offset));
  }
  return values / 1e3 / (performance.now() - start);
}

async function replayOverHttp(server: BenchServer): Promise<number> {
  const id = await server.makeStream();
  let values = 0;
  const start = performance.now();
  for (let offset: number | null = null; ; ) {
    const answer = await server.consume(id, { offset, limit: batch });
    const found = count(answer);
    if (found.values === 0) break;
    values += found.values;
    offset = found.offset;
  }
  return values / 1e3 / (performance.now() - start);
}

/** The same in the layout `columns`, parsed as a consumer does. */
async function replayInColumns(server: BenchServer): Promise<number> {
  const id = await server.makeStream();
  let values = 0;
  const start = performance.now();
  for (let offset: number | null = null; ; ) {
    const answer = await server.consume(id, { offset, limit: batch, layout: "columns" });
    const { data } = JSON.parse(answer.toString()) as {
      data: { offset: number; records: { columns: { value: number[] } }[] };
    };
    if (data.records.length === 0) break;
    for (const { columns } of data.records) values += columns.value.length;
    offset = data.offset;
  }
  return values / 1e3 / (performance.now() - start);
}

const valueStart = Buffer.from('{"value":');

/** Counts values without building objects: the consumer's JSON parser is not what is measured. */
function count(answer: Buffer): { values: number; offset: number } {
  let values = 0;
  for (let at = answer.indexOf(valueStart); at >= 0; at = answer.indexOf(valueStart, at + 100)) values++;
  const offset = /"offset":(\d{1,16})/.exec(answer.toString("latin1", 0, 200))?.[1];
  return { values, offset: Number(offset) };
}

/** Milliseconds from the answer to a delivery, which is after its commit, to the end of the batch that holds it. */
async function lag(world: World, server: BenchServer): Promise<Row[]> {
  const id = await server.makeStream("hour");
  let offset: number | null = null;
  for (;;) {
    const found = count(await server.consume(id, { offset, limit: batch }));
    if (found.values === 0) break;
    offset = found.offset;
  }
  const times: number[] = [];
  for (let i = 0; i < deliveries; i++) {
    const waiting = server.consume(id, { offset, limit: batch, wait: 30 }).then((answer) => {
      offset = count(answer).offset;
      return performance.now();
    });
    // Arrivals at any moment, not in step with whoever looks for them.
    await delay(5 + ((i * 37) % 50));
    const committed = await server.deliver({
      meter: world.meters[i % world.meters.length]!.id,
      granularity: "hour",
      start: new Date(Date.UTC(2026, 8, 1) + 24 * hour * Math.floor(i / world.meters.length)).toISOString(),
      values: [...dayOf(i)],
    });
    times.push((await waiting) - committed);
  }
  times.sort((a, b) => a - b);
  const at = (share: number) => times[Math.min(times.length - 1, Math.floor(share * times.length))]!;
  return [
    { name: `commit to consumer, median of ${deliveries}`, value: at(0.5), unit: "ms", more: false },
    { name: "commit to consumer, 99th percentile", value: at(0.99), unit: "ms", more: false },
  ];
}
