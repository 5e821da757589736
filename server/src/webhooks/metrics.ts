import { Gauge } from "prom-client";
import { type Queryable, sql } from "../platform/db.ts";
import type { Metrics } from "../platform/metrics.ts";

/** Adds the state of deliveries to the metrics; asked when they are read. */
export function watchWebhooks({ registry }: Metrics, db: Queryable): void {
  const late = new Gauge({
    name: "metertree_webhook_oldest_seconds",
    help: "How long ago the oldest delivery of an enabled webhook was due.",
    registers: [registry],
  });
  new Gauge({
    name: "metertree_webhook_deliveries",
    help: "Deliveries of webhooks that wait, and that were given up and are still kept.",
    labelNames: ["status"],
    registers: [registry],
    async collect() {
      const found = await db.one<{ waiting: number; failed: number; oldest: number }>(sql`
        select (select count(*) from webhook_delivery where status = 'waiting')::float8 as waiting,
               (select count(*) from webhook_delivery where status = 'failed')::float8 as failed,
               (select coalesce(greatest(extract(epoch from now() - min(d.next_attempt)), 0), 0)
                from webhook w join webhook_delivery d on d.webhook_id = w.id
                where w.enabled and d.status = 'waiting')::float8 as oldest`);
      this.set({ status: "waiting" }, found.waiting);
      this.set({ status: "failed" }, found.failed);
      late.set(found.oldest);
    },
  });
}
