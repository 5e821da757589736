import type { Clock } from "../../server/src/platform/clock.ts";
import type { Db } from "../../server/src/platform/db.ts";
import type { Deps, Settings } from "../../server/src/platform/deps.ts";
import { type Egress, makeEgress } from "../../server/src/platform/egress/egress.ts";
import type { Authenticate } from "../../server/src/platform/http/access.ts";
import type { Caller, Endpoint } from "../../server/src/platform/http/endpoint.ts";
import type { Rate } from "../../server/src/platform/http/rate-limit.ts";
import { buildServer } from "../../server/src/platform/http/server.ts";
import type { Jobs } from "../../server/src/platform/jobs.ts";
import { makeLog } from "../../server/src/platform/log.ts";
import { type Keys, loadKeys } from "../../server/src/platform/secrets.ts";
import { testDatabase } from "./database.ts";

/** A clock that stands still until a test moves it. */
export interface TestClock extends Clock {
  set(at: number): void;
  advance(ms: number): void;
}

/** A clock at `start`, epoch milliseconds. */
export function testClock(start = Date.UTC(2026, 0, 15, 12)): TestClock {
  let at = start;
  return {
    now: () => at,
    set: (to) => void (at = to),
    advance: (ms) => void (at += ms),
  };
}

/** One job that was sent, in order. */
export interface SentJob {
  name: string;
  data: object;
}

export interface TestApiOptions {
  endpoints?: readonly Endpoint[];
  /** Who asks; by default tokens are callers that the test adds with `addCaller`. */
  authenticate?: Authenticate;
  clock?: TestClock;
  keys?: Keys;
  jobs?: Jobs;
  settings?: Partial<Settings>;
  /** The way out; by default it reaches what the settings allow. */
  egress?: Egress;
  rate?: Rate | null;
  /** Do not make a database: handlers that ask it fail. */
  withoutDatabase?: boolean;
  origins?: readonly string[];
  trustedProxies?: readonly string[];
}

export interface CallOptions {
  /** Sent as `Authorization: Bearer`. */
  token?: string;
  /** Sent as JSON, unless it is text or bytes. */
  body?: unknown;
  headers?: Record<string, string>;
  /** A list repeats the parameter. */
  query?: Record<string, string | number | boolean | readonly string[]> | string;
  /** A 500 is expected: do not throw what the server logged. */
  mayFail?: boolean;
}

export interface Answer {
  status: number;
  headers: Record<string, string>;
  text: string;
  /** The parsed body, `undefined` when it is not JSON. */
  // biome-ignore lint/suspicious/noExplicitAny: tests look at whatever came back
  json: any;
}

export interface TestApi {
  deps: Deps;
  db: Db;
  clock: TestClock;
  /** Jobs that were sent, when the test brought no `jobs` of its own. */
  sentJobs: SentJob[];
  /** Every line that was logged, as written. */
  logLines: string[];
  /** Asks below `/api/v2` when `path` starts with a resource, else exactly there. */
  call(method: string, path: string, options?: CallOptions): Promise<Answer>;
  /** Makes `token` stand for a caller; what is left out is a token of account `accountId` with the scope `basic`. */
  addCaller(token: string, caller: Partial<Caller> & { accountId: string }): Caller;
  close(): Promise<void>;
  server: ReturnType<typeof buildServer>;
}

/**
 * The API in process, on a database of its own. Answers are held against the schemas of their endpoints, and a 500
 * throws what the server logged. Call it in `beforeAll`, and `close` in `afterAll`.
 */
