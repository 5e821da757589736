import { createHmac, randomBytes } from "node:crypto";
import { chmod, link, mkdir, open, readFile, rename, rm, stat } from "node:fs/promises";
import { dirname } from "node:path";
import { Problem } from "./problem.ts";

/** The master keys of an installation: new things are sealed with `current`, old ones open with any. */
export interface KeyRing {
  current: string;
  /** 32 bytes each, by id. */
  keys: ReadonlyMap<string, Buffer>;
}

const keyBytes = 32;

/** Id of a master key. It follows from the key, so that a wrong key can never pass under the right name. */
function idOf(key: Buffer): string {
  return createHmac("sha256", key).update("metertree master key id").digest("hex").slice(0, 12);
}

/** A ring with one new key. */
export function newRing(): KeyRing {
  return ringOf([randomBytes(keyBytes)]);
}

/** The same ring with a new key in front. */
export function withNewKey(ring: KeyRing): KeyRing {
  const fresh = randomBytes(keyBytes);
  return { current: idOf(fresh), keys: new Map([[idOf(fresh), fresh], ...ring.keys]) };
}

function ringOf(keys: Buffer[]): KeyRing {
  return { current: idOf(keys[0]!), keys: new Map(keys.map((key) => [idOf(key), key])) };
}

/**
 * Reads a ring: either the JSON of the key file, or keys of 32 bytes in hex or base64 with commas between, the
 * current one first. `origin` names the place in messages.
 */
export function parseRing(text: string, origin: string): KeyRing {
  const trimmed = text.trim();
  const parts = trimmed.startsWith("{") ? keysOfJson(trimmed, origin) : trimmed.split(",");
  const keys = parts.map((part) => decodeKey(part.trim(), origin));
  return ringOf(keys);
}

function keysOfJson(text: string, origin: string): string[] {
  let value: { current?: unknown; keys?: unknown };
  try {
    value = JSON.parse(text);
  } catch {
    throw unusable(`${origin} is not valid JSON.`);
  }
  if (typeof value.keys !== "object" || value.keys === null || typeof value.current !== "string") {
    throw unusable(`${origin} lacks "current" or "keys".`);
  }
  const byId = new Map(Object.entries(value.keys as Record<string, unknown>));
  for (const [id, key] of byId) {
    if (typeof key !== "string" || idOf(decodeKey(key, origin)) !== id) {
      throw unusable(`${origin}: key ${id} was altered.`);
    }
  }
  const first = byId.get(value.current);
  if (first === undefined)
    throw unusable(`${origin}: the current key ${value.current} is not among the keys.`);
  byId.delete(value.current);
  return [first, ...byId.values()] as string[];
}

function decodeKey(text: string, origin: string): Buffer {
  const key = /^[0-9a-fA-F]{64}$/.test(text) ? Buffer.from(text, "hex") : Buffer.from(text, "base64");
  if (key.length !== keyBytes) {
    throw unusable(`${origin} must hold keys of ${keyBytes} bytes in hex or base64, commas between them.`);
  }
  return key;
}

function unusable(what: string): Problem {
  return new Problem(
    "unavailable",
    `${what} Put back the keys from your backup; without them stored secrets are lost.`,
  );
}

/**
 * Reads the key file; `undefined` when there is none. A file that others may read is refused: whoever reads it can
 * read every secret of a stolen backup.
 */
export async function readRing(file: string): Promise<KeyRing | undefined> {
  let mode: number;
  let text: string;
  try {
    mode = (await stat(file)).mode;
    text = await readFile(file, "utf8");
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === "ENOENT") return undefined;
    throw new Problem("unavailable", `The key file ${file} cannot be read: ${(error as Error).message}`);
  }
  if (process.platform !== "win32" && (mode & 0o077) !== 0) {
    const octal = (mode & 0o777).toString(8).padStart(4, "0");
    throw new Problem(
      "unavailable",
      `Others may read the key file ${file} (mode ${octal}). Run: chmod 600 ${file}`,
    );
  }
  return parseRing(text, `The key file ${file}`);
}

/**
 * Writes the key file so that it is whole or absent after a crash, and on disk before anything is sealed with it.
 * With `replace: false` an existing file wins and `false` is returned.
 */
export async function writeRing(
  file: string,
  ring: KeyRing,
  options: { replace: boolean },
): Promise<boolean> {
  await mkdir(dirname(file), { recursive: true });
  const fresh = `${file}.${process.pid}.${randomBytes(4).toString("hex")}.new`;
  const keys = Object.fromEntries([...ring.keys].map(([id, key]) => [id, key.toString("base64")]));
  const handle = await open(fresh, "wx", 0o600);
  try {
    await handle.writeFile(`${JSON.stringify({ current: ring.current, keys }, null, 2)}\n`);
    await handle.sync();
  } finally {
    await handle.close();
  }
  try {
    await chmod(fresh, 0o600);
    if (options.replace) await rename(fresh, file);
    else await link(fresh, file);
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === "EEXIST") return false;
    throw error;
  } finally {
    await rm(fresh, { force: true });
  }
  await syncFolder(dirname(file));
  return true;
}

async function syncFolder(folder: string): Promise<void> {
  if (process.platform === "win32") return;
  const handle = await open(folder, "r");
  try {
    await handle.sync();
  } finally {
    await handle.close();
  }
}
