import { writeFileSync } from "node:fs";
import { join } from "node:path";
import { afterAll, beforeAll, expect, test } from "vitest";
import { metertree, metertreeJson, type ServerProcess, scratch, server } from "../harness/process.ts";

const folder = scratch();
const dataDir = join(folder.path, "data");
const file = join(folder.path, "hours.csv");
const bad = join(folder.path, "bad.csv");
const mapping = join(folder.path, "mapping.json");
let running: ServerProcess;
let env: Record<string, string>;

beforeAll(async () => {
  const rows = ["735001;2025-03-01 00:00;0,1", "735001;2025-03-01 01:00;0,2", "735001;2025-03-01 02:00;"];
  writeFileSync(file, `meter;start;kWh\n${rows.join("\n")}\n`);
  writeFileSync(bad, `meter;start;kWh\n${rows.join("\n")}\n735001;2025-03-01 03:00;\u001b[31mmuch\n`);
  writeFileSync(mapping, JSON.stringify({ version: 1, timezone: "Europe/Stockholm", interval: 3600 }));
  running = await server(["serve", "--data-dir", dataDir, "--port", "0"]);
  const where = ["--data-dir", dataDir];
  await metertreeJson(["account", "create", "--name", "A", "--username", "a@example.test", ...where]);
  const scopes = ["--scopes", "basic,write_meters"];
  const { token } = await metertreeJson([
    "token",
    "create",
    "--account",
    "a@example.test",
    ...scopes,
    ...where,
  ]);
  env = { METERTREE_URL: running.url, METERTREE_TOKEN: token };
});
afterAll(async () => {
  await running?.stop();
  folder.remove();
});

test("inspect needs no server: JSON for programs, tables for people", async () => {
  const zone = ["--timezone", "Europe/Stockholm"];
  const found = await metertreeJson(["inspect", file, ...zone]);
  expect(Object.keys(found)).toEqual(["file", "format", "series", "problems"]);
  expect(found).toMatchObject({
    file: "hours.csv",
    format: "mapper",
    series: [
      {
        meter: "735001",
        metric: "energy",
        unit: "kWh",
        interval_seconds: 3600,
        count: 2,
        missing: 1,
        first_start_utc: "2025-02-28T23:00:00Z",
        last_end_utc: "2025-03-01T02:00:00Z",
        tz: "Europe/Stockholm",
        total: "0.3",
        duplicate_starts: 0,
        by_month: { "2025-03": "0.3" },
      },
    ],
  });
  const { stdout, code } = await metertree(["inspect", file, bad, "--mapping", mapping]);
  expect(code).toBe(0);
  expect(stdout).toMatch(/hours\.csv: mapper, 1 series/);
  expect(stdout).toMatch(/735001 .* kWh +1 h +2 +1 /);
  expect(stdout).toMatch(/error +5 /);
  // What a file holds gives no orders to a terminal.
  expect(stdout).not.toContain("\u001b");
  const absent = await metertree(["inspect", "no-such-file.csv"]);
  expect(absent).toMatchObject({ code: 1, stdout: "" });
  expect(absent.stderr).toContain("no-such-file.csv: there is no such file");
});

test("import tells first, then stores, then finds everything there", async () => {
  const words = ["import", file, "--mapping", mapping, "--active"];
  const dry = await metertree([...words, "--dry-run"], { env });
  expect(dry).toMatchObject({ code: 0, stderr: "" });
  expect(dry.stdout).toContain("Would store 2 values of 1 meter (1 new).");
  const done = await metertreeJson(words, { env });
  expect(done).toMatchObject({ status: "completed", result: { added: 2, missing: 1, meters_created: 1 } });
  const again = await metertree(words, { env });
  expect(again.stdout).toContain("0 added, 0 replaced, 2 unchanged");
  expect(again.stdout).toContain(`imported before, as ${done._id}`);
});

test("import names line and reason when files are refused, and ends with 1", async () => {
  const { code, stdout } = await metertree(["import", file, bad, "--mapping", mapping], { env });
  expect(code).toBe(1);
  expect(stdout).toContain("Nothing was stored.");
  expect(stdout).toMatch(/error +bad\.csv:5 /);
  expect(stdout).not.toContain("\u001b");
});

test("import says what is missing or wrong before and at the server", async () => {
  const ends = await Promise.all([
    metertree(["import", file]),
    metertree(["import", join(folder.path, "none.csv")], { env }),
    metertree(["import", file, "--timezone", "Mars/Base"], { env }),
    metertree(["import", file, "--token", "wrong"], { env }),
    metertree(["import", file, "--url", "http://127.0.0.1:1"], { env }),
  ]);
  expect(ends.map(({ code }) => code)).toEqual([1, 1, 1, 1, 1]);
  const told = [
    "METERTREE_TOKEN",
    "none.csv: there is no such file",
    "timezone: must be",
    "token",
    "cannot be reached",
  ];
  for (const [i, text] of told.entries()) expect(ends[i]!.stderr).toContain(text);
  for (const { stderr } of ends) expect(stderr).not.toMatch(/\n +at /);
});
