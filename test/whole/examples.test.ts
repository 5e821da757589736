import { spawn } from "node:child_process";
import { once } from "node:events";
import { mkdtempSync, rmSync } from "node:fs";
import type { AddressInfo } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { DatabaseSync } from "node:sqlite";
import { fileURLToPath } from "node:url";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { authenticate } from "../../server/src/accounts/accounts.ts";
import { endpoints } from "../../server/src/app.ts";
import { ingest, type RootMeter } from "../../server/src/series/series.ts";
import { newAccount, type TestAccount } from "../harness/accounts.ts";
import { type TestApi, testApi } from "../harness/api.ts";
import { newMeter } from "../harness/meters.ts";

/** The consumers of examples/stream-consumer, killed at any point, against what is stored. */

let t: TestApi;
let url: string;
let folder: string;
beforeAll(async () => {
  t = await testApi({ endpoints, authenticate });
  await t.server.listen({ port: 0, host: "127.0.0.1" });
  url = `http://127.0.0.1:${(t.server.server.address() as AddressInfo).port}`;
  folder = mkdtempSync(join(tmpdir(), "mt-examples-"));
});
afterAll(async () => {
  await t.close();
  rmSync(folder, { recursive: true, force: true });
});

const start = Date.UTC(2024, 11, 31, 23);
const hour = 3_600_000;
const programs = fileURLToPath(new URL("../../examples/stream-consumer/", import.meta.url));

/** Runs an example, and kills it after `killMs`; returns what it printed as errors. */
async function run(
  words: string[],
  { account, killMs }: { account: TestAccount; killMs?: number },
): Promise<string> {
  const env = { PATH: process.env.PATH, METERTREE_URL: url, METERTREE_TOKEN: account.token };
  const child = spawn(words[0]!, [...words.slice(1), "--once"], {
    cwd: programs,
    env,
    stdio: ["ignore", "ignore", "pipe"],
  });
  let errors = "";
  child.stderr.on("data", (bytes) => (errors += bytes));
  const ended = once(child, "close");
  const kill = AbortSignal.timeout(killMs ?? 60_000);
  kill.addEventListener("abort", () => child.kill("SIGKILL"));
  const [code, signal] = await ended;
  if (killMs === undefined && (code !== 0 || signal !== null))
    throw new Error(`${words}: ${code} ${signal} ${errors}`);
  // A killed consumer holds its stream until the lease ends; here nobody waits for that.
  if (killMs !== undefined) await t.db.run({ name: "", text: "update stream set lease = null", values: [] });
  return errors;
}

async function write(meter: RootMeter, values: number[]): Promise<void> {
  const starts = values.map((_, i) => start + i * hour);
  const document = { source: `example ${Math.max(...values.filter((value) => !Number.isNaN(value)))}` };
  t.clock.advance(1_000);
  await ingest(
    t.db,
    [{ document, runs: [{ meter, metric: "energy", granularity: "hour", starts, values }] }],
    t.clock.now(),
  );
}

/** Value by meter, metric, granularity and start, from SQLite or from the files of the shell. */
async function copyOf(path: string): Promise<Record<string, number>> {
  if (path.endsWith(".db")) {
    const rows = new DatabaseSync(path).prepare("select * from value").all() as Record<
      string,
      string | number
    >[];
    return Object.fromEntries(
      rows.map((row) => [`${row.meter}/${row.metric}/${row.granularity}/${row.start}`, row.value as number]),
    );
  }
  const child = spawn("bash", ["-c", `jq -s -f latest.jq ${path}/[0-9]*.json`], {
    cwd: programs,
    stdio: ["ignore", "pipe", "inherit"],
  });
  let text = "";
  child.stdout.on("data", (bytes) => (text += bytes));
  await once(child, "close");
  return JSON.parse(text);
}

describe("a consumer that is killed at any point has what is stored in the end", () => {
  test.each([
    ["TypeScript", ["node", "consume.ts"], "ts.db"],
    ["Python", ["python3", "consume.py"], "py.db"],
    ["curl and jq", ["bash", "consume.sh"], "sh"],
  ])(
    "%s",
    async (_name, words, copy) => {
      const account = await newAccount(t.deps);
      const made = await newMeter(t, account, { timezone: "Etc/GMT-1" });
      const meter = { id: made.id, part: made.part, timezone: "Etc/GMT-1" };
      const path = join(folder, copy);
      await write(
        meter,
        Array.from({ length: 4_000 }, (_, i) => i),
      );
      for (const killMs of [120, 250, 400, 600, 900]) {
        await run([...words, path], { account, killMs });
        await write(
          meter,
          Array.from({ length: 50 }, (_, i) => (i === 7 ? Number.NaN : killMs * 10_000 + i)),
        );
      }
      await run([...words, path], { account });
      const answer = await t.call("GET", `/consumptions/${meter.id}/hour/20250101-20250630`, {
        token: account.token,
      });
      const values = answer.json.data[0].periods[0].energy as (number | null)[];
      const stored = values.flatMap((value, i) => {
        const at = new Date(start + i * hour).toISOString().replace(".000Z", "+0000");
        return value === null ? [] : [[`${meter.id}/energy/hour/${at}`, value]];
      });
      const held = Object.entries(await copyOf(path)).filter(([key]) => key.includes("/hour/"));
      expect(stored.length).toBeGreaterThan(3_000);
      expect(Object.fromEntries(held)).toEqual(Object.fromEntries(stored));
    },
    120_000,
  );
});
