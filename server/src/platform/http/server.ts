import { randomUUID } from "node:crypto";
import type { IncomingMessage } from "node:http";
import compress from "@fastify/compress";
import cors from "@fastify/cors";
import multipart from "@fastify/multipart";
import fastify, {
  type FastifyInstance,
  type FastifyReply,
  type FastifyRequest,
  LogController,
} from "fastify";
import type { Deps } from "../deps.ts";
import { type Metrics, makeMetrics } from "../metrics.ts";
import { notFound, Problem } from "../problem.ts";
import { type Authenticate, makeGate } from "./access.ts";
import { compression } from "./compression.ts";
import { answerClientError, closeGently, limitBodyTime, lingerOver } from "./connection.ts";
import { apiRoots, type Endpoint } from "./endpoint.ts";
import { type Failure, failureOf, failureText } from "./envelope.ts";
import { healthRoutes, type Ready } from "./health.ts";
import { partLimits } from "./parts.ts";
import { addressKey, type Rate, RateLimit } from "./rate-limit.ts";
import { referenceRoutes } from "./reference.ts";
import { makeHandler } from "./route.ts";
import { withoutToken } from "./search.ts";

export interface ServerOptions {
  endpoints: readonly Endpoint[];
  deps: Deps;
  authenticate: Authenticate;
  version: string;
  ready: Ready;
  /** Requests per caller; 10 a second with bursts of 20 by default, `null` for no limit. */
  rate?: Rate | null;
  /** Origins whose pages may use sessions. With none, any page may call with a token and none with a session. */
  origins?: readonly string[];
  /** Addresses of proxies whose `X-Forwarded-For` is believed. */
  trustedProxies?: readonly string[];
  metrics?: Metrics;
  /** Lets other machines read `/metrics`; by default only this machine may. */
  metricsToken?: string | null;
  /** Holds every answer against the schema of its endpoint: for tests. */
  checkReplies?: boolean;
  /** Connections at once; more are closed at once. */
  connectionsMax?: number;
}

const urlBytesMax = 32_768;
const bodyBytesMax = 1_048_576;
const defaultRate: Rate = { perSecond: 10, burst: 20 };

/**
 * The HTTP server: every endpoint under both roots, with its rights, limits, checks and envelope, and the pages for
 * operators and developers. It is not listening yet. `close()` lets running requests finish, for 10 s at most.
 */
export function buildServer(options: ServerOptions): FastifyInstance {
  const { deps } = options;
  const rate = options.rate === undefined ? defaultRate : options.rate;
  const rateLimit = rate === null ? null : new RateLimit(rate, deps.clock);
  const metrics = options.metrics ?? makeMetrics({ version: options.version, process: false });
  const app = openApp(options);
  const closing = closeGently(app);

  observe(app, { deps, metrics, isClosing: closing.isClosing });
  app.setErrorHandler((error, request, reply) => sendFailure(deps, error, request, reply));
  app.setNotFoundHandler(() => Promise.reject(notFound()));
  app.addHook("onRequest", (request, reply, done) => {
    begin(request, reply, { deps, closing, rateLimit });
    done();
  });
  app.register(cors, corsOptions(options.origins ?? []));
  app.register(compress, compression);
  app.register(async (scope) => {
    healthRoutes(scope, {
      ready: options.ready,
      log: deps.log,
      metrics,
      metricsToken: options.metricsToken ?? null,
      isClosing: closing.isClosing,
    });
    referenceRoutes(scope, {
      endpoints: options.endpoints,
      version: options.version,
      settings: deps.settings,
    });
  });
  app.register(async (scope) => apiRoutes(scope, { ...options, rateLimit, stopping: closing.signal }));
  return app;
}

