import { chmodSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, expect, test } from "vitest";
import { testSettings } from "../../../test/harness/api.ts";
import { type CollectionWorld, collectionWorld } from "./harness.ts";
import { makeCollector } from "./worker.ts";

const none = "/nowhere/chromium";
const folder = mkdtempSync(join(tmpdir(), "metertree-readiness-"));
const program = join(folder, "chromium");
let world: CollectionWorld;
beforeAll(async () => {
  writeFileSync(program, "#!/bin/sh\n");
  chmodSync(program, 0o755);
  world = await collectionWorld({
    needs: "browser",
    browser: { hosts: () => ["utility.example"], locale: "en", timezone: "UTC" },
  });
});
afterAll(async () => {
  await world.close();
  rmSync(folder, { recursive: true });
});

/** What the API's process has itself. */
const have = (path: string) => Object.assign(world.api.deps.settings.browser, { path });
/** A worker process with another browser than this one. */
const worker = (path: string) => {
  const settings = { ...world.api.deps.settings, browser: { ...testSettings.browser, path } };
  return makeCollector({ ...world.api.deps, settings }, [world.connector]);
};
const provider = () => world.ask("GET", "/providers/scripted");
const call = (method: string, path: string, body: unknown = {}) =>
  world.api.call(method, path, { token: world.owner.token, body });
const credentials = { username: "anna", password: "right" };

test("a provider that is asked through a browser is available where a worker has one", async () => {
  have(none);
  expect(await provider()).toMatchObject({
    available: false,
    unavailable_because: expect.stringContaining("METERTREE_CHROMIUM_PATH"),
  });
  const refused = await call("POST", "/connections", { provider: "scripted", credentials });
  expect([refused.status, refused.text.includes("METERTREE_CHROMIUM_PATH")]).toEqual([409, true]);

  // This process has none, but a worker has.
  const able = worker(program);
  await able.step();
  expect(await provider()).toMatchObject({ available: true, unavailable_because: null });
  const { _id: id } = await world.ask("POST", "/connections", { provider: "scripted", credentials });

  // One without a browser leaves the connection to it, and does not say that there is none.
  const unable = worker(none);
  expect(await unable.step()).toBe(0);
  expect(await provider()).toMatchObject({ available: true });
  expect(await able.step()).toBe(1);
  await able.idle();
  expect(await world.ask("GET", `/connections/${id}`)).toMatchObject({ state: "collecting" });

  // Nobody has said so for a while: the one that is left says what is missing.
  world.api.clock.advance(200_000);
  await unable.step();
  expect(await provider()).toMatchObject({ available: false });
  for (const [method, path, body] of [
    ["POST", `/connections/${id}/run`, {}],
    ["PUT", `/connections/${id}`, { credentials }],
  ] as const) {
    expect([path, (await call(method, path, body)).status]).toEqual([path, 409]);
  }
  await able.step();
  expect(await provider()).toMatchObject({ available: true });
});
