import { spawn } from "node:child_process";
import { once } from "node:events";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { Client } from "../../client/src/client.ts";
import { differ, givenOut } from "../../tools/proof/held.ts";
import { Consumers, consumersHere } from "../../tools/proof/stream-export/consumers.ts";
import { metertreeJson, type ServerProcess, scratch, server } from "../harness/process.ts";

/** The consumers in `examples/` against a server, each killed over and over while it reads. */

const folder = scratch();
const dataDir = `${folder.path}/data`;
const hour = 3_600_000;
const first = Date.UTC(2025, 2, 20);
let running: ServerProcess;
let client: Client;
let env: Record<string, string>;

beforeAll(async () => {
  running = await server(["serve", "--data-dir", dataDir, "--port", "0"], {
    env: { METERTREE_RATE_PER_SECOND: "0" },
  });
  const where = ["--data-dir", dataDir];
  await metertreeJson(["account", "create", "--name", "Examples", "--username", "e@example.test", ...where]);
  const scopes = ["--scopes", "basic,write_meters"];
  const { token } = await metertreeJson([
    "token",
    "create",
    "--account",
    "e@example.test",
    ...scopes,
    ...where,
  ]);
  client = new Client({ url: running.url, token });
  env = { METERTREE_URL: running.url, METERTREE_TOKEN: token };
});
afterAll(async () => {
  await running?.stop();
  folder.remove();
});

const meters: string[] = [];
/** A value that was not there before is one more than this. */
let news = 1_000;

async function deliver(meter: number, from: number, values: readonly (number | null)[]): Promise<void> {
  const run = {
    meter: meters[meter]!,
    granularity: "hour" as const,
    start: new Date(first + from * hour).toISOString(),
    values: [...values],
    null_removes: true,
  };
  await client.call("POST /batches", { body: { runs: [run] } });
}

describe("consumers of streams", { timeout: 300_000 }, () => {
  beforeAll(async () => {
    for (let n = 0; n < 6; n++) {
      const body = {
        type: "electricity" as const,
        ean: `EX${n}`,
        timezone: "Europe/Stockholm",
        box: "active" as const,
      };
      meters.push((await client.call("POST /meters", { body }))._id);
      await deliver(
        n,
        0,
        Array.from({ length: 24 * 120 }, (_, i) => ((i * 7919 + n) % 9973) / 1000),
      );
    }
  });

  /** Size of the batches: the shell starts a dozen programs for one. */
  const limits: Record<string, number> = { typescript: 700, python: 700, curl: 4000 };

  test("every machine runs the typed one", () => {
    expect(consumersHere()).toContain("typescript");
  });

  test.for(consumersHere())("%s holds what the API gives out, whenever it is killed", async (name) => {
    const limit = limits[name]!;
    const readers = new Consumers({ folder: folder.path, env, names: [name], limit });
    try {
      for (let kill = 0; kill < 6; kill++) {
        // Whatever was stored before the last kill, there is something to read; repeated values would be none.
        await deliver(kill % 6, 24 * 60 + kill, [++news]);
        readers.start();
        await readers.progress();
        await deliver(kill % 6, 24 * 40 + kill, [++news, null, ++news]);
        await readers.kill(0);
      }
      await readers.settle();
      const expected = await givenOut(client, [2025]);
      expect(expected.size).toBeGreaterThan(6 * 24 * 100);
      const [[, held]] = [...readers.held()] as [[string, typeof expected]];
      expect(differ(expected, held)).toMatchObject({ missing: 0, extra: 0, wrong: 0 });
    } finally {
      await readers.end();
    }
  });
});

test("a consumer says what it needs", async () => {
  const child = spawn(process.execPath, ["examples/stream-consumer/consume.ts"], {
    stdio: "pipe",
    env: {},
  });
  let said = "";
  child.stderr.on("data", (bytes: Buffer) => (said += bytes));
  const [code] = await once(child, "exit");
  expect([code, said]).toEqual([2, expect.stringContaining("METERTREE_URL")]);
});
