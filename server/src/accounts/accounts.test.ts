import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { newAccount } from "../../../test/harness/accounts.ts";
import { testClock } from "../../../test/harness/api.ts";
import { type TestDatabase, testDatabase } from "../../../test/harness/database.ts";
import { type Db, sql, sqlState } from "../platform/db.ts";
import { newId } from "../platform/id.ts";
import { type Keys, loadKeys } from "../platform/secrets.ts";
import {
  accountByUsername,
  accountRefs,
  addCollaborator,
  addSubscriber,
  assertMayDelete,
  audit,
  brokenAudit,
  listSubscribers,
  managerOf,
  markDeleted,
  partsOf,
  removeSubscriber,
  subaccountsOf,
} from "./accounts.ts";
import { giveTryBack, takeTry } from "./login-budget.ts";
import { changeCollaborator } from "./members.ts";

let t: TestDatabase;
let keys: Keys;
const clock = testClock();

beforeAll(async () => {
  t = await testDatabase();
  keys = await loadKeys({ db: t.db, clock, source: { text: "5e".repeat(32) } });
});
afterAll(() => t.drop());

/** Resolves when a statement of this database waits for a lock. */
async function untilOneWaits(db: Db): Promise<void> {
  for (;;) {
    const waiting = await db.rows(
      sql`select from pg_stat_activity where datname = current_database() and wait_event_type = 'Lock'`,
    );
    if (waiting.length > 0) return;
  }
}

const make = (options = {}) => newAccount({ db: t.db, keys, clock }, options);

describe("accounts", () => {
  test("every account of its own gets another part, and its meters spread over its parts", async () => {
    const [one, two] = [await make(), await make()];
    const parts = await t.db.rows<{ part: number }>(
      sql`select part from account where id in (${one.id}, ${two.id})`,
    );
    expect(new Set(parts.map((row) => row.part)).size).toBe(2);
    const { part } = await t.db.one<{ part: number }>(sql`select part from account where id = ${one.id}`);
    expect(await partsOf(t.db, one.id, [newId(0)])).toEqual([part]);
    await t.db.run(sql`update account set parts = 4 where id = ${one.id}`);
    const found = new Set<number>();
    const meters = Array.from({ length: 200 }, (_, i) => newId(i));
    for (const place of await partsOf(t.db, one.id, meters)) found.add(place - part);
    expect([...found].sort()).toEqual([0, 1, 2, 3]);
    const meter = newId(0);
    expect(await partsOf(t.db, one.id, [meter])).toEqual(await partsOf(t.db, one.id, [meter]));
  });

  test("references leave out who is unknown or deleted", async () => {
    const [one, two] = [await make(), await make()];
    await t.db.run(sql`update account set deleted = now() where id = ${two.id}`);
    const refs = await accountRefs(t.db, [one.id, one.id, two.id, newId(0)]);
    expect([...refs]).toEqual([[one.id, { _id: one.id, name: one.name, username: one.username }]]);
    expect(await accountRefs(t.db, [])).toEqual(new Map());
    expect(await accountByUsername(t.db, two.username!)).toBeUndefined();
  });

  test("manager and subaccounts know each other", async () => {
    const manager = await make();
    const sub = await make({ managerId: manager.id });
    expect(await managerOf(t.db, sub.id)).toBe(manager.id);
    expect(await managerOf(t.db, manager.id)).toBeNull();
    expect(await subaccountsOf(t.db, manager.id)).toEqual([sub.id]);
  });

  test("the name of a deleted account is free again", async () => {
    const first = await make({ username: "again@example.test" });
    await expect(make({ username: "Again@Example.test" })).rejects.toThrow("is taken");
    await t.db.run(sql`update account set deleted = now() where id = ${first.id}`);
    const second = await make({ username: "Again@Example.test" });
    expect((await accountByUsername(t.db, "again@example.test"))!.id).toBe(second.id);
  });

  test("letters beyond ASCII are one name in any case, whatever the locale of the database", async () => {
    await make({ username: "åsa@exämple.test" });
    await expect(make({ username: "ÅSA@EXÄMPLE.test" })).rejects.toThrow("is taken");
  });
});

