import { metric } from "../world.ts";
import { months, onHours, type Peer, year } from "./peer.ts";
import { outputOf, type Server, startServer } from "./server.ts";

const command = "influxd";
const database = "bench";
const csv = { accept: "application/csv" };

/** What it answers to a SELECT. */
interface Answer {
  results: {
    series?: { tags?: { meter: string }; values: [number, number][] }[];
    error?: string;
  }[];
}

/**
 * InfluxDB 1.x; undefined when it is not installed.
 *
 * A write is answered after the write-ahead log was synced (its default, `wal-fsync-delay` 0): durable as ours.
 * Set in its favour: a shard holds a year instead of its default week, which loads twice as fast here; the cache
 * is written and compacted after seconds without writes instead of minutes and hours, so that disk and reads are
 * those of a settled server.
 */
export function findInflux(): Peer | undefined {
  const version = outputOf(command, ["version"]);
  if (version?.startsWith("InfluxDB v1.") !== true) return;
  return {
    title: version.split(" ").slice(0, 2).join(" "),
    notes: [
      "durable: a write is answered after its log was synced",
      "shards of a year; settled: cache written and compacted before disk and reads are measured",
    ],
    start,
    writePath: `/write?db=${database}&precision=h`,
    makeVisible: async () => undefined,
    years: [
      { name: "JSON", path: yearPath, decode: (answer) => onHours(valuesOf(answer), { unit: 1 }) },
      {
        name: "CSV",
        path: yearPath,
        headers: csv,
        decode: (answer) => onHours(rowsOf(answer), { unit: 1 }),
      },
    ],
    binaryYear: { name: "MessagePack", path: yearPath, headers: { accept: "application/x-msgpack" } },
    keepsAnswers: false,
    async hourSums(server, { count }) {
      const span = { from: year.from, to: year.from + count * 3_600_000 };
      const answer = await select(
        server,
        `select sum(value) from ${metric} where ${within(span)} group by time(1h) fill(none)`,
      );
      return onHours(answer.results[0]!.series![0]!.values, { unit: 1, count });
    },
    async monthSums(server) {
      // It has no calendar months to group by: one statement for each, all in one request.
      const statements = months.map(
        (month) => `select sum(value) from ${metric} where ${within(month)} group by meter`,
      );
      const answer = await select(server, statements.join(";"));
      return answer.results.flatMap(({ series = [] }, month) =>
        series.map(({ tags, values }) => ({ meter: tags!.meter, month, sum: values[0]![1] })),
      );
    },
    async count(server, span) {
      const answer = await select(server, `select count(value) from ${metric} where ${within(span)}`);
      return answer.results[0]!.series?.[0]?.values[0]?.[1] ?? 0;
    },
  };
}

async function start(): Promise<Server> {
  const server = await startServer({
    command,
    readyPath: "/ping",
    settings: ({ folder, port, spare }) => ({
      args: ["run", "-config", "/dev/null"],
      env: {
        INFLUXDB_REPORTING_DISABLED: "true",
        INFLUXDB_BIND_ADDRESS: `127.0.0.1:${spare}`,
        INFLUXDB_HTTP_BIND_ADDRESS: `127.0.0.1:${port}`,
        INFLUXDB_HTTP_LOG_ENABLED: "false",
        INFLUXDB_LOGGING_LEVEL: "error",
        INFLUXDB_MONITOR_STORE_ENABLED: "false",
        INFLUXDB_META_DIR: `${folder}/meta`,
        INFLUXDB_DATA_DIR: `${folder}/data`,
        INFLUXDB_DATA_WAL_DIR: `${folder}/wal`,
        INFLUXDB_DATA_QUERY_LOG_ENABLED: "false",
        INFLUXDB_DATA_CACHE_SNAPSHOT_WRITE_COLD_DURATION: "3s",
        INFLUXDB_DATA_COMPACT_FULL_WRITE_COLD_DURATION: "5s",
      },
    }),
  });
  await select(server, `create database ${database} with duration inf replication 1 shard duration 52w`);
  return server;
}

function within(span: { from: number; to: number }): string {
  return `time >= ${span.from}ms and time < ${span.to}ms`;
}

function yearPath(meter: string): string {
  return queryPath(`select value from ${metric} where meter = '${meter}' and ${within(year)}`);
}

function queryPath(statements: string): string {
  return `/query?db=${database}&epoch=ms&q=${encodeURIComponent(statements)}`;
}

/** Posts statements; one that fails is answered with 200 and an error inside. */
async function select(server: Server, statements: string): Promise<Answer> {
  const bytes = await server.send({
    path: `/query?db=${database}&epoch=ms`,
    headers: { "content-type": "application/x-www-form-urlencoded" },
    body: `q=${encodeURIComponent(statements)}`,
  });
  const answer = JSON.parse(bytes.toString()) as Answer;
  const failed = answer.results.find((result) => result.error !== undefined);
  if (failed !== undefined) throw new Error(`${statements.slice(0, 100)}: ${failed.error}`);
  return answer;
}

function valuesOf(answer: Buffer): [number, number][] {
  return (JSON.parse(answer.toString()) as Answer).results[0]!.series![0]!.values;
}

/** Rows of `name,tags,time,value` below a heading. */
function* rowsOf(answer: Buffer): Generator<readonly [number, string]> {
  const text = answer.toString("latin1");
  for (let line = text.indexOf("\n") + 1; line > 0 && line < text.length; ) {
    const end = text.indexOf("\n", line);
    const time = text.indexOf(",", text.indexOf(",", line) + 1) + 1;
    const value = text.indexOf(",", time) + 1;
    yield [Number(text.slice(time, value - 1)), text.slice(value, end < 0 ? undefined : end)];
    line = end + 1;
  }
}
