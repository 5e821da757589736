import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { newAccount, type TestAccount } from "../../../test/harness/accounts.ts";
import { type Answer, type TestApi, testApi, testClock } from "../../../test/harness/api.ts";
import { type HttpServer, httpServer, type Received } from "../../../test/harness/servers/http.ts";
import { authenticate } from "../accounts/accounts.ts";
import { accountEndpoints } from "../accounts/api.ts";
import { meterEndpoints } from "../meters/api.ts";
import type { Deps, Settings } from "../platform/deps.ts";
import { seriesEndpoints } from "../series/api.ts";
import { streamEndpoints } from "../streams/api.ts";
import { treeEndpoints } from "../trees/api.ts";
import { webhookEndpoints } from "../webhooks/api.ts";
import { exportEndpoints } from "./api.ts";
import { exportJobs } from "./exports.ts";

/** A file as it arrived at the receiver. */
export interface Arrived {
  name: string;
  text: string;
  /** Constant per file, so that a receiver knows a repeat. */
  key: string;
}

/** The API of exports over a database and a folder of its own, and a receiver of files. */
export interface ExportWorld {
  api: TestApi;
  dataDir: string;
  /** Who asks. */
  owner: TestAccount;
  stranger: TestAccount;
  /** Goes on with an account that has nothing yet; the exports of the one before are deleted. */
  startAnew(): Promise<void>;
  /** An HTTP server that takes files. */
  receiver: HttpServer;
  /** What the receiver does next: a status, 200 once the list is empty. */
  statuses: number[];
  /** Files since the last call. */
  arrived(): Arrived[];
  ask(method: string, path: string, body?: unknown, token?: string): Promise<Answer>;
  /** Asks, and expects success. */
  // biome-ignore lint/suspicious/noExplicitAny: tests look at whatever came back
  done(method: string, path: string, body?: unknown, token?: string): Promise<any>;
  /** Makes an hourly export of hours to the receiver. */
  // biome-ignore lint/suspicious/noExplicitAny: tests look at whatever came back
  newExport(body?: object): Promise<any>;
  /** Makes an active electricity meter. */
  newMeter(body?: object, token?: string): Promise<string>;
  /** Stores hours from a start such as `2026-01-01T00:00:00+0100`. */
  store(meter: string, start: string, values: readonly (number | null)[], about?: object): Promise<void>;
  /** Moves the clock and does what is due, and the jobs that follow. */
  pass(ms: number): Promise<void>;
  /** Does the jobs that wait. */
  work(deps?: Deps): Promise<void>;
  close(): Promise<void>;
}

/** The server and the receiver of files. */
async function openServers(dataDir: string, settings: Partial<Settings>) {
  const api = await testApi({
    endpoints: [
      ...accountEndpoints,
      ...meterEndpoints,
      ...treeEndpoints,
      ...seriesEndpoints,
      ...streamEndpoints,
      ...webhookEndpoints,
      ...exportEndpoints,
    ],
    authenticate,
    clock: testClock(Date.UTC(2026, 1, 10, 9, 30)),
    settings: { dataDir, ...settings },
  });
  const statuses: number[] = [];
  const receiver = await httpServer({
    answer(_request, response) {
      response.statusCode = statuses.shift() ?? 200;
      response.end();
    },
  });
  return { api, statuses, receiver };
}

const { signal } = new AbortController();

/** Does a job of exports; nothing for others. */
async function runJob(name: string, data: object, deps: Deps): Promise<void> {
  await exportJobs.find((each) => each.name === name)?.run(data, deps, signal);
}

function arrivedOf({ headers, body }: Received): Arrived {
  return {
    name: decodeURIComponent(/''(.*)$/.exec(headers["content-disposition"] ?? "")?.[1] ?? ""),
    text: body.toString(),
    key: headers["idempotency-key"] ?? "",
  };
}

/** Opens one. Call it in `beforeAll`, and `close` in `afterAll`. */
export async function exportWorld(settings: Partial<Settings> = {}): Promise<ExportWorld> {
  const dataDir = mkdtempSync(join(tmpdir(), "metertree-exports-"));
  const { api, statuses, receiver } = await openServers(dataDir, settings);
  const ask: ExportWorld["ask"] = (method, path, body, token = world.owner.token) =>
    api.call(method, path, { token, ...(body === undefined ? {} : { body }) });
  const done: ExportWorld["done"] = async (...call) => {
    const answer = await ask(...call);
    if (answer.status !== 200) throw new Error(`${call[0]} ${call[1]}: ${answer.text}`);
    return answer.json.data;
  };
  const work = async (deps = api.deps) => {
    for (let job = api.sentJobs.shift(); job !== undefined; job = api.sentJobs.shift()) {
      await runJob(job.name, job.data, deps);
    }
  };
  let seen = 0;
  const world: ExportWorld = {
    api,
    dataDir,
    owner: await newAccount(api.deps),
    stranger: await newAccount(api.deps),
    receiver,
    statuses,
    ask,
    done,
    work,
    async startAnew() {
      for (const { _id } of await done("GET", "/exports?limit=300")) await done("DELETE", `/exports/${_id}`);
      world.owner = await newAccount(api.deps);
      statuses.length = 0;
      seen = receiver.received.length;
      api.sentJobs.length = 0;
    },
    arrived() {
      const files = receiver.received.slice(seen).filter(({ method }) => method === "POST");
      seen = receiver.received.length;
      return files.map(arrivedOf);
    },
    newExport: (body = {}) =>
      done("POST", "/exports", {
        format: { name: "ConsumptionCSV", params: { granularity: "hour" } },
        source_type: "stream",
        frequency: "hourly",
        target: { http: { url: `http://127.0.0.1:${receiver.port}/in?token=canary-token` } },
        ...body,
      }),
    newMeter: async (body = {}, token = world.owner.token) =>
      (await done("POST", "/meters", { type: "electricity", box: "active", ...body }, token))._id,
    async store(meter, start, values, about = {}) {
      api.clock.advance(1000);
      const run = { meter, metric: "energy", granularity: "hour", start, values, ...about };
      await done("POST", "/batches", { document: { source: `test ${api.clock.now()}` }, runs: [run] });
    },
    async pass(ms) {
      api.clock.advance(ms);
      await runJob("exports-due", {}, api.deps);
      await work();
    },
    async close() {
      await api.close();
      await receiver.close();
      rmSync(dataDir, { recursive: true, force: true });
    },
  };
  return world;
}
