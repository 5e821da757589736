import { once } from "node:events";
import type { AddressInfo } from "node:net";
import { connect, createServer } from "node:net";
import { afterAll, expect, test } from "vitest";
import { databasePid, metertree, metertreeJson, npmServer, scratch, server } from "../harness/process.ts";

const folder = scratch();
afterAll(() => folder.remove());
const dataDir = `${folder.path}/data`;
const serve = ["serve", "--data-dir", dataDir, "--port", "0", "--log-level", "warn"];

const status = async (url: string) => (await fetch(url)).status;

test("a first start tells how to make an administrator; Ctrl-C ends everything, the database included", async () => {
  const first = await server(serve);
  expect(await status(`${first.url}/healthz`)).toBe(200);
  expect(await (await fetch(`${first.url}/readyz`)).json()).toEqual({
    status: "ok",
    checks: { database: "ok", schema: "ok", jobs: "ok" },
  });
  expect(await status(`${first.url}/docs`)).toBe(200);
  expect(first.printed()).toContain(dataDir);
  expect(first.printed()).toContain("metertree -- account create");
  expect(databasePid(dataDir)).toBeDefined();
  const end = await first.stop("SIGINT");
  expect(end.code).toBe(0);
  expect(databasePid(dataDir)).toBeUndefined();
});

test("after kill -9 the next start finds what was acknowledged", async () => {
  const first = await server(serve);
  const where = ["--data-dir", dataDir];
  const made = await metertreeJson(["account", "create", "--name", "Kept", ...where]);
  await first.stop("SIGKILL");
  const second = await server(serve);
  const accounts = await metertreeJson(["account", "list", ...where]);
  expect(accounts.map((account: { _id: string }) => account._id)).toEqual([made._id]);
  expect(second.printed()).not.toContain("account create");
  await second.stop("SIGTERM");
  expect(databasePid(dataDir)).toBeUndefined();
});

test("a second server on the same folder is refused, with the process that has it", async () => {
  const first = await server(serve);
  const second = await metertree(serve);
  expect(second.code).toBe(1);
  expect(second.stdout).toBe("");
  expect(second.stderr).toContain(`process id ${first.process.pid}`);
  expect(await status(`${first.url}/healthz`)).toBe(200);
  expect((await first.stop()).code).toBe(0);
});

test("a port that is taken ends the start with a remedy, and leaves nothing running", async () => {
  const other = createServer().listen(0, "127.0.0.1");
  await once(other, "listening");
  const { port } = other.address() as AddressInfo;
  const end = await metertree([...serve, "--port", String(port)]);
  other.close();
  expect(end.code).toBe(1);
  expect(end.stderr).toContain(`port ${port}: another program has it`);
  expect(end.stderr).toContain("--port");
  expect(databasePid(dataDir)).toBeUndefined();
});

test("a second Ctrl-C ends the process at once, and the database with it", async () => {
  const running = await server(serve);
  const { hostname, port } = new URL(running.url);
  // A request that never comes to its end is what a stop waits for.
  const slow = connect(Number(port), hostname);
  slow.on("error", () => undefined);
  slow.write(
    "POST /api/v2/sessions HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\nContent-Length: 9\r\n\r\n{",
  );
  await once(slow, "connect");
  expect(await status(`${running.url}/healthz`)).toBe(200);
  running.process.kill("SIGINT");
  await expect.poll(() => status(`${running.url}/healthz`).catch(() => "refused")).toBe("refused");
  const before = performance.now();
  expect((await running.stop("SIGINT")).code).toBe(1);
  expect(performance.now() - before).toBeLessThan(3000);
  await expect.poll(() => databasePid(dataDir)).toBeUndefined();
  slow.destroy();
});

test("signals that npm gets reach the server", async () => {
  const running = await npmServer("start", serve.slice(1));
  expect(await status(`${running.url}/healthz`)).toBe(200);
  await running.stop("SIGTERM");
  await expect.poll(() => databasePid(dataDir)).toBeUndefined();
});

test("all mistakes of the configuration are told at once, before anything starts", async () => {
  const end = await metertree([...serve, "--port", "http", "--timezone", "Mars"], {
    env: { METERTREE_ROLE: "worker" },
  });
  expect(end.code).toBe(1);
  expect(end.stderr).toContain("--port must be");
  expect(end.stderr).toContain("--timezone must be");
});
