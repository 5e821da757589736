import { Counter, collectDefaultMetrics, Gauge, Histogram, Registry } from "prom-client";

/** The measurements of one process, in the text format of Prometheus. */
export interface Metrics {
  /** Other modules add theirs here. */
  readonly registry: Registry;
  /** Counts one answered request. `route` is the pattern, never an address: its values are bounded. */
  requestDone(request: { route: string; method: string; status: number; seconds: number }): void;
}

export interface MetricsOptions {
  version: string;
  /** Also memory, garbage collection and event-loop lag of the process; once per process. */
  process: boolean;
}

/** Starts an own registry; two servers in one process do not share counters. */
export function makeMetrics(options: MetricsOptions): Metrics {
  const registry = new Registry();
  if (options.process) collectDefaultMetrics({ register: registry });
  const build = new Gauge({
    name: "metertree_build_info",
    help: "Always 1; the labels say what runs.",
    labelNames: ["version", "node"],
    registers: [registry],
  });
  build.set({ version: options.version, node: process.version }, 1);
  const requests = new Histogram({
    name: "metertree_http_request_seconds",
    help: "Time from the first byte of a request to the last byte of its answer.",
    labelNames: ["route", "method", "status"],
    buckets: [0.001, 0.003, 0.01, 0.03, 0.1, 0.3, 1, 3, 10, 30],
    registers: [registry],
  });
  const faults = new Counter({
    name: "metertree_http_faults_total",
    help: "Requests that ended in a 5xx answer.",
    registers: [registry],
  });
  // Looking a label set up costs more than counting; there are few of them.
  const bound = new Map<string, { observe(seconds: number): void }>();
  return {
    registry,
    requestDone({ route, method, status, seconds }) {
      const key = `${method} ${status} ${route}`;
      let series = bound.get(key);
      if (series === undefined) bound.set(key, (series = requests.labels(route, method, String(status))));
      series.observe(seconds);
      if (status >= 500) faults.inc();
    },
  };
}
