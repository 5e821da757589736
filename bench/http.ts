import { type ChildProcess, spawn } from "node:child_process";
import { once } from "node:events";
import { rmSync } from "node:fs";
import { Agent } from "node:http";
import { join } from "node:path";
import { createToken } from "../server/src/accounts/accounts.ts";
import { systemClock } from "../server/src/platform/clock.ts";
import { loadKeys } from "../server/src/platform/secrets.ts";
import { perSecond, requestRate } from "./clients.ts";
import { send } from "./peers/server.ts";
import type { Row } from "./store.ts";
import { dayOf, median, type World, yearOf } from "./world.ts";

const port = 18_431;
const barePort = 18_432;
const hour = 3_600_000;

/** The server as users run it, in a process of its own, and a bare Node server that sends the same bytes. */
export async function http(world: World): Promise<Row[]> {
  const token = await tokenOf(world);
  const server = await startServer(world, token);
  const headers = { authorization: `Bearer ${token}` };
  const { origin } = server;
  const base = `${origin}/api/v2`;
  try {
    const rows: Row[] = [];
    const year = (i: number) => `/consumptions/${world.meters[(i * 37) % world.meters.length]!.id}/hour/2025`;
    const body = await (await fetch(base + year(0), { headers })).text();
    const bare = await bareRate(body);
    const rate = (...paths: string[]) =>
      requestRate({ origin, headers, paths: paths.map((path) => `/api/v2${path}`) });
    const sameYear = await rate(year(0));
    const anyYear = await rate(...world.meters.slice(0, 200).map((_, i) => year(i)));
    const bound = { bound: bare, boundName: "bare Node server with the same bytes ready", more: true };
    rows.push({
      name: "R1 over HTTP: a year of hours, one meter",
      value: sameYear,
      unit: "requests/s",
      ...bound,
    });
    rows.push({ name: "R1 over HTTP: 200 meters in turn", value: anyYear, unit: "requests/s", ...bound });
    const month = await rate(`/consumptions/${world.meters[1]!.id}/month/2025`);
    rows.push({ name: "12 months of a meter", value: month, unit: "requests/s", ...bound });
    rows.push({
      name: "list of 50 meters",
      value: await rate("/meters"),
      unit: "requests/s",
      ...bound,
    });
    rows.push(await treeSum(world, base, headers));
    rows.push(...(await writes(world, headers)));
    return rows;
  } finally {
    await server.stop();
  }
}

/** A token that may do everything in the account. */
export async function tokenOf(world: World): Promise<string> {
  const keys = await loadKeys({
    db: world.db,
    clock: systemClock,
    source: { file: join(world.dataDir, "keys.json"), make: true },
  });
  return world.db.transaction(async (tx) => {
    const scopes = ["basic", "write_meters", "write_trees"];
    return (await createToken(tx, keys, { accountId: world.accountId, scopes, now: Date.now() })).token;
  });
}

/** A server over the world, as users run it, and what is asked of it most. */
export interface BenchServer {
  origin: string;
  /** Makes a stream; answers its id. */
  makeStream(granularity?: string): Promise<string>;
  /** The answer to a request for a batch. */
  consume(stream: string, body: object): Promise<Buffer>;
  /** Delivers one run; answers when it was acknowledged. */
  deliver(run: object): Promise<number>;
  stop(): Promise<void>;
}

/** Starts a server over the world and waits until it is ready. */
export async function startServer(world: World, token: string): Promise<BenchServer> {
  const dataDir = join(world.dataDir, "server");
  const child = spawn(process.execPath, ["cli/src/main.ts", "serve"], {
    stdio: ["ignore", "ignore", "inherit"],
    env: {
      ...process.env,
      DATABASE_URL: world.runtimeUrl,
      DATABASE_MIGRATION_URL: world.ownerUrl,
      METERTREE_DATA_DIR: dataDir,
      METERTREE_KEY_FILE: join(world.dataDir, "keys.json"),
      METERTREE_PORT: String(port),
      METERTREE_RATE_PER_SECOND: "0",
      METERTREE_LOG_LEVEL: "error",
      METERTREE_VALUES_MAX: "1000000",
    },
  });
  for (let tries = 0; ; tries++) {
    const answer = await fetch(`http://127.0.0.1:${port}/readyz`).catch(() => undefined);
    if (answer?.ok === true) return serverOf(child, dataDir, token);
    if (tries > 300 || child.exitCode !== null) throw new Error("the server does not become ready");
    await new Promise((resolve) => setTimeout(resolve, 100));
  }
}

