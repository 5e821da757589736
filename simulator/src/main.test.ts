import { execFile, spawn } from "node:child_process";
import { once } from "node:events";
import { createInterface } from "node:readline";
import { fileURLToPath } from "node:url";
import { promisify } from "node:util";
import { expect, test } from "vitest";

const main = fileURLToPath(new URL("./main.ts", import.meta.url));

test("the program says where it listens, runs faster than the day, and ends when it is told to", async () => {
  const options = ["--port", "0", "--customers", "1", "--now", "2026-01-01T00:00:00Z", "--speed", "100000"];
  const child = spawn(process.execPath, [main, ...options], { stdio: ["ignore", "pipe", "inherit"] });
  try {
    const urls: string[] = [];
    for await (const line of createInterface(child.stdout)) {
      urls.push(/http:\S+/.exec(line)![0]);
      if (urls.length === 2) break;
    }
    const [pages, clock] = urls;
    expect((await fetch(`${pages}/login`)).status).toBe(200);
    const day = Date.parse("2026-01-02T00:00:00Z");
    const now = async () => Date.parse(((await (await fetch(clock!)).json()) as { now: string }).now);
    await expect.poll(now, { timeout: 20_000 }).toBeGreaterThan(day);
  } finally {
    child.kill();
  }
  const [code] = await once(child, "exit");
  expect(code).toBe(0);
});

test("with --until-input-ends it ends when its parent is gone, however that ended", async () => {
  // A parent that is killed while its child holds the other end of the pipe.
  const parent = spawn(
    process.execPath,
    [
      "-e",
      `const { spawn } = require("node:child_process");
       const options = { stdio: ["pipe", "inherit", "inherit"], detached: true };
       spawn(process.execPath, ${JSON.stringify([main, "--port", "0", "--until-input-ends"])}, options);
       setInterval(() => undefined, 1000);`,
    ],
    { stdio: ["ignore", "pipe", "inherit"] },
  );
  const lines = createInterface(parent.stdout);
  const [first] = await once(lines, "line");
  const url = /http:\S+/.exec(first)![0];
  expect((await fetch(`${url}/login`)).status).toBe(200);
  parent.kill("SIGKILL");
  // The child holds the other end of this one, too.
  await once(lines, "close");
  await expect(fetch(`${url}/login`)).rejects.toThrow();
});

test.for([
  ["--port=x", "--port x"],
  ["--speed=-1", "--speed -1"],
  ["--now=tomorrow", "--now tomorrow"],
  ["--pivot=2026-13-01", "2026-13-01 is no day"],
  ["--unheard=1", "--unheard"],
])("%s is refused, and the message says why", async ([option, message]) => {
  const failed = await promisify(execFile)(process.execPath, [main, option!, "--control-port=0"]).catch(
    (error) => error,
  );
  expect([failed.code, failed.stderr]).toEqual([1, expect.stringContaining(message!)]);
});
