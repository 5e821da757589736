import { createAccount, createToken, type NewAccount } from "../../server/src/accounts/accounts.ts";
import type { Deps } from "../../server/src/platform/deps.ts";
import { type Scope, scopes } from "../../server/src/platform/http/endpoint.ts";
import { hashPassword } from "../../server/src/platform/password.ts";

/** An account of a test, with a token of its own. */
export interface TestAccount {
  id: string;
  name: string;
  username: string | null;
  /** A private token with `scopes`, all of them unless told otherwise. */
  token: string;
  tokenId: string;
  password: string;
}

/** A password that the rules accept. */
export const testPassword = "tall ladder near the boathouse";
let hash: Promise<string> | undefined;
let count = 0;

/** Makes an account with a token, as the command line does. `withPassword` lets its user log in. */
export async function newAccount(
  { db, keys, clock }: Pick<Deps, "db" | "keys" | "clock">,
  options: Partial<NewAccount> & { scopes?: readonly Scope[]; withPassword?: boolean } = {},
): Promise<TestAccount> {
  const { scopes: wanted = scopes, withPassword = false, ...given } = options;
  const now = clock.now();
  count++;
  const username = given.username ?? `user${count}@example.test`;
  const passwordHash = withPassword ? await (hash ??= hashPassword(testPassword)) : undefined;
  return db.transaction(async (tx) => {
    const account = await createAccount(tx, {
      name: `Account ${count}`,
      ...given,
      username,
      ...(passwordHash === undefined ? {} : { passwordHash }),
      now,
    });
    const { token, row } = await createToken(tx, keys, { accountId: account.id, scopes: wanted, now });
    return { id: account.id, name: account.name, username, token, tokenId: row.id, password: testPassword };
  });
}

/** Another token of the account. */
export async function newToken(
  { db, keys, clock }: Pick<Deps, "db" | "keys" | "clock">,
  accountId: string,
  wanted: readonly Scope[] = ["basic"],
): Promise<string> {
  const made = await db.transaction((tx) =>
    createToken(tx, keys, { accountId, scopes: wanted, now: clock.now() }),
  );
  return made.token;
}