describe("deletion", () => {
  test("makes an account vanish with its credentials and everything sealed for it", async () => {
    const account = await make();
    const place = { table: "x", row: "1", column: "y" };
    const sealed = await keys.seal(t.db, account.id, "secret", place);
    await t.db.transaction((tx) => markDeleted(tx, { db: t.db, keys }, { id: account.id, now: clock.now() }));
    await expect(keys.open(t.db, account.id, sealed, place)).rejects.toThrow("cannot be read");
    const token = await t.db.one<{ revoked: Date; sealed: Buffer }>(
      sql`select revoked, sealed from access_token where id = ${account.tokenId}`,
    );
    expect(token).toMatchObject({ revoked: expect.any(Date), sealed: Buffer.alloc(0) });
    await expect(
      t.db.transaction((tx) => markDeleted(tx, { db: t.db, keys }, { id: account.id, now: clock.now() })),
    ).rejects.toMatchObject({ code: "not_found" });
  });

  test("waits until the account manages nobody", async () => {
    const manager = await make();
    const sub = await make({ managerId: manager.id });
    await expect(assertMayDelete(t.db, manager.id)).rejects.toThrow("1 subaccounts");
    const remove = (id: string) =>
      t.db.transaction((tx) => markDeleted(tx, { db: t.db, keys }, { id, now: clock.now() }));
    await expect(remove(manager.id)).rejects.toMatchObject({ code: "conflict" });
    await remove(sub.id);
    await remove(manager.id);
  });

  test("and a subaccount made at the same time exclude each other", async () => {
    const manager = await make();
    const mayCommit = Promise.withResolvers<void>();
    const removed = Promise.withResolvers<void>();
    const removal = t.db.transaction(async (tx) => {
      await markDeleted(tx, { db: t.db, keys }, { id: manager.id, now: clock.now() });
      removed.resolve();
      await mayCommit.promise;
    });
    await removed.promise;
    const creation = make({ managerId: manager.id }).catch((error) => error);
    await untilOneWaits(t.db);
    mayCommit.resolve();
    await removal;
    expect(await creation).toMatchObject({ code: "not_found" });
  });
});

describe("audit log", () => {
  const entry = (accountId: string, detail = {}) => ({
    at: clock.now() + 0.25,
    accountId,
    actor: null,
    action: "a.b",
    detail,
  });

  test("takes lines from many at once and holds together", async () => {
    const id = newId(0);
    await Promise.all(
      Array.from({ length: 8 }, (_, i) => t.db.transaction((tx) => audit(tx, entry(id, { ö: i, a: [1] })))),
    );
    expect(await brokenAudit(t.db, id)).toBeNull();
  });

  test("cannot be changed by the server, and shows when its owner did", async () => {
    const id = newId(0);
    for (let i = 0; i < 3; i++) await t.db.transaction((tx) => audit(tx, entry(id, { i })));
    for (const attempt of [
      sql`update audit set action = 'x' where account_id = ${id}`,
      sql`delete from audit where account_id = ${id}`,
    ]) {
      const failure = await t.db.run(attempt).catch((error) => error);
      expect(sqlState(failure)).toBe("42501");
    }
    const rows = await t.db.rows<{ id: number }>(
      sql`select id from audit where account_id = ${id} order by id`,
    );
    const [, second, third] = rows.map((row) => row.id);
    const asOwner = async (text: string) => {
      const { default: pg } = await import("pg");
      const client = new pg.Client({ connectionString: t.ownerUrl });
      await client.connect();
      await client.query(text).finally(() => client.end());
    };
    await asOwner(`update audit set detail = '{"i":9}' where id = ${second}`);
    expect(await brokenAudit(t.db, id)).toBe(second);
    await asOwner(`update audit set detail = '{"i":1}' where id = ${second}`);
    expect(await brokenAudit(t.db, id)).toBeNull();
    await asOwner(`delete from audit where id = ${second}`);
    expect(await brokenAudit(t.db, id)).toBe(third);
  });
});