function openApp(options: ServerOptions): FastifyInstance {
  const { deps } = options;
  const app = fastify({
    loggerInstance: deps.log,
    childLoggerFactory: (logger) => logger,
    logController: new LogController({ disableRequestLogging: true }),
    genReqId: requestId,
    trustProxy: options.trustedProxies === undefined ? false : [...options.trustedProxies],
    bodyLimit: bodyBytesMax,
    keepAliveTimeout: 65_000,
    return503OnClosing: false,
    http: {
      // The address counts as a header here.
      maxHeaderSize: 2 * urlBytesMax,
      headersTimeout: 15_000,
      connectionsCheckingInterval: 5_000,
    },
    rewriteUrl: (request) => (deps.settings.tokenInQuery ? withoutToken(request) : (request.url ?? "/")),
    clientErrorHandler: (error, socket) => answerClientError(error, socket),
    frameworkErrors: (error, request, reply) => void sendFailure(deps, error, request, reply),
    routerOptions: {
      ignoreTrailingSlash: true,
      ignoreDuplicateSlashes: true,
      maxParamLength: 8_192,
      querystringParser: (text) => new URLSearchParams(text) as unknown as Record<string, unknown>,
    },
  }) as unknown as FastifyInstance;
  app.server.maxConnections = options.connectionsMax ?? 10_000;
  app.decorateRequest("who", null);
  // Bodies are read by the endpoint that wants one, whatever their content type says.
  app.removeAllContentTypeParsers();
  app.addContentTypeParser("*", { parseAs: "buffer" }, (_request, body, done) => done(null, body));
  return app;
}

function requestId(request: IncomingMessage): string {
  const given = request.headers["x-request-id"];
  return typeof given === "string" && given.length <= 64 && /^[\w.-]+$/.test(given) ? given : randomUUID();
}

interface Beginning {
  deps: Deps;
  closing: { isClosing(): boolean };
  rateLimit: RateLimit | null;
}

/** What holds for every request, before anything else looks at it. */
function begin(request: FastifyRequest, reply: FastifyReply, { deps, closing, rateLimit }: Beginning): void {
  const { raw } = request;
  const response = reply.raw;
  setSafeHeaders(reply, request.id);
  if (deps.settings.publicUrl.startsWith("https:")) {
    response.setHeader("Strict-Transport-Security", "max-age=31536000");
  }
  if (closing.isClosing()) {
    response.setHeader("Connection", "close");
    throw new Problem("unavailable", "The server is stopping; try again", { retryAfterSeconds: 5 });
  }
  if ((raw.url ?? "").length > urlBytesMax) {
    throw Object.assign(new Error("address too long"), { statusCode: 414, code: "FST_URL_TOO_LONG" });
  }
  if (request.is404) {
    const seconds = rateLimit?.take(addressKey(request.ip)) ?? 0;
    if (seconds === 0) throw notFound();
    throw new Problem("too_many_requests", "Too many requests", { retryAfterSeconds: seconds });
  }
  const type = raw.headers["content-type"];
  // A content type that is none would be refused before the body is looked at.
  if (type !== undefined && !type.includes("/")) raw.headers["content-type"] = "text/plain";
  limitBodyTime(raw);
}

/** What every answer carries; pages set a policy of their own. */
function setSafeHeaders(reply: FastifyReply, id: string): void {
  reply.raw.setHeader("X-Request-Id", id);
  reply.raw.setHeader("X-Content-Type-Options", "nosniff");
  reply.raw.setHeader("Referrer-Policy", "no-referrer");
  reply.header("cache-control", "no-store");
  reply.header("content-security-policy", "default-src 'none'; frame-ancestors 'none'");
}

function apiRoutes(
  app: FastifyInstance,
  options: ServerOptions & { rateLimit: RateLimit | null; stopping: AbortSignal },
): void {
  const { deps, endpoints, stopping, checkReplies = false } = options;
  app.register(async (scope) => {
    await scope.register(multipart, {
      limits: { ...partLimits, fileSize: deps.settings.uploadBytesMax },
    });
    addRoutes(
      scope,
      endpoints.filter((spec) => spec.bodyKind === "multipart"),
    );
  });
  addRoutes(
    app,
    endpoints.filter((spec) => spec.bodyKind !== "multipart"),
  );
  addOtherMethods(app, endpoints);

  function addRoutes(scope: FastifyInstance, specs: readonly Endpoint[]): void {
    for (const spec of specs) {
      const gate = makeGate(spec, { ...options, origins: options.origins ?? [] });
      const handler = makeHandler(spec, { deps, checkReplies, stopping, gate });
      for (const root of apiRoots) {
        scope.route({
          method: spec.method,
          url: root + spec.path,
          bodyLimit: spec.bodyBytesMax ?? bodyBytesMax,
          config: { pattern: spec.path },
          onRequest: async (request) => {
            request.who = await gate(request);
          },
          handler,
        });
      }
    }
  }
}

