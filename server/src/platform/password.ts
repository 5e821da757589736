import { type Argon2Parameters, argon2, randomBytes, timingSafeEqual } from "node:crypto";
import { Problem } from "./problem.ts";

/** Cost of one hash: 19 MiB and 2 passes, the least that OWASP recommends for argon2id. About 50 ms of one core. */
const cost = { memory: 19_456, passes: 2, parallelism: 1 };
const tagLength = 32;

/** Hashes at once. More would only make all of them slow and hold the threads that files and DNS need too. */
const atOnce = 2;
/** Hashes that may wait; beyond, the caller is told to come back. About three seconds of work. */
const waitingMax = 64;

let running = 0;
const waiting: (() => void)[] = [];

/** Hash of a password, with its salt and cost: `$argon2id$v=19$m=19456,t=2,p=1$<salt>$<hash>`. */
export async function hashPassword(password: string): Promise<string> {
  const salt = randomBytes(16);
  const tag = await derive(password, { ...cost, salt });
  return `$argon2id$v=19$m=${cost.memory},t=${cost.passes},p=${cost.parallelism}$${base64(salt)}$${base64(tag)}`;
}

/**
 * Does the password fit the hash? With `null` (nobody of that name, or no password) the answer is no, after the
 * same work, so that time does not tell who exists.
 */
export async function passwordFits(password: string, stored: string | null): Promise<boolean> {
  const { salt, tag, ...parameters } = stored === null ? nobody : parse(stored);
  const found = await derive(password, { ...parameters, salt });
  return timingSafeEqual(found, tag) && stored !== null;
}

const nobody = { ...cost, salt: Buffer.alloc(16, 1), tag: Buffer.alloc(tagLength, 2) };

function parse(stored: string): typeof nobody {
  const [, name, version, settings, salt, tag] = stored.split("$");
  const values = new Map(settings?.split(",").map((part) => part.split("=") as [string, string]));
  if (name !== "argon2id" || version !== "v=19" || salt === undefined || tag === undefined) {
    throw new Error("a stored password hash is not argon2id");
  }
  return {
    memory: Number(values.get("m")),
    passes: Number(values.get("t")),
    parallelism: Number(values.get("p")),
    salt: Buffer.from(salt, "base64"),
    tag: Buffer.from(tag, "base64"),
  };
}

async function derive(password: string, options: typeof cost & { salt: Buffer }): Promise<Buffer> {
  const { salt, ...rest } = options;
  await turn();
  try {
    // The same text can be typed as different code points; NFKC makes them one (NIST SP 800-63B).
    return await argon2id({ ...rest, message: password.normalize("NFKC"), nonce: salt, tagLength });
  } finally {
    const next = waiting.shift();
    if (next === undefined) running--;
    else next();
  }
}

function argon2id(parameters: Argon2Parameters): Promise<Buffer> {
  return new Promise((resolve, reject) => {
    argon2("argon2id", parameters, (error, tag) => (error === null ? resolve(tag) : reject(error)));
  });
}

/** Waits for a slot; who finishes hands its slot to the first who waits. */
async function turn(): Promise<void> {
  if (running < atOnce) {
    running++;
    return;
  }
  if (waiting.length >= waitingMax) {
    throw new Problem("unavailable", "Too many logins at once. Try again in a few seconds.", {
      retryAfterSeconds: 5,
    });
  }
  await new Promise<void>((resolve) => waiting.push(resolve));
}

function base64(bytes: Buffer): string {
  return bytes.toString("base64").replace(/=+$/, "");
}
