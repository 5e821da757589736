import { createCipheriv, createDecipheriv, createHmac, hkdfSync, randomBytes } from "node:crypto";
import type { Clock } from "./clock.ts";
import { type Db, type Queryable, sql, type Tx } from "./db.ts";
import { type KeyRing, newRing, parseRing, readRing, withNewKey, writeRing } from "./key-ring.ts";
import { Problem } from "./problem.ts";

/** Where a sealed secret is stored. It is bound into the ciphertext, which opens nowhere else. */
export interface Place {
  table: string;
  row: string;
  column: string;
}

/**
 * Encrypts secrets that must be read again. Three layers: the master key (a file, or the configuration) wraps one
 * key per account (table `account_key`), which encrypts the secrets. So the master key can change without touching
 * a secret, and removing an account's key removes all its secrets, in backups too once the key is out of them.
 */
export interface Keys {
  /** Id of the master key that new account keys are wrapped with. */
  readonly masterId: string;
  /** Encrypts `plain` for one place; makes the account's key when it has none yet. */
  seal(tx: Queryable, accountId: string, plain: string, place: Place): Promise<Buffer>;
  /** Opens what `seal` made. Throws `internal` when it was altered, shortened or moved, or its key is gone. */
  open(db: Queryable, accountId: string, sealed: Uint8Array, place: Place): Promise<string>;
  /**
   * A keyed hash of `plain` for one place: recognises a secret without holding it. It is the same for as long as the
   * account has its first key.
   */
  mac(tx: Queryable, accountId: string, plain: string, place: Place): Promise<Buffer>;
  /** Removes the account's key: nothing that was sealed for it can be opened any more. */
  forget(tx: Tx, accountId: string): Promise<void>;
}

/** Where master keys come from: a file of our own, or text from the configuration. */
export type KeySource = { file: string; make: boolean } | { text: string };

export interface LoadKeys {
  db: Db;
  clock: Clock;
  source: KeySource;
}

const algorithm = "aes-256-gcm";
const format = 1;
const ivBytes = 12;
const tagBytes = 16;
/** Format byte and key version, before the box. */
const headBytes = 5;
const checkWord = "these keys fit";
// Any number will do, as long as nobody else uses it in this database.
const startLock = 7_262_004;

/**
 * Loads the master keys and proves that they fit the database. On the very first start (`make`) the file is made.
 * Throws `unavailable` with the remedy when keys are missing, wrong, altered or readable by others: the server must
 * not start then.
 */
export async function loadKeys({ db, clock, source }: LoadKeys): Promise<Keys> {
  let ring = await ringFor(db, source);
  await db.transaction((tx) => checkRing(tx, { ring, source, now: clock.now() }));
  /** A rotation beside this process adds keys to the file. */
  const refresh = async (): Promise<void> => {
    if ("file" in source) ring = (await readRing(source.file)) ?? ring;
  };
  const firstKey = async (tx: Queryable, accountId: string): Promise<KeyRow> => {
    await refresh();
    return makeKey(tx, { accountId, ring, now: clock.now() });
  };
  const unwrap = async (accountId: string, row: KeyRow): Promise<Buffer> => {
    if (!ring.keys.has(row.master_id)) await refresh();
    const master = ring.keys.get(row.master_id);
    if (master === undefined)
      throw unreadable(`account key of ${accountId} needs master key ${row.master_id}`);
    return decrypt(master, row.wrapped, wrapContext(accountId, row));
  };
  return {
    get masterId() {
      return ring.current;
    },
    async seal(tx, accountId, plain, place) {
      const row = (await newestKey(tx, accountId)) ?? (await firstKey(tx, accountId));
      const head = Buffer.alloc(headBytes);
      head.writeUInt8(format, 0);
      head.writeUInt32BE(row.version, 1);
      const key = await unwrap(accountId, row);
      return Buffer.concat([
        head,
        encrypt(key, Buffer.from(plain), placeContext(accountId, row.version, place)),
      ]);
    },
    async open(db, accountId, sealed, place) {
      const bytes = Buffer.from(sealed.buffer, sealed.byteOffset, sealed.byteLength);
      const where = `${place.table}.${place.column} of ${place.row}`;
      if (bytes.length < headBytes + ivBytes + tagBytes || bytes.readUInt8(0) !== format)
        throw unreadable(where);
      const version = bytes.readUInt32BE(1);
      const row = await db.maybe<KeyRow>(
        sql`select version::int8, master_id, wrapped from account_key
            where account_id = ${accountId} and version::int8 = ${version}`,
      );
      if (row === undefined) throw unreadable(`${where}: no key ${version} of account ${accountId}`);
      const key = await unwrap(accountId, row);
      return decrypt(key, bytes.subarray(headBytes), placeContext(accountId, version, place)).toString();
    },
    async mac(tx, accountId, plain, place) {
      const row = (await firstKeyOf(tx, accountId)) ?? (await firstKey(tx, accountId));
      const key = await unwrap(accountId, row);
      // The key of the hash is another than that of the boxes: one key is used for one thing.
      const own = Buffer.from(hkdfSync("sha256", key, "", macContext(accountId, place), 32));
      return createHmac("sha256", own).update(plain).digest();
    },
    async forget(tx, accountId) {
      await tx.run(sql`delete from account_key where account_id = ${accountId}`);
    },
  };
}

