import { randomBytes } from "node:crypto";
import pg from "pg";
import { afterAll, beforeAll, expect, inject, test } from "vitest";
import { testUtility } from "../../simulator/src/harness.ts";
import { databaseUrl } from "../harness/database-admin.ts";
import { metertreeJson, type ServerProcess, scratch, server } from "../harness/process.ts";

// Three roles as processes of their own on one database: workers, servers and connections with the database are killed
// in the middle of runs.

const now = Date.parse("2026-11-01T12:00:00Z");
const name = `metertree_test_${randomBytes(6).toString("hex")}`;
const folder = scratch();
const processes: ServerProcess[] = [];
/** The server that outlives all kills. */
let second: ServerProcess;
let utility: Awaited<ReturnType<typeof testUtility>>;
let database: pg.Client;
let env: Record<string, string>;
let token: string;

async function asAdmin(statement: string): Promise<void> {
  const client = new pg.Client({ connectionString: inject("adminUrls")[0]! });
  await client.connect();
  await client.query(statement);
  await client.end();
}

beforeAll(async () => {
  await asAdmin(`create database ${name}`);
  const url = databaseUrl(inject("adminUrls")[0]!, name);
  env = {
    DATABASE_URL: url,
    METERTREE_KEYS: "5e".repeat(32),
    METERTREE_EGRESS_ALLOW: "127.0.0.0/8",
    METERTREE_DATA_DIR: `${folder.path}/data`,
  };
  utility = await testUtility({ now });
  database = new pg.Client({ connectionString: url });
  await database.connect();
});
afterAll(async () => {
  await Promise.all(processes.map((each) => each.stop("SIGKILL")));
  await utility.close();
  await database.end();
  await asAdmin(`drop database ${name} with (force)`);
  folder.remove();
});

async function begin(role: "web" | "worker"): Promise<ServerProcess> {
  const words = ["serve", "--role", role, "--port", "0", "--log-level", "warn"];
  const process = await server(words, { env });
  processes.push(process);
  return process;
}

// biome-ignore lint/suspicious/noExplicitAny: tests look at whatever came back
async function ask(web: ServerProcess, method: string, path: string, body?: unknown): Promise<any> {
  const answer = await fetch(`${web.url}/api/v2${path}`, {
    method,
    headers: { authorization: `Bearer ${token}`, "content-type": "application/json" },
    ...(body === undefined ? {} : { body: JSON.stringify(body) }),
  });
  const { data, message } = (await answer.json()) as { data: unknown; message?: string };
  if (answer.status !== 200) throw new Error(`${method} ${path}: ${answer.status} ${message}`);
  return data;
}

/** What the events of a connection show. */
// biome-ignore lint/suspicious/noExplicitAny: tests look at whatever came back
type Fits = (view: any) => boolean;

/** Listens to the events of a connection until one fits, and again when they break; `undefined` when the server is gone. */
// biome-ignore lint/suspicious/noExplicitAny: tests look at whatever came back
async function listen(web: ServerProcess, id: string, fits: Fits): Promise<any> {
  while (web.process.exitCode === null && web.process.signalCode === null) {
    const view = await listenOnce(web, id, fits).catch(() => undefined);
    if (view !== undefined) return view;
  }
  return undefined;
}

async function listenOnce(web: ServerProcess, id: string, fits: Fits): Promise<unknown> {
  const answer = await fetch(`${web.url}/api/v2/connections/${id}/events`, {
    headers: { authorization: `Bearer ${token}` },
  });
  let text = "";
  for await (const piece of answer.body!.pipeThrough(new TextDecoderStream())) {
    text += piece;
    for (let end = text.indexOf("\n\n"); end >= 0; end = text.indexOf("\n\n")) {
      const data = /^data: (.*)$/m.exec(text.slice(0, end))?.[1];
      text = text.slice(end + 2);
      const view = data === undefined ? undefined : JSON.parse(data);
      if (view !== undefined && fits(view)) return view;
    }
  }
  return undefined;
}

const connect = (web: ServerProcess, username: string, password: string): Promise<{ _id: string }> =>
  ask(web, "POST", "/connections", {
    provider: "demo-http",
    credentials: { url: utility.url, username, password },
  });

const slowed = (username: string, seconds: number) =>
  utility.order("POST", "/control/faults", { kind: "slow", username, seconds });