/** A known path with a method that it does not have answers 405 and says which ones it has. */
function addOtherMethods(app: FastifyInstance, endpoints: readonly Endpoint[]): void {
  for (const [path, specs] of Map.groupBy(endpoints, (spec) => spec.path)) {
    const methods: string[] = specs.map((spec) => spec.method);
    if (methods.includes("GET")) methods.push("HEAD");
    const allow = [...methods, "OPTIONS"].join(", ");
    const others = app.supportedMethods.filter((method) => !methods.includes(method) && method !== "OPTIONS");
    for (const root of apiRoots) {
      app.route({
        method: others as "GET"[],
        url: root + path,
        exposeHeadRoute: false,
        config: { pattern: path },
        onRequest: (_request, reply, done) => {
          reply.header("allow", allow);
          done(new Problem("method_not_allowed", `This path takes ${allow}`));
        },
        handler: () => undefined,
      });
    }
  }
}

declare module "fastify" {
  interface FastifyContextConfig {
    /** The path of the endpoint as it stands in its definition: the label of logs and metrics. */
    pattern?: string;
  }
}

function corsOptions(origins: readonly string[]) {
  return {
    origin: origins.length === 0 ? "*" : [...origins],
    credentials: origins.length > 0,
    methods: ["GET", "POST", "PUT", "DELETE"],
    allowedHeaders: ["Authorization", "Content-Type", "X-Subaccount", "X-Organization"],
    exposedHeaders: ["X-Ignored-Parameters", "Retry-After", "ETag", "X-Request-Id"],
    maxAge: 7_200,
    strictPreflight: false,
  };
}

interface Observed {
  deps: Deps;
  metrics: Metrics;
  isClosing(): boolean;
}

/** One line in the log and one measurement per request, whether it was answered or given up. */
function observe(app: FastifyInstance, { deps, metrics, isClosing }: Observed): void {
  const record = (request: FastifyRequest, status: number, ms: number) => {
    const route = request.routeOptions.config.pattern ?? request.routeOptions.url ?? "unknown";
    const { method, who } = request;
    metrics.requestDone({ route, method, status, seconds: ms / 1000 });
    const quiet = route === "/healthz" || route === "/readyz" || route === "/metrics";
    deps.log[quiet ? "debug" : "info"](
      {
        request_id: request.id,
        method,
        route,
        status,
        ms: Math.round(ms * 10) / 10,
        account: who?.accountId,
      },
      "request",
    );
  };
  app.addHook("onResponse", (request, reply, done) => {
    record(request, reply.statusCode, reply.elapsedTime);
    lingerOver(request.raw);
    if (isClosing()) request.raw.socket.destroySoon?.();
    done();
  });
  app.addHook("onRequestAbort", (request, done) => {
    // 499: the client left before the answer.
    record(request, 499, 0);
    done();
  });
}

function sendFailure(deps: Deps, error: unknown, request: FastifyRequest, reply: FastifyReply): FastifyReply {
  const failure: Failure = failureOf(error);
  const { status, retryAfterSeconds } = failure;
  const line = { request_id: request.id, err: error };
  if (status >= 500) deps.log.error(line, "request failed");
  else if (error instanceof Problem && error.inner !== undefined) {
    deps.log.debug({ request_id: request.id, inner: error.inner }, "request refused");
  }
  // Requests that the router itself refuses have not been begun.
  if (!reply.raw.hasHeader("x-request-id")) setSafeHeaders(reply, request.id);
  if (status === 401) reply.header("www-authenticate", "Bearer");
  if (retryAfterSeconds !== undefined) reply.header("retry-after", String(retryAfterSeconds));
  reply.removeHeader("etag");
  return reply
    .code(status)
    .header("cache-control", "no-store")
    .type("application/json; charset=utf-8")
    .send(failureText(failure, request.id));
}
