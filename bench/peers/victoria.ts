import { hours, metric } from "../world.ts";
import { months, onHours, type Peer, year } from "./peer.ts";
import { outputOf, type Server, startServer } from "./server.ts";

const command = "victoria-metrics";
const seconds = { from: year.from / 1000, last: year.to / 1000 - 3_600 };

/** What its query API answers, for one instant and for many. */
interface Answer {
  data: {
    result: {
      metric: { meter: string; month: string };
      value?: [number, string];
      values?: [number, string][];
    }[];
  };
}

/**
 * VictoriaMetrics; undefined when it is not installed.
 *
 * A write is answered when its values are in memory and reaches disk, unsynced, within seconds: after a crash
 * they are gone, so its write figures have no durable counterpart here. It has no way to ask for more.
 *
 * Settings that the data need: values may be as old as they are (its default keeps one month), and of two values
 * with one timestamp one is read (without that a corrected hour would count twice in sums). Which one is not
 * always the later written: see the rows of corrections.
 */
export function findVictoria(): Peer | undefined {
  if (outputOf(command, ["-version"]) === undefined) return;
  // Debian's build does not know its own version.
  const version = outputOf("dpkg-query", ["-W", "victoria-metrics"])?.split("\t")[1];
  return {
    title: `VictoriaMetrics ${version ?? "(version unknown)"}`,
    notes: [
      "not durable: a write is answered from memory and lost in a crash within the next seconds",
      "what was written is read about a second later; flushed before it is read here",
    ],
    start: () => startServer({ command, readyPath: "/health", settings }),
    writePath: "/write?precision=h",
    makeVisible: (server) => server.send({ path: "/internal/force_flush" }),
    years: [
      {
        name: "query",
        path: (meter) => `/api/v1/query?query=${selector(meter)}[${hours}h]&time=${seconds.last}`,
        decode: valuesOf,
      },
      {
        // Its usual query of charts; answers stay in a cache, which a write of older values empties.
        name: "query_range",
        path: (meter) => rangePath(`last_over_time(${selector(meter)}[1h])`, hours),
        decode: valuesOf,
      },
      { name: "export", path: (meter) => `/api/v1/export?${matching(meter)}`, decode: exportedOf },
    ],
    binaryYear: { name: "native export", path: (meter) => `/api/v1/export/native?${matching(meter)}` },
    keepsAnswers: true,
    hourSums,
    async monthSums(server, { cached }) {
      const answer = await instant(server, {
        query: `union(${months.map(monthSum).join(",")})`,
        time: seconds.last,
        cached,
      });
      return answer.data.result.map(({ metric, value }) => ({
        meter: metric.meter,
        month: Number(metric.month),
        sum: Number(value![1]),
      }));
    },
    async count(server, span) {
      const width = (span.to - span.from) / 3_600_000;
      const answer = await instant(server, {
        query: `sum(count_over_time(${metric}[${width}h]))`,
        time: span.to / 1000 - 3_600,
        cached: false,
      });
      return Number(answer.data.result[0]?.value?.[1] ?? 0);
    },
  };
}

function settings(place: { folder: string; port: number }): { args: string[] } {
  return {
    args: [
      `-storageDataPath=${place.folder}`,
      `-httpListenAddr=127.0.0.1:${place.port}`,
      "-retentionPeriod=100y",
      "-dedup.minScrapeInterval=1ms",
      "-influxSkipSingleField",
      "-loggerLevel=ERROR",
    ],
  };
}

function selector(meter: string): string {
  return encodeURIComponent(`${metric}{meter="${meter}"}`);
}

function matching(meter: string): string {
  return `match[]=${selector(meter)}&start=${seconds.from}&end=${seconds.last}`;
}

function rangePath(query: string, count: number): string {
  const end = seconds.from + (count - 1) * 3_600;
  return `/api/v1/query_range?query=${query}&start=${seconds.from}&end=${end}&step=1h`;
}

/**
 * A window of an hour that ends at the hour's own timestamp holds that hour alone: without it a gap would be
 * filled from the hour before.
 */
async function hourSums(server: Server, options: { count: number; cached: boolean }): Promise<Float64Array> {
  const query = encodeURIComponent(`sum(last_over_time(${metric}[1h]))`);
  const path = rangePath(query, options.count);
  const answer = await server.send({ path: options.cached ? path : `${path}&nocache=1` });
  return onHours(pairsOf(answer), { unit: 1000, count: options.count });
}

/** A calendar month is a window of as many hours, moved back from the last hour of the year. */
function monthSum(month: { from: number; to: number }, index: number): string {
  const width = (month.to - month.from) / 3_600_000;
  const back = (year.to - month.to) / 3_600_000;
  return `label_set(sum_over_time(${metric}[${width}h] offset ${back}h), "month", "${index}")`;
}

async function instant(
  server: Server,
  options: { query: string; time: number; cached: boolean },
): Promise<Answer> {
  const bytes = await server.send({
    path: `/api/v1/query?time=${options.time}${options.cached ? "" : "&nocache=1"}`,
    headers: { "content-type": "application/x-www-form-urlencoded" },
    body: `query=${encodeURIComponent(options.query)}`,
  });
  return JSON.parse(bytes.toString()) as Answer;
}

function pairsOf(answer: Buffer): [number, string][] {
  return (JSON.parse(answer.toString()) as Answer).data.result[0]!.values!;
}

function valuesOf(answer: Buffer): Float64Array {
  return onHours(pairsOf(answer), { unit: 1000 });
}

function exportedOf(answer: Buffer): Float64Array {
  const { values, timestamps } = JSON.parse(answer.toString()) as { values: number[]; timestamps: number[] };
  const year = new Float64Array(hours).fill(Number.NaN);
  // Without pairs in between: its fastest form is not slowed down here.
  for (let i = 0; i < values.length; i++)
    year[timestamps[i]! / 3_600_000 - seconds.from / 3_600] = values[i]!;
  return year;
}
