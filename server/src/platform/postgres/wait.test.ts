import { createServer } from "node:net";
import { afterEach, expect, test } from "vitest";
import { temporaryFolder, testOptions } from "./harness.ts";
import { openPostgres, type RunningPostgres } from "./postgres.ts";
import { waitForServer } from "./wait.ts";

const secret = "hunter2-hunter2";
let folder: { path: string; remove(): void } | undefined;
let database: RunningPostgres | undefined;

afterEach(async () => {
  await database?.stop();
  folder?.remove();
  folder = database = undefined;
});

async function failure(url: string, timeoutMs: number): Promise<Error> {
  const error = await waitForServer(url, { timeoutMs }).then(
    () => new Error("it connected"),
    (thrown: Error) => thrown,
  );
  expect(error.message).not.toContain(secret);
  return error;
}

/** A server on a free port that does to each connection what it is told. */
async function listen(
  meet: (socket: import("node:net").Socket) => void,
): Promise<{ port: number; close(): void }> {
  const server = createServer(meet);
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  return { port: (server.address() as { port: number }).port, close: () => server.close() };
}

test("a server that comes up late is waited for", async () => {
  folder = temporaryFolder();
  database = await openPostgres(testOptions(`${folder.path}/data`));
  const { runtimeUrl } = database;
  await database.stop();
  const waiting = waitForServer(runtimeUrl, { timeoutMs: 20_000 });
  database = await openPostgres(testOptions(`${folder.path}/data`));
  expect(Math.floor((await waiting) / 10_000)).toBe(18);
});

test("a wrong password fails at once and stays out of the message", async () => {
  folder = temporaryFolder();
  database = await openPostgres(testOptions(`${folder.path}/data`));
  const url = new URL(database.runtimeUrl);
  url.password = secret;
  const error = await failure(url.href, 600_000);
  expect(error.message).toMatch(/refuses us: password authentication failed for user "metertree_runtime"/);
  url.href = database.runtimeUrl;
  url.pathname = "/elsewhere";
  expect((await failure(url.href, 600_000)).message).toMatch(
    /refuses us: database "elsewhere" does not exist/,
  );
});

test("nobody there: the message names host and port after the time", async () => {
  const closed = await listen(() => undefined);
  closed.close();
  const error = await failure(`postgresql://me:${secret}@127.0.0.1:${closed.port}/x`, 300);
  expect(error.message).toContain(`The database at 127.0.0.1:${closed.port} does not answer after 0.3 s`);
  expect(error.message).toContain("Check DATABASE_URL");
});

test("a server that hangs up or never speaks counts as not there", async () => {
  for (const meet of [(socket: import("node:net").Socket) => socket.destroy(), () => undefined]) {
    const server = await listen(meet);
    const error = await failure(`postgresql://me:${secret}@127.0.0.1:${server.port}/x`, 300);
    expect(error.message).toContain(`The database at 127.0.0.1:${server.port} does not answer`);
    server.close();
  }
});

test("what is no address is told with an example, without repeating it", async () => {
  for (const url of [
    `postgresql://me:${secret}@host:port/x`,
    `mysql://me:${secret}@h/x`,
    `host=x password=${secret}`,
  ]) {
    expect((await failure(url, 300)).message).toMatch(
      /DATABASE_URL is not a connection string\. It looks like/,
    );
  }
});
