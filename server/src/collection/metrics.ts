import { Gauge } from "prom-client";
import { type Queryable, sql } from "../platform/db.ts";
import type { Metrics } from "../platform/metrics.ts";
import type { FailureKind } from "./connector.ts";
import { type ConnectionState, connectionStates } from "./consequence.ts";

/** Adds the states of connections and how late their runs are to the metrics; asked when they are read. */
export function watchCollection({ registry }: Metrics, db: Queryable): void {
  const late = new Gauge({
    name: "metertree_connection_oldest_seconds",
    help: "How long ago the run of a connection was due that is not begun yet; limits of providers make it wait too.",
    registers: [registry],
  });
  new Gauge({
    name: "metertree_connections",
    help: "Connections with providers, by state.",
    labelNames: ["state"],
    registers: [registry],
    async collect() {
      const rows = await db.rows<{ state: ConnectionState; count: number }>(
        sql`select state, count(*)::float8 as count from connection group by state`,
      );
      const counts = new Map(rows.map(({ state, count }) => [state, count]));
      for (const state of connectionStates) this.set({ state }, counts.get(state) ?? 0);
      const { seconds } = await db.one<{ seconds: number }>(sql`
        select coalesce(greatest(extract(epoch from now() - min(next_run)), 0), 0)::float8 as seconds
        from connection where next_run is not null`);
      late.set(seconds);
    },
  });
  new Gauge({
    name: "metertree_connections_failing",
    help: "Connections whose last run failed, by provider and failure; `changed` needs its connector to be changed.",
    labelNames: ["provider", "failure"],
    registers: [registry],
    async collect() {
      const rows = await db.rows<{ provider: string; failure: FailureKind; count: number }>(sql`
        select provider, failure, count(*)::float8 as count from connection
        where failure is not null group by provider, failure`);
      this.reset();
      for (const { provider, failure, count } of rows) this.set({ provider, failure }, count);
    },
  });
}
