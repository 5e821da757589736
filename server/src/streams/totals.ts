import { Gauge } from "prom-client";
import { entriesAfter, headsOf } from "../changes/changes.ts";
import { type Queryable, sql } from "../platform/db.ts";
import type { Metrics } from "../platform/metrics.ts";
import type { Position } from "./position.ts";

/** Streams of one kind together. */
export interface StreamTotal {
  /** Read by consumers through the API, or by exports. */
  kind: "consumer" | "export";
  streams: number;
  /** Age of the oldest change that any of them has not confirmed. */
  oldestSeconds: number;
}

/** Looks into the log for so many places at most: the ones that may be the oldest. */
const looksMax = 100;

interface Row {
  owner: string | null;
  created: number;
  resource: string;
  phase: Position["phase"] | null;
  log: Position["log"] | null;
}

/** How far behind the streams of the whole installation are. Which one it is, the API tells its account. */
export async function streamTotals(db: Queryable, now: number): Promise<StreamTotal[]> {
  const rows = await db.rows<Row>(sql`
    select s.owner, (extract(epoch from s.created) * 1000)::float8 as created, s.resource,
      b.position ->> 'phase' as phase, b.position -> 'log' as log
    from stream s left join stream_batch b on b.stream_id = s.id and b.off = coalesce(s.last_offset, 0)`);
  const totals: StreamTotal[] = [];
  for (const kind of ["consumer", "export"] as const) {
    const some = rows.filter((row) => (row.owner === null) === (kind === "consumer"));
    const oldest = Math.min(now, await oldestOf(db, some));
    totals.push({ kind, streams: some.length, oldestSeconds: Math.max(0, (now - oldest) / 1000) });
  }
  return totals;
}

/** The time of the oldest change behind any of the positions, epoch ms; infinity without one. */
async function oldestOf(db: Queryable, rows: readonly Row[]): Promise<number> {
  let oldest = Number.POSITIVE_INFINITY;
  for (const row of rows) if (row.phase !== "log") oldest = Math.min(oldest, row.created);
  // Of the streams that stand at different places of a part, the last one counts.
  const places = new Map<number, number>();
  for (const { log, phase, resource } of rows) {
    if (phase !== "log" || resource !== "consumption") continue;
    for (const [part, off] of Object.entries(log!)) {
      places.set(Number(part), Math.min(off, places.get(Number(part)) ?? off));
    }
  }
  const heads = await headsOf(db, [...places.keys()]);
  const behind = heads.filter((head) => head.off > places.get(head.part)!);
  behind.sort((a, b) => places.get(a.part)! - places.get(b.part)!);
  for (const { part, off } of behind.slice(0, looksMax)) {
    const after = places.get(part)!;
    if (after / 1000 >= oldest) break;
    const [first] = await entriesAfter(db, { part, after, upTo: off, limit: 1 });
    if (first !== undefined) oldest = Math.min(oldest, first.off / 1000);
  }
  return oldest;
}

/** Adds the state of the streams to the metrics; `totals` is asked when they are read. */
export function watchStreams(metrics: Metrics, totals: () => Promise<StreamTotal[]>): void {
  const streams = new Gauge({
    name: "metertree_streams",
    help: "Streams that there are.",
    labelNames: ["kind"],
    registers: [metrics.registry],
  });
  new Gauge({
    name: "metertree_stream_lag_seconds",
    help: "Age of the oldest change that a stream has not confirmed.",
    labelNames: ["kind"],
    registers: [metrics.registry],
    async collect() {
      for (const { kind, streams: count, oldestSeconds } of await totals()) {
        this.set({ kind }, oldestSeconds);
        streams.set({ kind }, count);
      }
    },
  });
}