/** Ids of the master keys that a source holds; none when there is no key file. */
export async function masterIds(source: KeySource): Promise<string[]> {
  const ring = "text" in source ? parseRing(source.text, "The configured key") : await readRing(source.file);
  return ring === undefined ? [] : [...ring.keys.keys()];
}

/** Ids of the master keys that secrets in the database are under. */
export async function usedMasterIds(
  query: (text: string) => Promise<{ rows: unknown[] }>,
): Promise<string[]> {
  const { rows } = await query("select distinct master_id as id from account_key order by 1");
  return (rows as { id: string }[]).map((row) => row.id);
}

interface KeyRow {
  version: number;
  master_id: string;
  wrapped: Buffer;
}

async function ringFor(db: Db, source: KeySource): Promise<KeyRing> {
  if ("text" in source) return parseRing(source.text, "The configured key");
  const found = await readRing(source.file);
  if (found !== undefined) return found;
  const used = await db.rows<{ master_id: string }>(
    sql`select distinct master_id from account_key order by master_id limit 3`,
  );
  if (used.length > 0 || !source.make) {
    const why = used.length > 0 ? `, and the database holds secrets under key ${used[0]!.master_id}` : "";
    throw new Problem(
      "unavailable",
      `The key file ${source.file} is missing${why}. Put it back from your backup, or start where it is.`,
    );
  }
  await writeRing(source.file, newRing(), { replace: false });
  return (await readRing(source.file))!;
}

/** Tries every key that the database knows of, and registers the current one. */
async function checkRing(tx: Tx, options: { ring: KeyRing; source: KeySource; now: number }): Promise<void> {
  const { ring, source, now } = options;
  await tx.run(sql`select pg_advisory_xact_lock(${startLock})`);
  const known = await tx.rows<{ master_id: string; sealed: Buffer; used: boolean }>(
    sql`select master_id, sealed,
               exists (select from account_key where account_key.master_id = key_check.master_id) as used
        from key_check`,
  );
  const origin = "file" in source ? `The key file ${source.file}` : "The configured key";
  for (const row of known) {
    const key = ring.keys.get(row.master_id);
    if (key === undefined) {
      if (row.used) {
        throw new Problem(
          "unavailable",
          `${origin} does not fit the database: its secrets are under key ${row.master_id}, the keys given are ` +
            `${[...ring.keys.keys()].join(", ")}. Start with the keys that belong to this database.`,
        );
      }
      // Nothing is sealed with it: the keys were lost before they mattered, or were retired.
      await tx.run(sql`delete from key_check where master_id = ${row.master_id}`);
    } else if (decrypt(key, row.sealed, checkContext(row.master_id)).toString() !== checkWord) {
      throw unreadable(`check word of master key ${row.master_id}`);
    }
  }
  await registerKey(tx, ring, now);
}

async function registerKey(tx: Queryable, ring: KeyRing, now: number): Promise<void> {
  const key = ring.keys.get(ring.current)!;
  const sealed = encrypt(key, Buffer.from(checkWord), checkContext(ring.current));
  await tx.run(
    sql`insert into key_check (master_id, sealed, created)
        values (${ring.current}, ${sealed}, ${new Date(now)}) on conflict do nothing`,
  );
}

async function newestKey(tx: Queryable, accountId: string): Promise<KeyRow | undefined> {
  return tx.maybe<KeyRow>(
    sql`select version, master_id, wrapped from account_key
        where account_id = ${accountId} order by version desc limit 1`,
  );
}

async function firstKeyOf(tx: Queryable, accountId: string): Promise<KeyRow | undefined> {
  return tx.maybe<KeyRow>(
    sql`select version, master_id, wrapped from account_key
        where account_id = ${accountId} order by version limit 1`,
  );
}

/** Two that make the first key at once: one waits for the other's commit and uses that one. */
async function makeKey(
  tx: Queryable,
  options: { accountId: string; ring: KeyRing; now: number },
): Promise<KeyRow> {
  const { accountId, ring, now } = options;
  const row = { version: 1, master_id: ring.current };
  const wrapped = encrypt(ring.keys.get(ring.current)!, randomBytes(32), wrapContext(accountId, row));
  await tx.run(
    sql`insert into account_key (account_id, version, master_id, wrapped, created)
        values (${accountId}, ${row.version}, ${row.master_id}, ${wrapped}, ${new Date(now)})
        on conflict do nothing`,
  );
  return (await newestKey(tx, accountId))!;
}

