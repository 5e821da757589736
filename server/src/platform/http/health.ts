import { createHash, timingSafeEqual } from "node:crypto";
import type { FastifyInstance, FastifyReply, FastifyRequest } from "fastify";
import type { Logger } from "pino";
import type { Metrics } from "../metrics.ts";

/** State of one thing that the server needs. */
export interface Check {
  ok: boolean;
  /** For the operator: it goes to the log, never into the answer. */
  message?: string;
}

/** Checks by name: database, migrations, jobs and what else is needed to answer. */
export type Ready = () => Promise<Record<string, Check>>;

export interface HealthOptions {
  ready: Ready;
  log: Logger;
  metrics: Metrics;
  /** Lets `/metrics` be read from other machines; without it only this machine may. */
  metricsToken: string | null;
  isClosing(): boolean;
}

const deadlineMs = 5_000;

/** `/healthz` (the process answers), `/readyz` (it can do its work) and `/metrics`. */
export function healthRoutes(app: FastifyInstance, options: HealthOptions): void {
  app.get("/healthz", () => ({ status: "ok" }));
  const state = shared(() => readiness(options));
  app.get("/readyz", async (_request, reply) => {
    const checks = await state();
    const isReady = Object.values(checks).every((check) => check === "ok");
    return reply.code(isReady ? 200 : 503).send({ status: isReady ? "ok" : "unavailable", checks });
  });
  app.get("/metrics", async (request, reply) => {
    if (!mayReadMetrics(request, options.metricsToken)) return refuse(reply);
    return reply.type(options.metrics.registry.contentType).send(await options.metrics.registry.metrics());
  });
}

/** Askers at the same time share one look: a flood of them must not become a flood of statements. */
function shared<T>(look: () => Promise<T>): () => Promise<T> {
  let running: Promise<T> | undefined;
  return () => {
    running ??= look().finally(() => (running = undefined));
    return running;
  };
}

async function readiness(options: HealthOptions): Promise<Record<string, "ok" | "failing">> {
  if (options.isClosing()) return { server: "failing" };
  let checks: Record<string, Check>;
  try {
    checks = await beforeDeadline(options.ready());
  } catch (error) {
    options.log.warn({ err: error }, "not ready: the checks failed");
    return { checks: "failing" };
  }
  const failing = Object.entries(checks).filter(([, check]) => !check.ok);
  if (failing.length > 0) options.log.warn({ failing: Object.fromEntries(failing) }, "not ready");
  return Object.fromEntries(
    Object.entries(checks).map(([name, check]) => [name, check.ok ? "ok" : "failing"] as const),
  );
}

async function beforeDeadline<T>(work: Promise<T>): Promise<T> {
  const { promise, reject } = Promise.withResolvers<never>();
  const timer = setTimeout(() => reject(new Error(`no answer within ${deadlineMs} ms`)), deadlineMs);
  try {
    return await Promise.race([work, promise]);
  } finally {
    clearTimeout(timer);
  }
}

/**
 * Without a token, only connections from this machine that no proxy made: behind a proxy on the same machine every
 * client would look local.
 */
function mayReadMetrics(request: FastifyRequest, token: string | null): boolean {
  const { headers } = request;
  if (token !== null) return isSame(headers.authorization ?? "", `Bearer ${token}`);
  if (headers["x-forwarded-for"] !== undefined || headers.forwarded !== undefined) return false;
  if (headers.via !== undefined || headers["x-real-ip"] !== undefined) return false;
  const address = request.socket.remoteAddress ?? "";
  return address === "::1" || address.startsWith("127.") || address.startsWith("::ffff:127.");
}

function isSame(given: string, expected: string): boolean {
  const hash = (text: string) => createHash("sha256").update(text).digest();
  return timingSafeEqual(hash(given), hash(expected));
}

function refuse(reply: FastifyReply): FastifyReply {
  const message = "Metrics are shown to this machine only, or with the metrics token of the configuration";
  return reply.code(403).send({ code: 403, message });
}
