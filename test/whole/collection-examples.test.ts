import { execFile, execFileSync } from "node:child_process";
import { promisify } from "node:util";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { Client } from "../../client/src/client.ts";
import { type Simulator, startSimulator } from "../../simulator/src/start.ts";
import { metertreeJson, type ServerProcess, scratch, server } from "../harness/process.ts";

/** The examples of both structures in `examples/`, from an empty account on, against the demo utility. */

const folder = scratch();
const dataDir = `${folder.path}/data`;
let running: ServerProcess;
let utility: Simulator;

beforeAll(async () => {
  utility = await startSimulator({ customers: 0 });
  running = await server(["serve", "--data-dir", dataDir, "--port", "0"], {
    env: { METERTREE_EGRESS_ALLOW: "127.0.0.1" },
  });
});
afterAll(async () => {
  await running?.stop();
  await utility?.close();
  folder.remove();
});

/** Makes an account as the manual says, and returns a token of it. */
async function newToken(username: string, scopes: string): Promise<string> {
  const where = ["--data-dir", dataDir];
  await metertreeJson(["account", "create", "--name", username, "--username", username, ...where]);
  const words = ["token", "create", "--account", username, "--scopes", scopes, ...where];
  return (await metertreeJson(words)).token;
}

function run(program: string, token: string): Promise<{ stdout: string }> {
  const env = {
    ...process.env,
    METERTREE_URL: running.url,
    METERTREE_TOKEN: token,
    UTILITY_URL: utility.url,
  };
  const shell = program.endsWith(".ts") ? process.execPath : "sh";
  return promisify(execFile)(shell, [`examples/${program}`], { env, timeout: 150_000 });
}

const hasPrograms = ["curl", "jq"].every((program) => {
  try {
    execFileSync("sh", ["-c", `command -v ${program}`]);
    return true;
  } catch {
    return false;
  }
});

test("the typed client does the same as the shell", async () => {
  const scopes = "basic,write_accounts,write_trees,write_meters,collection";
  const token = await newToken("typed@example.test", scopes);
  const { stdout } = await run("property-manager/collect.ts", token);
  expect(stdout).toMatch(/^P-2: collecting$/m);
  expect(stdout).toMatch(/^accepted: 14, placed in a tree: 14$/m);
  expect(stdout).toMatch(/^meters below the portfolio, .*\n {2}14$/m);
  const again = await run("property-manager/collect.ts", token);
  expect(again.stdout).toMatch(/^accepted: 0, placed in a tree: 0$/m);
  expect(again.stdout.split("\n").slice(-18)).toEqual(stdout.split("\n").slice(-18));
  await expect(run("property-manager/collect.ts", "wrong")).rejects.toMatchObject({ code: 1 });
});

describe.runIf(hasPrograms)("examples of collection", () => {
  test("property manager: the meters of each customer, and those of the portfolio", async () => {
    const token = await newToken(
      "pm@example.test",
      "basic,write_accounts,write_trees,write_meters,collection",
    );
    const { stdout } = await run("property-manager/collect.sh", token);
    expect(stdout).toMatch(/^structure: property_manager$/m);
    expect(stdout).toMatch(/^P-1: collecting$/m);
    // One of P-1 produces: the first rule has taken it already when it was found.
    expect(stdout).toMatch(/^P-1: 6 meters in the inbox$/m);
    expect(stdout).toMatch(/^accepted: 14, placed in a tree: 14$/m);
    const client = new Client({ url: running.url, token });
    const meters = async (query: Record<string, string>) =>
      (await client.page("GET /meters", { query })).count;
    const assigner = /assigner._id=(\w+)/.exec(stdout)![1]!;
    expect(await meters({ "assigner._id": assigner, box: "active" })).toBe(7);
    const node = /tree_structure_ids=(\w+)/.exec(stdout)![1]!;
    expect(await meters({ tree_structure_ids: node })).toBe(14);
    const days = stdout.trimEnd().split("\n").at(-1)!.trim().split(" ").map(Number);
    expect(days.length).toBeGreaterThanOrEqual(20);
    expect(days.every((kWh) => kWh > 0)).toBe(true);

    const again = await run("property-manager/collect.sh", token);
    expect(again.stdout).toMatch(/^accepted: 0, placed in a tree: 0$/m);
    expect(await meters({})).toBe(15);
    expect((await client.page("GET /connections")).count).toBe(2);
    expect((await client.page("GET /inbox_rules")).count).toBe(3);
  });

  test("classic: meters without a customer, in buildings with ids of their own", async () => {
    const token = await newToken("classic@example.test", "basic,write_trees,write_meters,collection");
    const { stdout } = await run("classic/collect.sh", token);
    expect(stdout).toMatch(/^structure: classic$/m);
    expect(stdout).toMatch(/^accepted: 4, placed in a tree: 4$/m);
    const client = new Client({ url: running.url, token });
    const nodes = [...stdout.matchAll(/^meters of (B-\d), .*tree_structure_ids=(\w+)$/gm)];
    expect(nodes).toHaveLength(3);
    const below = await Promise.all(
      nodes.map(async ([, , id]) =>
        (await client.page("GET /meters", { query: { tree_structure_ids: id! } })).data.map(
          ({ name, assigner }) => [name, assigner],
        ),
      ),
    );
    expect(below.flat()).toHaveLength(4);
    for (const [i, meters] of below.entries()) {
      for (const [name, assigner] of meters) {
        expect(name).toMatch(new RegExp(`^${nodes[i]![1]} `));
        expect(assigner).toBeNull();
      }
    }
    await run("classic/collect.sh", token);
    expect((await client.page("GET /meters")).count).toBe(4);
    expect((await client.page("GET /trees")).count).toBe(5);
  });

  test("a login that needs a person ends it with what to do", async () => {
    const token = await newToken("refused@example.test", "basic,write_trees,write_meters,collection");
    const client = new Client({ url: running.url, token });
    const credentials = { url: utility.url, username: "changed", password: "demo" };
    await client.call("POST /connections", { body: { provider: "demo-http", name: "Estate", credentials } });
    await expect(run("classic/collect.sh", token)).rejects.toMatchObject({
      code: 1,
      stderr: expect.stringContaining("credentials_refused: The provider refuses the credentials."),
    });
  });
});