function serverOf(child: ChildProcess, dataDir: string, token: string): BenchServer {
  const agent = new Agent({ keepAlive: true });
  const usual = { authorization: `Bearer ${token}`, "content-type": "application/json" };
  const post = (path: string, body: object) =>
    send(agent, port, { path: `/api/v2${path}`, headers: usual, body: JSON.stringify(body) });
  return {
    origin: `http://127.0.0.1:${port}`,
    async makeStream(granularity) {
      const body = { resource: "consumption", ...(granularity === undefined ? {} : { granularity }) };
      return JSON.parse((await post("/streams", body)).toString()).data._id;
    },
    consume: (stream, body) => post(`/streams/${stream}/consume`, body),
    async deliver(run) {
      await post("/batches", { document: { source: "bench" }, runs: [run] });
      return performance.now();
    },
    async stop() {
      agent.destroy();
      child.kill("SIGTERM");
      await once(child, "exit");
      rmSync(dataDir, { recursive: true, force: true });
    },
  };
}

async function bareRate(body: string): Promise<number> {
  const script = `const body = Buffer.from(process.argv[1]); require("node:http").createServer((_, answer) => {
    answer.writeHead(200, { "content-type": "application/json", "content-length": body.length }); answer.end(body);
  }).listen(${barePort})`;
  const child = spawn(process.execPath, ["-e", script, body], { stdio: "ignore" });
  try {
    for (let tries = 0; tries < 100; tries++) {
      if (await fetch(`http://127.0.0.1:${barePort}`).catch(() => undefined)) break;
      await new Promise((resolve) => setTimeout(resolve, 50));
    }
    return await requestRate({ origin: `http://127.0.0.1:${barePort}`, paths: ["/"] });
  } finally {
    child.kill();
  }
}

/** R3 over HTTP: a tree node with all meters below it. */
async function treeSum(world: World, base: string, headers: Record<string, string>): Promise<Row> {
  const json = { ...headers, "content-type": "application/json" };
  const made = await fetch(`${base}/trees`, {
    method: "POST",
    headers: json,
    body: JSON.stringify({ name: "All" }),
  });
  const { data } = (await made.json()) as { data: { _id: string } };
  for (let from = 0; from < world.meters.length; from += 500) {
    const body = JSON.stringify(world.meters.slice(from, from + 500).map((meter) => ({ _id: meter.id })));
    const put = await fetch(`${base}/trees/${data._id}/meters`, { method: "POST", headers: json, body });
    if (!put.ok) throw new Error(await put.text());
  }
  const times: number[] = [];
  for (let i = 0; i < 9; i++) {
    const start = performance.now();
    const answer = await fetch(`${base}/consumptions/${data._id}/hour/20250101-20250130`, { headers });
    await answer.arrayBuffer();
    if (!answer.ok) throw new Error(`tree sum: ${answer.status}`);
    times.push(performance.now() - start);
  }
  return {
    name: `R3 over HTTP: a tree node of ${world.meters.length} meters, 720 hours`,
    value: median(times.slice(2)),
    unit: "ms",
    more: false,
  };
}

async function writes(world: World, headers: Record<string, string>): Promise<Row[]> {
  const agent = new Agent({ keepAlive: true });
  const json = { ...headers, "content-type": "application/json" };
  const post = (body: string) => send(agent, port, { path: "/api/v2/batches", headers: json, body });
  const meter = (i: number) => world.meters[i % world.meters.length]!.id;
  const day = (i: number) => ({
    meter: meter(i),
    granularity: "hour",
    start: new Date(Date.UTC(2026, 5, 1) + 24 * hour * Math.floor(i / world.meters.length)).toISOString(),
    values: [...dayOf(i)],
  });
  const deliveries = Array.from({ length: 4_000 }, (_, i) =>
    JSON.stringify({ document: { source: "bench" }, runs: [day(i)] }),
  );
  const years = Array.from({ length: 8 }, (_, k) =>
    JSON.stringify({
      document: { source: "bulk" },
      runs: Array.from({ length: 10 }, (_, m) => ({
        meter: meter(k * 10 + m),
        metric: "flow",
        granularity: "hour",
        start: "2024-01-01T00:00:00Z",
        values: [...yearOf(m)].map((value) => (Number.isNaN(value) ? null : value)),
      })),
    }),
  );
  const delivered = await perSecond({ count: deliveries.length, clients: 64 }, (i) => post(deliveries[i]!));
  const bulk = await perSecond({ count: years.length, clients: 3 }, (i) => post(years[i]!));
  agent.destroy();
  const values = 10 * [...yearOf(0)].filter((value) => !Number.isNaN(value)).length;
  return [
    { name: "deliveries over HTTP, 64 clients, durable", value: delivered, unit: "meters/s", more: true },
    { name: "bulk over HTTP (JSON), durable", value: (bulk * values) / 1e6, unit: "M values/s", more: true },
  ];
}
