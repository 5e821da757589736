import type { Command } from "commander";
import { accountNamed, audit, createToken, revokeToken, type Token, tokensOf } from "../accounts/accounts.ts";
import { type Scope, scopes } from "../platform/http/endpoint.ts";
import { formatTimestamp } from "../platform/http/schema.ts";
import { Problem } from "../platform/problem.ts";
import { operator } from "./account.ts";
import { adminCommand, type Context, type Options, type Outcome, table, textOf } from "./context.ts";

/** `metertree token …`: private access tokens. */
export function registerToken(program: Command): void {
  const token = program.command("token").description("private access tokens");
  const create = token
    .command("create")
    .description("make a token; it is shown only now")
    .requiredOption("--account <account>", "user name or id of the account")
    .option("--scopes <list>", `rights, with commas between them: ${scopes.join(", ")}`, "basic")
    .option("--name <name>", "what it is for")
    .option("--days <number>", "ends after so many days");
  adminCommand(create, createOne);
  const list = token
    .command("list")
    .description("show the tokens of an account, masked")
    .requiredOption("--account <account>", "user name or id of the account");
  adminCommand(list, listAll);
  const revoke = token
    .command("revoke")
    .description("end a token at once")
    .argument("<id>", "id of the token")
    .requiredOption("--account <account>", "user name or id of the account");
  adminCommand(revoke, revokeOne);
}

async function createOne({ db, clock, keys }: Context, options: Options): Promise<Outcome> {
  const wanted = scopesOf(textOf(options, "scopes")!);
  const account = await accountNamed(db, textOf(options, "account")!);
  const now = clock.now();
  const expires = expiryOf(textOf(options, "days"), now);
  const opened = await keys();
  const name = textOf(options, "name") ?? null;
  const made = await db.transaction(async (tx) => {
    const result = await createToken(tx, opened, {
      accountId: account.id,
      name,
      scopes: wanted,
      expires,
      now,
    });
    await audit(tx, {
      at: now,
      accountId: account.id,
      actor: operator,
      action: "token.created",
      subject: result.row.id,
      detail: { scopes: wanted },
    });
    return result;
  });
  return { json: { ...view(made.row), token: made.token }, text: made.token };
}

function scopesOf(list: string): Scope[] {
  const wanted = list.split(",").map((word) => word.trim());
  const unknown = wanted.filter((word) => !scopes.includes(word as Scope));
  if (unknown.length === 0) return [...new Set(wanted)] as Scope[];
  throw new Problem(
    "invalid",
    `--scopes: ${unknown.join(", ")} is no scope. There are ${scopes.join(", ")}.`,
  );
}

function expiryOf(days: string | undefined, now: number): number | null {
  if (days === undefined) return null;
  if (/^\d{1,5}$/.test(days) && Number(days) > 0) return now + Number(days) * 86_400_000;
  throw new Problem("invalid", "--days must be a whole number from 1 to 99999.");
}

function view(row: Token) {
  return {
    _id: row.id,
    account: row.account_id,
    name: row.name,
    scopes: row.scopes,
    created: formatTimestamp(row.created),
    expires: row.expires === null ? null : formatTimestamp(row.expires),
    last_used: row.last_used === null ? null : formatTimestamp(row.last_used),
  };
}

async function listAll({ db }: Context, options: Options): Promise<Outcome> {
  const account = await accountNamed(db, textOf(options, "account")!);
  const tokens = await tokensOf(db, account.id);
  const rows = tokens.map((row) => [
    row.id,
    `…${row.ending}`,
    row.scopes.join(","),
    row.last_used === null ? "never used" : `used ${formatTimestamp(row.last_used)}`,
    row.name ?? "",
  ]);
  return {
    json: tokens.map((row) => ({ ...view(row), token: `********${row.ending}` })),
    text: tokens.length === 0 ? "No tokens." : table(["id", "ends in", "scopes", "last use", "name"], rows),
  };
}

async function revokeOne({ db, clock }: Context, options: Options, [id]: string[]): Promise<Outcome> {
  const account = await accountNamed(db, textOf(options, "account")!);
  const now = clock.now();
  await db.transaction(async (tx) => {
    await revokeToken(tx, db, { accountId: account.id, id: id!, now });
    await audit(tx, {
      at: now,
      accountId: account.id,
      actor: operator,
      action: "token.revoked",
      subject: id!,
    });
  });
  return { json: { _id: id, revoked: true }, text: `Token ${id} is revoked.` };
}
