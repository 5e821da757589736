import { type ChildProcess, spawn } from "node:child_process";
import { once } from "node:events";
import { rmSync } from "node:fs";
import { join } from "node:path";
import autocannon from "autocannon";
import { createToken } from "../server/src/accounts/accounts.ts";
import { systemClock } from "../server/src/platform/clock.ts";
import { loadKeys } from "../server/src/platform/secrets.ts";
import type { Row } from "./store.ts";
import { median, type World, yearOf } from "./world.ts";

const port = 18_431;
const barePort = 18_432;
const connections = 20;
const seconds = 6;
const hour = 3_600_000;

/** The server as users run it, in a process of its own, and a bare Node server that sends the same bytes. */
export async function http(world: World): Promise<Row[]> {
  const token = await tokenOf(world);
  const server = await startServer(world);
  const headers = { authorization: `Bearer ${token}` };
  const base = `http://127.0.0.1:${port}/api/v2`;
  try {
    const rows: Row[] = [];
    const year = (i: number) => `/consumptions/${world.meters[(i * 37) % world.meters.length]!.id}/hour/2025`;
    const body = await (await fetch(base + year(0), { headers })).text();
    const bare = await bareRate(body);
    const sameYear = await rate(`${base}${year(0)}`, headers);
    const anyYear = await rate(
      base,
      headers,
      world.meters.slice(0, 200).map((_, i) => `/api/v2${year(i)}`),
    );
    const bound = { bound: bare, boundName: "bare Node server with the same bytes ready", more: true };
    rows.push({
      name: "R1 over HTTP: a year of hours, one meter",
      value: sameYear,
      unit: "requests/s",
      ...bound,
    });
    rows.push({ name: "R1 over HTTP: 200 meters in turn", value: anyYear, unit: "requests/s", ...bound });
    const month = await rate(`${base}/consumptions/${world.meters[1]!.id}/month/2025`, headers);
    rows.push({ name: "12 months of a meter", value: month, unit: "requests/s", ...bound });
    rows.push({
      name: "list of 50 meters",
      value: await rate(`${base}/meters`, headers),
      unit: "requests/s",
      ...bound,
    });
    rows.push(await treeSum(world, base, headers));
    rows.push(...(await writes(world, base, headers)));
    return rows;
  } finally {
    server.process.kill("SIGTERM");
    await once(server.process, "exit");
    rmSync(server.dataDir, { recursive: true, force: true });
  }
}

async function tokenOf(world: World): Promise<string> {
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

async function startServer(world: World): Promise<{ process: ChildProcess; dataDir: string }> {
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
    if (answer?.ok === true) return { process: child, dataDir };
    if (tries > 300 || child.exitCode !== null) throw new Error("the server does not become ready");
    await new Promise((resolve) => setTimeout(resolve, 100));
  }
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
    return await rate(`http://127.0.0.1:${barePort}`, {});
  } finally {
    child.kill();
  }
}

async function rate(url: string, headers: Record<string, string>, paths?: string[]): Promise<number> {
  const requests = paths?.map((path) => ({ path }));
  const options = { url, headers, connections, ...(requests === undefined ? {} : { requests }) };
  await autocannon({ ...options, duration: 2 });
  const result = await autocannon({ ...options, duration: seconds });
  if (result.non2xx > 0 || result.errors > 0)
    throw new Error(`${url}: ${result.non2xx} refused, ${result.errors} errors`);
  return result.requests.average;
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

async function writes(world: World, base: string, headers: Record<string, string>): Promise<Row[]> {
  const json = { ...headers, "content-type": "application/json" };
  const post = async (body: string) => {
    const answer = await fetch(`${base}/batches`, { method: "POST", headers: json, body });
    if (!answer.ok) throw new Error(await answer.text());
    await answer.arrayBuffer();
  };
  const start = new Date(Date.UTC(2026, 5, 1)).toISOString();
  const dayOf = (i: number) =>
    JSON.stringify({
      document: { source: "bench" },
      runs: [
        {
          meter: world.meters[i % world.meters.length]!.id,
          granularity: "hour",
          start: new Date(
            Date.UTC(2026, 5, 1) + 24 * hour * Math.floor(i / world.meters.length),
          ).toISOString(),
          values: [...yearOf(i).subarray(0, 24)].map((v) => (Number.isNaN(v) ? null : v)),
        },
      ],
    });
  const deliveries = await clients(4_000, 64, (i) => post(dayOf(i)));
  const yearBodies = Array.from({ length: 8 }, (_, k) =>
    JSON.stringify({
      document: { source: "bulk" },
      runs: Array.from({ length: 10 }, (_, m) => ({
        meter: world.meters[(k * 10 + m) % world.meters.length]!.id,
        metric: "flow",
        granularity: "hour",
        start: start.replace("2026-06", "2024-01"),
        values: [...yearOf(m)].map((v) => (Number.isNaN(v) ? null : v)),
      })),
    }),
  );
  const bulk = await clients(yearBodies.length, 3, (i) => post(yearBodies[i]!));
  return [
    { name: "deliveries over HTTP, 64 clients, durable", value: deliveries, unit: "meters/s", more: true },
    {
      name: "bulk over HTTP (JSON), durable",
      value: (bulk * 10 * 8_672) / 1e6,
      unit: "M values/s",
      more: true,
    },
  ];
}

async function clients(count: number, many: number, work: (i: number) => Promise<void>): Promise<number> {
  let next = 0;
  const start = performance.now();
  const client = async () => {
    while (next < count) await work(next++);
  };
  await Promise.all(Array.from({ length: many }, client));
  return count / ((performance.now() - start) / 1000);
}
