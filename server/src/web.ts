import type { AddressInfo } from "node:net";
import type { FastifyInstance } from "fastify";
import { authenticate } from "./accounts/accounts.ts";
import { endpoints } from "./app.ts";
import { watchCollection } from "./collection/collection.ts";
import type { Config } from "./config.ts";
import { knownSchema } from "./database.ts";
import type { Db } from "./platform/db.ts";
import type { Deps } from "./platform/deps.ts";
import type { Ready } from "./platform/http/health.ts";
import { buildServer } from "./platform/http/server.ts";
import { watchJobs } from "./platform/job-metrics.ts";
import { jobLag } from "./platform/jobs.ts";
import { makeMetrics } from "./platform/metrics.ts";
import { schemaVersion } from "./platform/migrate.ts";
import { Problem } from "./platform/problem.ts";
import { version } from "./settings.ts";
import { streamTotals, watchStreams } from "./streams/streams.ts";
import { watchWebhooks } from "./webhooks/webhooks.ts";

/** Waiting jobs older than this make the server not ready: workers are missing or stuck. */
const lagSecondsMax = 600;

/** The HTTP side of a server of this configuration, not listening yet. */
export function makeApp(config: Config, deps: Deps): FastifyInstance {
  const metrics = makeMetrics({ version, process: true });
  watchJobs(metrics, () => jobLag(deps.db));
  watchStreams(metrics, () => streamTotals(deps.db, deps.clock.now()));
  watchWebhooks(metrics, deps.db);
  watchCollection(metrics, deps.db);
  const { ratePerSecond, rateBurst, trustedProxies } = config;
  return buildServer({
    // A worker answers only for its health.
    endpoints: config.role === "worker" ? [] : endpoints,
    deps,
    authenticate,
    version,
    ready: readiness(deps.db),
    rate: ratePerSecond === 0 ? null : { perSecond: ratePerSecond, burst: rateBurst },
    origins: config.origins,
    ...(trustedProxies.length === 0 ? {} : { trustedProxies }),
    metrics,
    metricsToken: config.metricsToken,
  });
}

function readiness(db: Db): Ready {
  const schema = knownSchema();
  return async () => {
    const found = await db.borrow((connection) => schemaVersion((text) => connection.query(text)));
    const late = (await jobLag(db)).filter((lag) => lag.oldestSeconds > lagSecondsMax);
    return {
      database: { ok: true },
      schema: {
        ok: found === schema,
        message: `schema ${found}, this program knows ${schema}`,
      },
      jobs: { ok: late.length === 0, message: late.map((lag) => `${lag.kind} is late`).join(", ") },
    };
  };
}

/**
 * Listens, and returns where this machine reaches it. Tries the following ports when the configured one is taken, up
 * to `portsTried` in all. Throws a `Problem` with the remedy.
 */
export async function listen(app: FastifyInstance, config: Config, portsTried: number): Promise<string> {
  for (let port = config.port; ; port++) {
    try {
      await app.listen({ host: config.host, port });
      return `http://${shownHost(config.host)}:${(app.server.address() as AddressInfo).port}`;
    } catch (error) {
      const { code, message } = error as NodeJS.ErrnoException;
      const isTaken = code === "EADDRINUSE";
      if (isTaken && port < config.port + portsTried - 1) continue;
      throw new Problem(
        "unavailable",
        `Cannot listen on ${config.host}, port ${port}: ${reason(code, message)}`,
      );
    }
  }
}

function reason(code: string | undefined, message: string): string {
  if (code === "EADDRINUSE") {
    return "another program has it. Stop that one, or choose another port with --port or METERTREE_PORT.";
  }
  if (code === "EACCES") return "ports below 1024 need more rights. Choose another one with --port.";
  return `${message}. Correct --host or METERTREE_HOST.`;
}

/** Addresses that mean "all of this machine's" are no place to send a browser to. */
function shownHost(host: string): string {
  if (["0.0.0.0", "::", "127.0.0.1", "::1"].includes(host)) return "localhost";
  return host.includes(":") ? `[${host}]` : host;
}