export async function testApi(options: TestApiOptions = {}): Promise<TestApi> {
  const database = options.withoutDatabase === true ? undefined : await testDatabase();
  const clock = options.clock ?? testClock();
  const logLines: string[] = [];
  const sentJobs: SentJob[] = [];
  const callers = new Map<string, Caller>();
  const db = database?.db ?? absent<Db>("database");
  const settings = { ...testSettings, ...options.settings };
  const deps: Deps = {
    db,
    clock,
    log: makeLog({ level: "debug", destination: { write: (line: string) => void logLines.push(line) } }),
    keys:
      options.keys ??
      (database === undefined ? absent<Keys>("keys") : await loadKeys({ db, clock, source: testKeys })),
    jobs: options.jobs ?? {
      send: async (_tx, name, data) => void sentJobs.push({ name, data }),
    },
    settings,
    egress: options.egress ?? makeEgress({ allow: settings.egressAllow }),
  };
  const server = buildServer({
    endpoints: options.endpoints ?? [],
    deps,
    authenticate:
      options.authenticate ??
      (async ({ authorization, accessToken }) => {
        const token = accessToken ?? authorization?.replace(/^Bearer /, "") ?? "";
        return callers.get(token) ?? null;
      }),
    version: "0.0.0-test",
    ready: async () => ({ database: { ok: true } }),
    rate: options.rate ?? null,
    checkReplies: true,
    ...(options.origins === undefined ? {} : { origins: options.origins }),
    ...(options.trustedProxies === undefined ? {} : { trustedProxies: options.trustedProxies }),
  });
  await server.ready();
  return {
    deps,
    db: deps.db,
    clock,
    sentJobs,
    logLines,
    server,
    async call(method, path, callOptions = {}) {
      const from = logLines.length;
      const answer = await ask(server, method, { path, ...callOptions });
      if (answer.status === 500 && callOptions.mayFail !== true) {
        throw new Error(`${method} ${path} failed:\n${faultsOf(logLines.slice(from))}`);
      }
      return answer;
    },
    addCaller(token, given) {
      const caller: Caller = { ...defaultCaller(token, given.accountId), ...given };
      callers.set(token, caller);
      return caller;
    },
    async close() {
      await server.close();
      await deps.egress.close();
      await database?.drop();
    },
  };
}

/** Settings of test servers. */
export const testSettings: Settings = {
  dataDir: "",
  publicUrl: "http://metertree.test",
  timezone: "Etc/GMT-1",
  valuesMax: 100_000,
  pageMax: 300,
  uploadBytesMax: 10_000_000,
  expandedBytesMax: 100_000_000,
  tokenInQuery: true,
  // Servers of tests are on this machine.
  egressAllow: ["127.0.0.0/8", "::1/128"],
  smtpUrl: null,
  smtpFrom: "metertree@metertree.test",
  changeDays: 90,
  deliveryDays: 30,
  providers: {},
  browser: { path: null, sandbox: true, memoryBytesMax: 1_000_000_000, atOnce: 2 },
};

const testKeys = { text: "5e".repeat(32) };

async function ask(
  server: ReturnType<typeof buildServer>,
  method: string,
  { path, token, body, headers = {}, query }: CallOptions & { path: string },
): Promise<Answer> {
  const isRoot =
    /^\/(api|oauth|id|docs|healthz|readyz|metrics|openapi\.json)(\/|\?|$)/.test(path) || path === "/";
  const sent: Record<string, string> = { ...headers };
  if (token !== undefined) sent.authorization ??= `Bearer ${token}`;
  const isPlain = typeof body === "string" || body instanceof Uint8Array;
  if (body !== undefined && !isPlain) sent["content-type"] ??= "application/json";
  const payload = body === undefined ? undefined : isPlain ? (body as string | Buffer) : JSON.stringify(body);
  const response = await server.inject({
    method: method as "GET",
    url: (isRoot ? path : `/api/v2${path}`) + searchText(query),
    headers: sent,
    ...(payload === undefined ? {} : { payload }),
  });
  const text = response.payload;
  const type = String(response.headers["content-type"] ?? "");
  return {
    status: response.statusCode,
    headers: response.headers as Record<string, string>,
    text,
    json: type.startsWith("application/json") && text !== "" ? JSON.parse(text) : undefined,
  };
}

function searchText(query: CallOptions["query"]): string {
  if (query === undefined) return "";
  if (typeof query === "string") return `?${query}`;
  const search = new URLSearchParams();
  for (const [name, value] of Object.entries(query)) {
    for (const one of Array.isArray(value) ? value : [value]) search.append(name, String(one));
  }
  return `?${search}`;
}

function faultsOf(lines: readonly string[]): string {
  const faults = lines.map((line) => JSON.parse(line)).filter((line) => line.level === "error");
  return faults.map((line) => line.err?.stack ?? JSON.stringify(line)).join("\n");
}

function defaultCaller(token: string, accountId: string): Caller {
  return {
    kind: "token",
    accountId,
    ownAccountId: accountId,
    actorId: null,
    clientId: null,
    credentialId: token,
    scopes: new Set(["basic"]),
    role: "administrator",
  };
}

function absent<T extends object>(what: string): T {
  return new Proxy({} as T, {
    get() {
      throw new Error(`this test has no ${what}`);
    },
  });
}
