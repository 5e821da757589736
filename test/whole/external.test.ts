import { randomBytes } from "node:crypto";
import pg from "pg";
import { afterAll, beforeAll, expect, inject, test } from "vitest";
import { databaseUrl } from "../harness/database-admin.ts";
import { metertree, metertreeJson, scratch, server } from "../harness/process.ts";

const folder = scratch();
const name = `metertree_test_${randomBytes(6).toString("hex")}`;
const where = ["--data-dir", `${folder.path}/data`];
let url: string;

async function asAdmin(...statements: string[]): Promise<void> {
  const client = new pg.Client({ connectionString: inject("adminUrls")[0]! });
  await client.connect();
  for (const statement of statements) await client.query(statement);
  await client.end();
}

beforeAll(async () => {
  await asAdmin(`create database ${name}`);
  url = databaseUrl(inject("adminUrls")[0]!, name);
});
afterAll(async () => {
  await asAdmin(`drop database ${name} with (force)`);
  folder.remove();
});

test("with one connection string, the server acts as a role that owns nothing", async () => {
  const env = { DATABASE_URL: url };
  const running = await server(["serve", "--port", "0", "--log-level", "warn", ...where], { env });
  expect(await (await fetch(`${running.url}/readyz`)).json()).toMatchObject({ status: "ok" });
  expect(running.printed()).not.toContain(new URL(url).password || "no password at all");
  const report = await metertreeJson(["migrate", ...where], { env });
  expect(report.applied).toEqual([]);
  await running.stop();
  const doctor = JSON.parse((await metertree(["doctor", "--json", ...where], { env })).stdout);
  const role = doctor.checks.find((check: { name: string }) => check.name === "role");
  expect(role).toEqual({
    name: "role",
    state: "ok",
    message: "the server acts as metertree_server, which owns nothing",
  });
});

test("a server that would act as the owner of the tables is refused, unless it is allowed to", async () => {
  const env = { DATABASE_URL: url, DATABASE_MIGRATION_URL: url };
  const refused = await metertree(["serve", "--port", "0", ...where], { env });
  expect(refused.code).toBe(1);
  expect(refused.stderr).toMatch(
    /must not run as the database role \w+, which (is a superuser|owns the tables)/,
  );
  expect(refused.stderr).toContain("create role");
  const words = ["serve", "--port", "0", "--log-level", "error", "--allow-privileged-database-role", "true"];
  const allowed = await server([...words, ...where], { env });
  await allowed.stop();
});

test("a newer schema is refused, and a database that is not there is told without its password", async () => {
  const client = new pg.Client({ connectionString: url });
  await client.connect();
  await client.query("insert into schema_migration (number, name, sha256) select 9999, 'later.sql', ''");
  const newer = await metertree(["serve", "--port", "0", ...where], { env: { DATABASE_URL: url } });
  await client.query("delete from schema_migration where number = 9999");
  await client.end();
  expect(newer.code).toBe(1);
  expect(newer.stderr).toContain("Start a newer Metertree");
  const gone = await metertree(["doctor", "--database-wait-seconds", "0", ...where], {
    env: { DATABASE_URL: "postgresql://someone:geheim@127.0.0.1:1/metertree" },
  });
  expect(gone.code).toBe(1);
  expect(gone.stdout).toContain("FAILED   database");
  expect(gone.stdout + gone.stderr).not.toContain("geheim");
});