test("two administrators who remove each other at once: one stays", async () => {
  const organization = await make({ is_organization: true });
  const people = [await make(), await make()];
  const [one, two] = await t.db.transaction(async (tx) => {
    const added = [];
    for (const person of people) {
      const member = { organizationId: organization.id, accountId: person.id, now: clock.now() };
      added.push(await addCollaborator(tx, { ...member, role: "administrator" }));
    }
    return added;
  });
  const mayCommit = Promise.withResolvers<void>();
  const removed = Promise.withResolvers<void>();
  const remove = { organizationId: organization.id, role: null };
  const first = t.db.transaction(async (tx) => {
    await changeCollaborator(tx, { ...remove, id: one!.id });
    removed.resolve();
    await mayCommit.promise;
  });
  await removed.promise;
  let over = false;
  const second = t.db
    .transaction((tx) => changeCollaborator(tx, { ...remove, id: two!.id }))
    .catch((error) => error)
    .finally(() => (over = true));
  await Promise.race([untilOneWaits(t.db), second]);
  expect(over).toBe(false);
  mayCommit.resolve();
  await first;
  expect(await second).toMatchObject({ code: "conflict" });
});

describe("login budget", () => {
  test("lets at most 100 guesses an hour reach one name, from however many addresses", async () => {
    let passed = 0;
    const start = clock.now();
    for (let minute = 0; minute < 60; minute++) {
      for (let i = 0; i < 5; i++) {
        const attempt = {
          username: "victim@example.test",
          remoteAddress: `198.51.100.${(minute * 5 + i) % 250}`,
        };
        await takeTry(t.db, attempt, start + minute * 60_000).then(
          () => passed++,
          (error) => expect(error.code).toBe("too_many_requests"),
        );
      }
    }
    expect(passed).toBeGreaterThan(90);
    expect(passed).toBeLessThanOrEqual(100);
  });

  test("counts the /64 of an IPv6 address as one, and holds under concurrency", async () => {
    const results = await Promise.allSettled(
      Array.from({ length: 30 }, (_, i) =>
        takeTry(t.db, { username: "v6@example.test", remoteAddress: `2001:db8:1:2::${i + 1}` }, clock.now()),
      ),
    );
    expect(results.filter((result) => result.status === "fulfilled")).toHaveLength(10);
  });

  test("forgets what is whole again", async () => {
    const later = clock.now() + 86_400_000;
    // A login forgets 100 at most, so that none takes long.
    const whole = sql`select from login_budget where due_ms < ${later}`;
    const before = (await t.db.rows(whole)).length;
    expect(before).toBeGreaterThan(200);
    await giveTryBack(t.db, { username: "x", remoteAddress: "192.0.2.1" }, later);
    expect((await t.db.rows(whole)).length).toBe(before - 100);
    for (let i = 0; i < before / 100; i++) {
      await giveTryBack(t.db, { username: "x", remoteAddress: "192.0.2.1" }, later);
    }
    expect(await t.db.rows(whole)).toHaveLength(0);
  });
});

test("subscribers come once, are listed with their names, and go", async () => {
  const [giver, taker] = [await make(), await make()];
  const add = () =>
    t.db.transaction((tx) =>
      addSubscriber(tx, { accountId: giver.id, subscriberId: taker.id, now: clock.now() }),
    );
  const [one, two] = await Promise.all([add(), add()]);
  expect(one.id).toBe(two.id);
  expect(await listSubscribers(t.db, giver.id)).toEqual([
    {
      id: one.id,
      account_id: giver.id,
      created: clock.now(),
      subscriber: { _id: taker.id, name: taker.name, username: taker.username },
    },
  ]);
  await expect(t.db.transaction((tx) => removeSubscriber(tx, taker.id, one.id))).rejects.toMatchObject({
    code: "not_found",
  });
  await t.db.transaction((tx) => removeSubscriber(tx, giver.id, one.id));
  expect(await listSubscribers(t.db, giver.id)).toEqual([]);
  const self = { accountId: giver.id, subscriberId: giver.id, now: 0 };
  await expect(t.db.transaction((tx) => addSubscriber(tx, self))).rejects.toMatchObject({ code: "conflict" });
});
