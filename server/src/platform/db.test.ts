import { afterAll, expect, test } from "vitest";
import { testDatabase } from "../../../test/harness/database.ts";
import { sql } from "./db.ts";

const database = await testDatabase();
afterAll(() => database.drop());

test("a connection that breaks between two statements fails the work that borrowed it, and nothing else", async () => {
  const { db } = database;
  const work = db.transaction(async (tx) => {
    const { pid } = await tx.one<{ pid: number }>(sql`select pg_backend_pid() as pid`);
    // What the server says last arrives while no statement is on.
    const broken = new Promise((resolve) => tx.connection.once("end", resolve));
    await db.run(sql`select pg_terminate_backend(${pid}, 10000)`);
    await broken;
    await tx.run(sql`select 1`);
  });
  await expect(work).rejects.toThrow("not queryable");
  expect(await db.one(sql`select 1 as one`)).toEqual({ one: 1 });
});