const isRunning =
  (step: string): Fits =>
  (view) =>
    view.running?.steps.some((each: { name: string }) => each.name === step) === true;

test("runs of killed processes are repeated, nothing is lost or doubled, and events go on elsewhere", async () => {
  const first = await begin("web");
  const made = await metertreeJson(["account", "create", "--name", "Killed"], { env });
  const scopes = "basic,collection,write_meters";
  ({ token } = await metertreeJson(["token", "create", "--account", made._id, "--scopes", scopes], { env }));
  const [web, worker] = await Promise.all([begin("web"), begin("worker")]);
  second = web;

  // One connection has found its meters, and all of them are accepted.
  const old = await connect(first, "kund0002", "sol-0002");
  expect(await listen(second, old._id, ({ state }) => state === "collecting")).toBeDefined();
  await slowed("kund0002", 1);
  await slowed("kund0003", 1);
  const found = await ask(first, "GET", "/meters?limit=300");
  expect(found.length).toBeGreaterThan(1);
  for (const meter of found) await ask(first, "PUT", `/meters/${meter._id}`, { box: "active" });

  // It collects, while another one looks for its meters: then a worker and a server are killed.
  const young = await connect(first, "kund0003", "sol-0003");
  const heard = listen(first, young._id, ({ state }) => state === "collecting");
  await Promise.all([
    listen(second, old._id, isRunning("read")),
    listen(second, young._id, isRunning("log in")),
  ]);
  await worker.stop("SIGKILL");
  await first.stop("SIGKILL");
  expect(await heard).toBeUndefined();
  await begin("worker");
  // Whoever listened goes on at the other server, and learns of everything that follows.
  const goesOn = listen(second, young._id, ({ state }) => state === "collecting");
  await Promise.all([
    listen(second, old._id, isRunning("read")),
    listen(second, young._id, isRunning("log in")),
  ]);
  // All connections with the database break, as they do when it is restarted.
  await database.query(
    "select pg_terminate_backend(pid) from pg_stat_activity where datname = current_database() and pid <> pg_backend_pid()",
  );
  expect(await goesOn).toMatchObject({ state: "collecting", failure: null });
  await expect
    .poll(async () => (await ask(second, "GET", `/connections/${old._id}`)).state, { timeout: 60_000 })
    .toBe("collecting");

  const runs = await ask(second, "GET", `/connections/${young._id}/runs?sort=began`);
  expect(runs[0]).toMatchObject({ reason: "created", outcome: "interrupted" });
  expect(runs[1]).toMatchObject({ reason: "repeated" });
  for (const { counts } of await ask(second, "GET", `/connections/${old._id}/runs`)) {
    expect(counts.replaced ?? 0).toBe(0);
  }
  await holdsTheTruth("kund0002", (at) => at >= now - 20 * 86_400_000);
}, 400_000);

/** Every meter is there once, and holds what the utility has published, once. */
async function holdsTheTruth(username: string, isAsked: (at: number) => boolean): Promise<void> {
  const meters = (await ask(second, "GET", "/meters?limit=300")) as { _id: string; ean: string }[];
  expect(new Set(meters.map(({ ean }) => ean)).size).toBe(meters.length);
  const truth = await utility.truth(`customer=${username}&granularity=hour&from=2026-10-01&to=2026-11-01`);
  for (const line of truth) {
    const meter = meters.find(({ ean }) => ean === line.ean)!;
    await expect
      .poll(async () => (await storedHours(meter._id)).filter(([at]) => isAsked(at)), { timeout: 90_000 })
      .toEqual(
        line.starts
          .map((start: string, i: number) => [new Date(start).getTime(), Number(line.values[i])])
          .filter(([at]: [number]) => isAsked(at)),
      );
  }
}

/** Stored hours of October, of the root meter, by start. */
async function storedHours(meterId: string): Promise<[number, number][]> {
  const [answer] = await ask(second, "GET", `/consumptions/${meterId}/hour/20261001-20261031`);
  const [{ energy }] = answer.periods;
  const begin = Date.parse("2026-09-30T22:00:00Z");
  return energy.flatMap((value: number | null, i: number) =>
    value === null ? [] : [[begin + i * 3_600_000, value]],
  );
}
