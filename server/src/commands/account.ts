import { readFileSync } from "node:fs";
import { text as readAll } from "node:stream/consumers";
import { type Command, Option } from "commander";
import {
  type Account,
  accountCreation,
  accountNamed,
  addCollaborator,
  allAccounts,
  audit,
  createAccount,
  newPasswordHash,
  setPassword,
  viewAccount,
} from "../accounts/accounts.ts";
import { type Role, roles } from "../platform/http/endpoint.ts";
import { Problem } from "../platform/problem.ts";
import { adminCommand, type Context, type Options, type Outcome, table, textOf } from "./context.ts";

/** How the audit log names whoever sits at the command line. */
export const operator = "command-line";

/** `metertree account …`: accounts and their passwords. */
export function registerAccount(program: Command): void {
  const account = program.command("account").description("accounts and subaccounts");
  const create = account
    .command("create")
    .description("make an account; the first one makes the server usable")
    .requiredOption("--name <name>", "name of the account")
    .option("--username <address>", "e-mail address to log in with")
    .option("--subaccount-of <account>", "user name or id of the account that manages it")
    .option("--external-id <id>", "custom identifier, chosen by the managing account")
    .option("--organization", "the account stands for an organisation that people work in")
    .option("--member-of <account>", "user name or id of an organisation that this person works in")
    .addOption(new Option("--role <role>", "role in that organisation").choices(roles).default("editor"));
  adminCommand(withPassword(create), createOne);
  adminCommand(account.command("list").description("show all accounts"), listAll);
  const password = account
    .command("password")
    .description("give an account a new password and end its sessions")
    .argument("<account>", "user name or id");
  adminCommand(withPassword(password), changePassword);
}

function withPassword(command: Command): Command {
  return command
    .option("--password-stdin", "read the password from standard input")
    .option("--password-file <file>", "read the password from a file");
}

async function createOne({ db, clock, config }: Context, options: Options): Promise<Outcome> {
  const fields = checked({
    name: textOf(options, "name"),
    username: textOf(options, "username"),
    custom_identifier: textOf(options, "externalId"),
    is_organization: options.organization === true ? true : undefined,
  });
  const password = await passwordOf(options);
  if (password !== undefined && !fields.username) {
    throw new Problem("invalid", "A password needs a user name to log in with: add --username.");
  }
  const manager = textOf(options, "subaccountOf");
  const organization = textOf(options, "memberOf");
  const now = clock.now();
  const passwordHash =
    password === undefined
      ? undefined
      : await newPasswordHash(password, [fields.name, fields.username ?? null]);
  const created = await db.transaction(async (tx) => {
    const managerId = manager === undefined ? undefined : (await accountNamed(tx, manager)).id;
    const made = await createAccount(tx, {
      ...fields,
      ...(managerId === undefined ? { timezone: config.timezone } : { managerId }),
      ...(passwordHash === undefined ? {} : { passwordHash }),
      now,
    });
    const detail = managerId === undefined ? {} : { manager: managerId };
    await audit(tx, { at: now, accountId: made.id, actor: operator, action: "account.created", detail });
    if (organization !== undefined) await join(tx, { organization, made, role: options.role as Role, now });
    return made;
  });
  const login = created.username === null ? "nobody logs in with it" : `user name ${created.username}`;
  return { json: viewAccount(created), text: `Made account ${created.id}: ${created.name}, ${login}.` };
}

async function join(
  tx: Parameters<typeof addCollaborator>[0],
  { organization, made, role, now }: { organization: string; made: Account; role: Role; now: number },
): Promise<void> {
  const { id, is_organization, name } = await accountNamed(tx, organization);
  if (!is_organization) {
    throw new Problem(
      "invalid",
      `${name} is no organisation that people work in. Make it with --organization.`,
    );
  }
  await addCollaborator(tx, { organizationId: id, accountId: made.id, role, now });
}

/** The same rules as over HTTP; names of the options in the messages. */
function checked(given: Record<string, unknown>) {
  const parsed = accountCreation.safeParse(given);
  if (parsed.success) return parsed.data;
  const names: Record<string, string> = { custom_identifier: "external-id" };
  const faults = parsed.error.issues.map((issue) => {
    const field = String(issue.path[0]);
    return `--${names[field] ?? field} ${issue.message}`;
  });
  throw new Problem("invalid", faults.join("\n"));
}

/** The password that an option points to; never a word of the command line, which others can see. */
async function passwordOf(options: Options): Promise<string | undefined> {
  const file = textOf(options, "passwordFile");
  if (options.passwordStdin === true && file !== undefined) {
    throw new Problem("invalid", "Give the password once: --password-stdin or --password-file.");
  }
  if (options.passwordStdin === true) return withoutLineEnd(await readAll(process.stdin));
  if (file === undefined) return undefined;
  try {
    return withoutLineEnd(readFileSync(file, "utf8"));
  } catch (error) {
    throw new Problem("invalid", `The password file cannot be read: ${(error as Error).message}`);
  }
}

const withoutLineEnd = (text: string) => text.replace(/\r?\n$/, "");

async function listAll({ db }: Context): Promise<Outcome> {
  const accounts = await allAccounts(db);
  const rows = accounts.map((account) => [
    account.id,
    account.manager_id === null ? account.name : `  ${account.name}`,
    account.username ?? "",
    account.custom_identifier ?? "",
  ]);
  return {
    json: accounts.map((account) => viewAccount(account)),
    text: accounts.length === 0 ? "No accounts." : table(["id", "name", "user name", "external id"], rows),
  };
}

async function changePassword({ db, clock }: Context, options: Options, [name]: string[]): Promise<Outcome> {
  const password = await passwordOf(options);
  if (password === undefined) {
    throw new Problem("invalid", "Where is the new password? Use --password-stdin or --password-file.");
  }
  const account = await accountNamed(db, name!);
  if (account.username === null)
    throw new Problem("invalid", `${account.name} has no user name to log in with.`);
  const passwordHash = await newPasswordHash(password, [account.name, account.username]);
  await db.transaction(async (tx) => {
    await setPassword(tx, { accountId: account.id, passwordHash });
    const entry = { at: clock.now(), accountId: account.id, actor: operator, action: "password.changed" };
    await audit(tx, entry);
  });
  return { json: viewAccount(account), text: `${account.username} has a new password and no sessions.` };
}