export interface RotateMaster extends LoadKeys {
  /** Account keys per transaction. */
  batch?: number;
  /** Called after every batch with the number done so far. */
  onProgress?: (done: number) => void;
}

/**
 * Changes the master key: adds a new one to the key file and wraps every account key anew. Running servers go on;
 * they find the new key in the file. After an interruption the next call goes on with the key that was begun.
 * Keys from the configuration cannot be added to by us: configure `new,old` first, then this wraps with the new one.
 */
export async function rotateMaster(options: RotateMaster): Promise<{ masterId: string; wrapped: number }> {
  const { db, clock, source, batch = 500 } = options;
  let ring = await ringFor(db, source);
  await db.transaction((tx) => checkRing(tx, { ring, source, now: clock.now() }));
  if ("file" in source && !(await rotationBegun(db, ring))) {
    ring = withNewKey(ring);
    // Known to the database first: from the moment it is in the file, running servers may wrap with it.
    await registerKey(db, ring, clock.now());
    await writeRing(source.file, ring, { replace: true });
  }
  let wrapped = 0;
  for (;;) {
    const done = await db.transaction((tx) => rewrap(tx, ring, batch));
    if (done === 0) return { masterId: ring.current, wrapped };
    wrapped += done;
    options.onProgress?.(wrapped);
  }
}

async function rotationBegun(db: Db, ring: KeyRing): Promise<boolean> {
  const row = await db.one<{ begun: boolean }>(
    sql`select exists (select from account_key where master_id <> ${ring.current}) as begun`,
  );
  return row.begun;
}

async function rewrap(tx: Tx, ring: KeyRing, batch: number): Promise<number> {
  const rows = await tx.rows<KeyRow & { account_id: string }>(
    sql`select account_id, version, master_id, wrapped from account_key where master_id <> ${ring.current}
        order by account_id, version limit ${batch} for update`,
  );
  for (const row of rows) {
    const master = ring.keys.get(row.master_id);
    if (master === undefined)
      throw unreadable(`account key of ${row.account_id} needs master key ${row.master_id}`);
    const key = decrypt(master, row.wrapped, wrapContext(row.account_id, row));
    const next = { version: row.version, master_id: ring.current };
    row.wrapped = encrypt(ring.keys.get(ring.current)!, key, wrapContext(row.account_id, next));
  }
  await tx.run(
    sql`update account_key k set wrapped = n.wrapped, master_id = ${ring.current}
        from unnest(${rows.map((row) => row.account_id)}::text[], ${rows.map((row) => row.version)}::int4[],
                    ${rows.map((row) => row.wrapped)}::bytea[]) as n (account_id, version, wrapped)
        where k.account_id = n.account_id and k.version = n.version`,
  );
  return rows.length;
}

function placeContext(accountId: string, version: number, place: Place): Buffer {
  return contextOf(["secret", accountId, version, place.table, place.row, place.column]);
}

function macContext(accountId: string, place: Place): Buffer {
  return contextOf(["mac", accountId, place.table, place.row, place.column]);
}

function wrapContext(accountId: string, row: { version: number; master_id: string }): Buffer {
  return contextOf(["account_key", accountId, row.version, row.master_id]);
}

function checkContext(masterId: string): Buffer {
  return contextOf(["key_check", masterId]);
}

/** JSON keeps the parts apart: no two places have the same bytes. */
function contextOf(parts: (string | number)[]): Buffer {
  return Buffer.from(JSON.stringify(parts));
}

/** `iv, ciphertext, tag`. The IV is random: one key seals far fewer than the 2^32 texts that this is good for. */
function encrypt(key: Buffer, plain: Buffer, context: Buffer): Buffer {
  const iv = randomBytes(ivBytes);
  const cipher = createCipheriv(algorithm, key, iv).setAAD(context);
  return Buffer.concat([iv, cipher.update(plain), cipher.final(), cipher.getAuthTag()]);
}

function decrypt(key: Buffer, box: Buffer, context: Buffer): Buffer {
  try {
    const decipher = createDecipheriv(algorithm, key, box.subarray(0, ivBytes), { authTagLength: tagBytes });
    decipher.setAAD(context).setAuthTag(box.subarray(-tagBytes));
    return Buffer.concat([decipher.update(box.subarray(ivBytes, -tagBytes)), decipher.final()]);
  } catch (cause) {
    throw unreadable("altered, moved or sealed with another key", cause);
  }
}

function unreadable(inner: string, cause?: unknown): Problem {
  return new Problem("internal", "A stored secret cannot be read", { inner, cause });
}
