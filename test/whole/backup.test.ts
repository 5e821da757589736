import { copyFileSync, existsSync, mkdirSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { gunzipSync } from "node:zlib";
import { afterAll, beforeAll, expect, test } from "vitest";
import { metertree, metertreeJson, type ServerProcess, scratch, server } from "../harness/process.ts";

const folder = scratch();
const from = join(folder.path, "from");
const to = join(folder.path, "to");
const file = join(folder.path, "metertree.backup");
let running: ServerProcess;
let written: { rows: number; tables: Record<string, { rows: number; sha256: string }> };

beforeAll(async () => {
  running = await server(["demo", "--no-utility", "--data-dir", from, "--port", "0"]);
  written = await metertreeJson(["backup", file, "--data-dir", from]);
});
afterAll(async () => {
  await running?.stop();
  folder.remove();
});

test("a backup is written beside the server, readable by its owner alone, and is not overwritten", async () => {
  expect(written.tables.block!.rows).toBeGreaterThan(1000);
  const again = await metertree(["backup", file, "--data-dir", from]);
  expect(again).toMatchObject({ code: 1, stdout: "" });
  expect(again.stderr).toContain("exists");
  expect(existsSync(`${file}.unfinished`)).toBe(false);
});

test("a restore without the keys, from a damaged file or below a running server changes nothing", async () => {
  const keyless = await metertree(["restore", file, "--data-dir", to]);
  expect(keyless.code).toBe(1);
  expect(keyless.stderr).toContain("Put the keys that belong to the backup there first");
  const bytes = readFileSync(file);
  const damaged = join(folder.path, "damaged");
  bytes[Math.floor(bytes.length / 2)]! ^= 1;
  writeFileSync(damaged, bytes);
  const cut = join(folder.path, "cut");
  writeFileSync(cut, readFileSync(file).subarray(0, -5000));
  for (const path of [damaged, cut, join(folder.path, "none")]) {
    const end = await metertree(["restore", path, "--force", "--data-dir", from]);
    expect(end.code).toBe(1);
    expect(end.stderr).toContain(path);
  }
  const below = await metertree(["restore", file, "--force", "--data-dir", from]);
  expect(below.code).toBe(1);
  expect(below.stderr).toContain("Stop it first");
  expect(await metertreeJson(["account", "list", "--data-dir", from])).toHaveLength(5);
});

test("a restored database holds the same rows, works, and never gives out an offset again", async () => {
  mkdirSync(to, { recursive: true });
  copyFileSync(join(from, "keys.json"), join(to, "keys.json"));
  expect(await metertreeJson(["restore", file, "--data-dir", to])).toMatchObject({ rows: written.rows });
  const again = join(folder.path, "again.backup");
  const copied = await metertreeJson(["backup", again, "--data-dir", to]);
  const { head, ...others } = written.tables;
  const { head: lifted, ...same } = copied.tables;
  expect(same).toEqual(others);
  expect(lifted.rows).toBe(head!.rows);
  const newest = (path: string) => Math.max(...headsIn(path));
  expect(newest(again)).toBeGreaterThan(newest(file));
  const demo = JSON.parse(readFileSync(join(from, "demo.json"), "utf8"));
  const restored = await server(["serve", "--data-dir", to, "--port", "0", "--log-level", "warn"]);
  const path = `/api/v2/consumptions/${demo.nodeId}/month/${demo.year}?metrics=energy&type=heat`;
  const headers = { authorization: `Bearer ${demo.token}` };
  const [ours, theirs] = await Promise.all(
    [restored, running].map(async ({ url }) => (await fetch(url + path, { headers })).text()),
  );
  expect(ours).toBe(theirs);
  expect(JSON.parse(ours!).data[0].periods[0].energy).toHaveLength(12);
  await restored.stop();
});

test("a database with accounts is only replaced with --force", async () => {
  const words = ["restore", file, "--data-dir", to];
  const refused = await metertree(words);
  expect(refused.code).toBe(1);
  expect(refused.stderr).toContain("--force");
  expect((await metertree([...words, "--force"])).code).toBe(0);
  expect((await metertreeJson(["doctor", "--data-dir", to])).healthy).toBe(true);
});

/** Offsets in the rows of table `head` of a backup file: a tar file with one piece of it. */
function headsIn(path: string): number[] {
  const bytes = gunzipSync(readFileSync(path));
  for (let at = 0; at < bytes.length; ) {
    const name = bytes.toString("ascii", at, at + 100).replace(/\0.*$/s, "");
    const size = Number.parseInt(bytes.toString("ascii", at + 124, at + 135), 8);
    if (name === "tables/head/000001") {
      const rows = bytes.toString("utf8", at + 512, at + 512 + size).trim();
      return rows.split("\n").map((row) => Number(row.split("\t")[1]));
    }
    at += 512 + Math.ceil(size / 512) * 512;
  }
  throw new Error("no table head in the backup");
}
