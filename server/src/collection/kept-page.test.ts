import { createServer } from "node:http";
import { afterAll, beforeAll, expect, test } from "vitest";
import { makeMetrics } from "../platform/metrics.ts";
import { ProviderFailure } from "./connector.ts";
import { type CollectionWorld, collectionWorld } from "./harness.ts";
import { keptPage, keptPages } from "./kept-page.ts";
import { watchCollection } from "./metrics.ts";

/** A provider that a connector does not understand: with a page, or stumbling over an answer of a real server. */
let world: CollectionWorld;
const server = createServer((request, answer) => answer.end(`<p>new layout for ${request.url}</p>`));
let url: string;
let how: "told" | "stumbled" | "long" = "told";

beforeAll(async () => {
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  url = `http://127.0.0.1:${(server.address() as { port: number }).port}`;
  world = await collectionWorld({
    // biome-ignore lint/correctness/useYield: it finds nothing that it understands
    async *discover({ http, settings }) {
      const { password } = settings as { password: string };
      const answer = await http.send(`${url}/meters?secret=${password}`);
      const page = answer.text();
      // Cut off in the middle of the password.
      const long = `${"x".repeat(200_000 - 6)}${password}`;
      if (how === "long") throw new ProviderFailure("changed", "a long page", { page: long });
      if (how === "told") throw new ProviderFailure("changed", "no table of meters", { page });
      (undefined as unknown as { rows: string }).rows.trim();
    },
  });
});
afterAll(async () => {
  await world.close();
  server.close();
});

test("what a connector does not understand is kept without secrets, and told to whoever runs the server", async () => {
  const { api, ask } = world;
  const connections: string[] = [];
  for (const each of ["told", "stumbled"] as const) {
    how = each;
    connections.push((await world.connect("Sommar-2026"))._id);
    await world.run();
  }
  const kept = await keptPages(api.db, { limit: 10 });
  expect(kept).toMatchObject([
    { connectionId: connections[1], provider: "scripted", message: expect.stringContaining("stumbled") },
    { connectionId: connections[0], provider: "scripted", message: "no table of meters" },
  ]);
  for (const { runId } of kept) {
    const page = await keptPage(api.db, { keys: api.deps.keys, runId });
    expect(page).toBe("<p>new layout for /meters?secret=********</p>");
  }
  const issues = await ask("GET", "/issues");
  expect(issues).toMatchObject([
    { kind: "page_changed", owner: { role: "operator" } },
    { kind: "page_changed", owner: { role: "operator" } },
  ]);
  const told = api.logLines.filter((line) => line.includes("a provider answers in an unknown way"));
  expect(told.map((line) => JSON.parse(line).level)).toEqual(["error", "error"]);
  const metrics = makeMetrics({ version: "1", process: false });
  watchCollection(metrics, api.db);
  const text = await metrics.registry.metrics();
  expect(text).toContain('metertree_connections_failing{provider="scripted",failure="changed"} 2');
});

test("a page that is cut off where a secret stands shows no part of it", async () => {
  const { api } = world;
  how = "long";
  await world.connect("Sommar-2027");
  await world.run();
  const [kept] = await keptPages(api.db, { limit: 1 });
  const page = await keptPage(api.db, { keys: api.deps.keys, runId: kept!.runId });
  expect([kept!.message, page?.length, page?.slice(-7)]).toEqual(["a long page", 200_000, "x******"]);
});

test("a run that has no page has none", async () => {
  expect(await keptPage(world.api.db, { keys: world.api.deps.keys, runId: "nothing" })).toBeUndefined();
});
