import { spawn } from "node:child_process";
import { once } from "node:events";
import { createInterface } from "node:readline";
import { setTimeout as delay } from "node:timers/promises";
import { fileURLToPath } from "node:url";
import { Client } from "../client/src/client.ts";
import { metertreeJson, scratch, server } from "../test/harness/process.ts";
import type { Row } from "./store.ts";

const lookMs = 10;
const day = 86_400_000;

/**
 * Collection as a customer meets it: from the request that connects until meters and values can be read over HTTP, of the
 * demo utility's customer with 16 metering points; and how soon the demo answers. Server, database and utility share the
 * machine.
 */
export async function collection(): Promise<Row[]> {
  return [...(await firstData()), ...(await demoStarts())];
}

const row = (name: string, value: number, unit = "ms"): Row => ({ name, value, unit, more: unit !== "ms" });

async function firstData(): Promise<Row[]> {
  const folder = scratch();
  const where = ["--data-dir", `${folder.path}/data`];
  const env = { METERTREE_EGRESS_ALLOW: "127.0.0.1", METERTREE_RATE_PER_SECOND: "0" };
  const utility = await startUtility();
  const running = await server(["serve", ...where, "--port", "0"], { env });
  try {
    await metertreeJson(["account", "create", "--name", "Bench", "--username", "b@example.test", ...where]);
    const scopes = ["--scopes", "basic,collection"];
    const words = ["token", "create", "--account", "b@example.test", ...scopes, ...where];
    const client = new Client({ url: running.url, token: (await metertreeJson(words)).token });
    return await connectAndWatch(client, utility.url);
  } finally {
    await running.stop();
    await utility.end();
    folder.remove();
  }
}

async function connectAndWatch(client: Client, url: string): Promise<Row[]> {
  const rule = { name: "all", conditions: {}, actions: { box: "active" as const } };
  await client.call("POST /inbox_rules", { body: rule });
  const credentials = { url, username: "demo", password: "demo" };
  const begun = performance.now();
  const since = () => performance.now() - begun;
  const { _id } = await client.call("POST /connections", { body: { provider: "demo-http", credentials } });
  const meters = await until(async () => {
    const { data } = await client.page("GET /meters", { query: { type: "electricity" } });
    return data.length > 0 ? data : undefined;
  });
  const found = since();
  const textOf = (at: number) => new Date(at).toISOString().slice(0, 10).replaceAll("-", "");
  const period = `${textOf(Date.now() - 10 * day)}-${textOf(Date.now())}`;
  const hasValues = async (id: string) => {
    const path = { id, granularity: "hour", period } as const;
    const [answer] = await client.call("GET /consumptions/{id}/{granularity}/{period}", { path });
    return JSON.stringify(answer).match(/\d\.\d/) !== null || undefined;
  };
  await until(async () => (await Promise.all(meters.map(({ _id: id }) => hasValues(id)))).find(Boolean));
  const first = since();
  await until(async () =>
    (await Promise.all(meters.map(({ _id: id }) => hasValues(id)))).every(Boolean) ? true : undefined,
  );
  const all = since();
  await until(async () => {
    const { running, next_run } = await client.call("GET /connections/{id}", { path: { id: _id } });
    return running === null && Date.parse(next_run ?? "") > Date.now() + 60_000 ? true : undefined;
  });
  const whole = since();
  const { data: runs } = await client.page("GET /connections/{id}/runs", { path: { id: _id } });
  const values = runs.reduce((sum, { counts }) => sum + (counts.added ?? 0), 0);
  return [
    row("connected to meters that can be read", found),
    row("connected to the first value", first),
    row(`connected to values of all ${meters.length} electricity meters`, all),
    row(`the whole history, ${values} values, within the limit of the provider`, whole / 1000, "s"),
  ];
}

async function until<T>(look: () => Promise<T | undefined>): Promise<T> {
  for (;;) {
    const found = await look();
    if (found !== undefined) return found;
    await delay(lookMs);
  }
}

async function startUtility(): Promise<{ url: string; end(): Promise<void> }> {
  const program = fileURLToPath(new URL("../simulator/src/main.ts", import.meta.url));
  const child = spawn(process.execPath, [program, "--port", "0"], { stdio: ["ignore", "pipe", "inherit"] });
  const [line] = await once(createInterface(child.stdout), "line");
  return {
    url: /http:\S+/.exec(line)![0],
    async end() {
      child.kill();
      await once(child, "exit");
    },
  };
}

async function demoStarts(): Promise<Row[]> {
  const folder = scratch();
  const rows: Row[] = [];
  for (const which of ["first", "second"]) {
    const begun = performance.now();
    const demo = await server(["demo", "--data-dir", `${folder.path}/demo`, "--port", "0"]);
    rows.push(row(`npm run demo: the ${which} start answers`, performance.now() - begun));
    await until(async () => demo.printed().includes("Ctrl-C") || undefined);
    await demo.stop();
  }
  folder.remove();
  return rows;
}
