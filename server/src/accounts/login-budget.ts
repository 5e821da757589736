import { createHash } from "node:crypto";
import { type Db, sql } from "../platform/db.ts";
import { fold } from "../platform/http/filter.ts";
import { addressKey } from "../platform/http/rate-limit.ts";
import { Problem } from "../platform/problem.ts";

/** At most `burst` tries at once, and one more every `everyMs`. */
interface Budget {
  burst: number;
  everyMs: number;
}

const minute = 60_000;
/**
 * Three budgets, each asked in turn; the narrowest first, so that one address cannot use up the budget of a name and
 * lock its owner out. Together a name gets at most 40 + 60 = 100 tries in any hour, from wherever they come.
 */
const budgets: Record<"pair" | "address" | "name", Budget> = {
  pair: { burst: 10, everyMs: 3 * minute },
  address: { burst: 50, everyMs: minute / 4 },
  name: { burst: 40, everyMs: minute },
};

/** Whose password is tried, from where. */
export interface Try {
  /** As typed; names that nobody has are counted like all others. */
  username: string;
  remoteAddress: string;
}

/**
 * Takes one try of a password from the budgets, before anything is hashed. Throws 429 when one is used up: the same
 * answer for a right password, a wrong one, and a name that does not exist. Kept in the database, so that all
 * processes share it and a restart does not refill it.
 */
export async function takeTry(db: Db, attempt: Try, now: number): Promise<void> {
  for (const [kind, key] of keysOf(attempt)) {
    const { burst, everyMs } = budgets[kind];
    const taken = await db.maybe(
      sql`insert into login_budget (key, due_ms) values (${key}, ${now + everyMs})
          on conflict (key) do update set due_ms = greatest(login_budget.due_ms, ${now}) + ${everyMs}
          where greatest(login_budget.due_ms, ${now}) + ${everyMs} <= ${now + burst * everyMs}
          returning key`,
    );
    if (taken !== undefined) continue;
    throw new Problem("too_many_requests", "Too many tries to log in. Wait a few minutes and try again.", {
      retryAfterSeconds: Math.ceil(everyMs / 1000),
    });
  }
}

/** Gives back the try that a right password took, and forgets budgets that are whole again. */
export async function giveTryBack(db: Db, attempt: Try, now: number): Promise<void> {
  for (const [kind, key] of keysOf(attempt)) {
    await db.run(sql`update login_budget set due_ms = due_ms - ${budgets[kind].everyMs} where key = ${key}`);
  }
  await db.run(
    sql`delete from login_budget where key = any (
          array(select key from login_budget where due_ms < ${now} order by due_ms limit 100 for update skip locked))`,
  );
}

/** Hashed, so that the table holds neither names nor addresses. */
function keysOf({ username, remoteAddress }: Try): ["pair" | "address" | "name", Buffer][] {
  const name = fold(username);
  const address = addressKey(remoteAddress);
  return [
    ["pair", keyOf(["pair", name, address])],
    ["address", keyOf(["address", address])],
    ["name", keyOf(["name", name])],
  ];
}

function keyOf(parts: string[]): Buffer {
  return createHash("sha256").update(JSON.stringify(parts)).digest();
}
