import { chmodSync, mkdtempSync, readFileSync, rmSync, statSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import fc from "fast-check";
import { afterAll, afterEach, beforeAll, beforeEach, expect, test } from "vitest";
import { type TestDatabase, testDatabase } from "../../../test/harness/database.ts";
import { sql } from "./db.ts";
import { newId } from "./id.ts";
import { loadKeys, type Place, rotateMaster } from "./secrets.ts";

const clock = { now: () => Date.UTC(2026, 0, 1) };
let t: TestDatabase;
let folder: string;
let file: string;

beforeAll(async () => {
  t = await testDatabase();
});
afterAll(() => t.drop());
beforeEach(async () => {
  await t.db.run(sql`delete from account`);
  await t.db.run(sql`delete from key_check`);
  folder = mkdtempSync(join(tmpdir(), "metertree-keys-"));
  file = join(folder, "keys.json");
});
afterEach(() => rmSync(folder, { recursive: true, force: true }));

const open = (make = true) => loadKeys({ db: t.db, clock, source: { file, make } });
const rotate = (more = {}) => rotateMaster({ db: t.db, clock, source: { file, make: false }, ...more });
const place: Place = { table: "target", row: "r1", column: "password" };

async function account(): Promise<string> {
  const id = newId(clock.now());
  await t.db.run(
    sql`insert into account (id, name, name_folded, part, created) values (${id}, 'x', 'x', 1, ${new Date(clock.now())})`,
  );
  return id;
}

test("what is sealed for an account opens again, whatever the text", async () => {
  const keys = await open();
  const id = await account();
  await fc.assert(
    fc.asyncProperty(fc.string({ unit: "grapheme" }), async (plain) => {
      const sealed = await keys.seal(t.db, id, plain, place);
      expect(await keys.open(t.db, id, sealed, place)).toBe(plain);
      if (plain.length > 3) expect(sealed.includes(plain)).toBe(false);
    }),
    { numRuns: 50 },
  );
});

test("the same text is never sealed the same way twice", async () => {
  const keys = await open();
  const id = await account();
  const first = await keys.seal(t.db, id, "secret", place);
  expect((await keys.seal(t.db, id, "secret", place)).equals(first)).toBe(false);
});

test("a secret opens only where it was sealed: other row, column, table or account fail", async () => {
  const keys = await open();
  const [id, other] = [await account(), await account()];
  await keys.seal(t.db, other, "x", place);
  const sealed = await keys.seal(t.db, id, "secret", place);
  const elsewhere: [string, Place][] = [
    [id, { ...place, row: "r2" }],
    [id, { ...place, column: "token" }],
    [id, { ...place, table: "feed" }],
    [id, { table: "target", row: "r1password", column: "" }],
    [other, place],
  ];
  for (const [accountId, where] of elsewhere) {
    await expect(keys.open(t.db, accountId, sealed, where)).rejects.toThrow("A stored secret cannot be read");
  }
});

test("every flipped bit and every shortening is found", async () => {
  const keys = await open();
  const id = await account();
  const sealed = await keys.seal(t.db, id, "secret", place);
  for (let i = 0; i < sealed.length; i++) {
    const altered = Buffer.from(sealed);
    altered[i]! ^= 1 << (i % 8);
    await expect(keys.open(t.db, id, altered, place)).rejects.toThrow("cannot be read");
    await expect(keys.open(t.db, id, sealed.subarray(0, i), place)).rejects.toThrow("cannot be read");
  }
  expect(await keys.open(t.db, id, sealed, place)).toBe("secret");
});

test("an account key moved to another account does not open", async () => {
  const keys = await open();
  const [id, other] = [await account(), await account()];
  const sealed = await keys.seal(t.db, id, "secret", place);
  await keys.seal(t.db, other, "x", place);
  await t.db.run(
    sql`update account_key set wrapped = (select wrapped from account_key where account_id = ${id})
        where account_id = ${other}`,
  );
  await expect(keys.open(t.db, other, sealed, place)).rejects.toThrow("cannot be read");
});

test("without its key nothing of an account can be read: forgotten, or deleted with the account", async () => {
  const keys = await open();
  for (const erase of [
    (id: string) => t.db.transaction((tx) => keys.forget(tx, id)),
    (id: string) => t.db.run(sql`delete from account where id = ${id}`),
  ]) {
    const id = await account();
    const sealed = await keys.seal(t.db, id, "secret", place);
    await erase(id);
    await expect(keys.open(t.db, id, sealed, place)).rejects.toThrow("cannot be read");
  }
});

test("many that seal for a new account at once agree on one key", async () => {
  const keys = await open();
  const id = await account();
  const sealed = await Promise.all(
    Array.from({ length: 8 }, (_, i) => t.db.transaction((tx) => keys.seal(tx, id, `secret ${i}`, place))),
  );
  const plain = await Promise.all(sealed.map((bytes) => keys.open(t.db, id, bytes, place)));
  expect(plain).toEqual(Array.from({ length: 8 }, (_, i) => `secret ${i}`));
});

test("a key whose transaction was rolled back is not used later", async () => {
  const keys = await open();
  const id = await account();
  await expect(
    t.db.transaction(async (tx) => {
      await keys.seal(tx, id, "lost", place);
      throw new Error("no");
    }),
  ).rejects.toThrow("no");
  const sealed = await keys.seal(t.db, id, "kept", place);
  expect(await (await open()).open(t.db, id, sealed, place)).toBe("kept");
});

test("the first start makes a key file that only its owner may read; the next start reads it", async () => {
  const keys = await open();
  expect(statSync(file).mode & 0o777).toBe(0o600);
  expect((await open(false)).masterId).toBe(keys.masterId);
});

test("several first starts at once end with one key", async () => {
  const all = await Promise.all([open(), open(), open(), open()]);
  expect(new Set(all.map((keys) => keys.masterId)).size).toBe(1);
});

test("start stops when the key file is missing although secrets are stored, and makes no new one", async () => {
  const keys = await open();
  await keys.seal(t.db, await account(), "secret", place);
  rmSync(file);
  await expect(open()).rejects.toThrow(
    /missing, and the database holds secrets.*Put it back from your backup/,
  );
  expect(() => statSync(file)).toThrow();
});

test("start stops when the key file is missing and none may be made", async () => {
  await expect(open(false)).rejects.toThrow(/key file .* is missing/);
});

test("start stops when the keys are those of another database", async () => {
  const keys = await open();
  await keys.seal(t.db, await account(), "secret", place);
  const text = "ab".repeat(32);
  await expect(loadKeys({ db: t.db, clock, source: { text } })).rejects.toThrow(
    `does not fit the database: its secrets are under key ${keys.masterId}`,
  );
});

test("keys lost before anything was sealed are replaced", async () => {
  const first = await open();
  rmSync(file);
  const second = await open();
  expect(second.masterId).not.toBe(first.masterId);
  const id = await account();
  expect(await second.open(t.db, id, await second.seal(t.db, id, "x", place), place)).toBe("x");
});

test("start stops when others may read the key file, and says how to mend it", async () => {
  await open();
  chmodSync(file, 0o640);
  await expect(open()).rejects.toThrow(`(mode 0640). Run: chmod 600 ${file}`);
});

test("start stops when the key file was altered", async () => {
  await open();
  const good = readFileSync(file, "utf8");
  const { current, keys } = JSON.parse(good);
  const other = Buffer.alloc(32, 7).toString("base64");
  const bad = [
    "{",
    "{}",
    "",
    JSON.stringify({ current, keys: { [current]: other } }),
    JSON.stringify({ current: "other", keys }),
    JSON.stringify({ current, keys: { [current]: "short" } }),
  ];
  for (const text of bad) {
    writeFileSync(file, text);
    const failure = await open().catch((error: Error) => error.message);
    expect(failure).toMatch(/key file .*Put back the keys from your backup/);
    expect(failure).not.toContain(keys[current]);
  }
});

test("keys may come from the configuration, in hex, base64, or several with the current one first", async () => {
  const id = await account();
  const [first, second] = ["1f".repeat(32), Buffer.alloc(32, 9).toString("base64")];
  const old = await loadKeys({ db: t.db, clock, source: { text: first } });
  const sealed = await old.seal(t.db, id, "secret", place);
  const both = await loadKeys({ db: t.db, clock, source: { text: `${second}, ${first}\n` } });
  expect(both.masterId).not.toBe(old.masterId);
  expect(await both.open(t.db, id, sealed, place)).toBe("secret");
  await rotateMaster({ db: t.db, clock, source: { text: `${second},${first}` } });
  const alone = await loadKeys({ db: t.db, clock, source: { text: second } });
  expect(await alone.open(t.db, id, sealed, place)).toBe("secret");
});

test("rotation wraps every account key anew while a running server reads and seals", async () => {
  const running = await open();
  const before = running.masterId;
  const ids = await Promise.all(Array.from({ length: 25 }, account));
  const sealed = new Map<string, Buffer>();
  for (const id of ids) sealed.set(id, await running.seal(t.db, id, `secret of ${id}`, place));
  let going = true;
  let reads = 0;
  const reader = (async () => {
    for (let i = 0; going; i = (i + 1) % ids.length, reads++) {
      const id = ids[i]!;
      expect(await running.open(t.db, id, sealed.get(id)!, place)).toBe(`secret of ${id}`);
    }
  })();
  const done = await rotate({ batch: 3 });
  going = false;
  await reader;
  expect(reads).toBeGreaterThan(0);
  expect(done.wrapped).toBe(25);
  expect(done.masterId).not.toBe(before);
  const left = await t.db.rows(sql`select from account_key where master_id <> ${done.masterId}`);
  expect(left).toHaveLength(0);
  const late = await account();
  const after = await running.seal(t.db, late, "sealed by the old process", place);
  const fresh = await open(false);
  expect(fresh.masterId).toBe(done.masterId);
  expect(await fresh.open(t.db, late, after, place)).toBe("sealed by the old process");
});

test("an interrupted rotation goes on with the key that was begun", async () => {
  const keys = await open();
  for (let i = 0; i < 6; i++) await keys.seal(t.db, await account(), "x", place);
  const stopped = rotate({
    batch: 2,
    onProgress: () => {
      throw new Error("killed");
    },
  });
  await expect(stopped).rejects.toThrow("killed");
  const begun = JSON.parse(readFileSync(file, "utf8")).current;
  expect(await rotate()).toEqual({ masterId: begun, wrapped: 4 });
  expect(statSync(file).mode & 0o777).toBe(0o600);
  expect((await rotate()).masterId).not.toBe(begun);
});
