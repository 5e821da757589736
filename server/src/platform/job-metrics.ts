import { Gauge } from "prom-client";
import type { JobLag } from "./jobs.ts";
import type { Metrics } from "./metrics.ts";

/** Adds the state of the job queue to the metrics; `lag` is asked when they are read. */
export function watchJobs(metrics: Metrics, lag: () => Promise<JobLag[]>): void {
  const gauge = (name: string, help: string) =>
    new Gauge({ name: `metertree_jobs_${name}`, help, labelNames: ["kind"], registers: [metrics.registry] });
  const waiting = gauge("waiting", "Jobs that are due and not yet begun.");
  const running = gauge("running", "Jobs that run now.");
  const dead = gauge("dead", "Jobs that failed for good in the last 30 days.");
  new Gauge({
    name: "metertree_jobs_oldest_seconds",
    help: "Age of the oldest job that is due.",
    labelNames: ["kind"],
    registers: [metrics.registry],
    async collect() {
      for (const row of await lag()) {
        this.set({ kind: row.kind }, row.oldestSeconds);
        waiting.set({ kind: row.kind }, row.waiting);
        running.set({ kind: row.kind }, row.running);
        dead.set({ kind: row.kind }, row.dead);
      }
    },
  });
}
