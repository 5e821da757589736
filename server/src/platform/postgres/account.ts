import { execFileSync } from "node:child_process";
import { chmodSync, chownSync, readFileSync, realpathSync, statSync } from "node:fs";
import { dirname } from "node:path";
import { Problem } from "../problem.ts";

/** A user of the operating system. */
export interface Account {
  name: string;
  uid: number;
  gid: number;
}

/**
 * The user that PostgreSQL runs as: it refuses to run as root. `undefined` means "as we are" and is the answer
 * whenever we are not root. As root, the first of: `wanted`, the owner of what exists already (`owners`, user ids,
 * root's own left out), `metertree`, `postgres`, a new system user `metertree`, `nobody`.
 */
export function chooseAccount(options: {
  wanted: string | undefined;
  owners: readonly number[];
  log: (message: string) => void;
}): Account | undefined {
  if (process.geteuid?.() !== 0) return undefined;
  if (options.wanted !== undefined) {
    const account = accountOf(options.wanted);
    if (account !== undefined && account.uid !== 0) return account;
    throw new Problem(
      "unavailable",
      `The database cannot run as user ${options.wanted}: ${account === undefined ? "there is no such user" : "PostgreSQL refuses to run as root"}. Name an existing user, or leave the setting out.`,
    );
  }
  for (const uid of options.owners) {
    const account = uid === 0 ? undefined : accountOf(uid);
    if (account !== undefined) return account;
  }
  const account =
    accountOf("metertree") ?? accountOf("postgres") ?? newAccount(options.log) ?? accountOf("nobody");
  if (account !== undefined) return account;
  throw new Problem(
    "unavailable",
    "PostgreSQL refuses to run as root, and there is no other user to run it as. Create one (useradd --system metertree), or start Metertree as a normal user.",
  );
}

/** Looks a user up by name or number. */
export function accountOf(user: string | number): Account | undefined {
  for (const line of readFileSync("/etc/passwd", "utf8").split("\n")) {
    const [name, , uid, gid] = line.split(":");
    if (name === user || (uid !== undefined && Number(uid) === user)) {
      return { name: name!, uid: Number(uid), gid: Number(gid) };
    }
  }
  return accountOfDirectory(user);
}

/** Users that live in a directory service instead of the file. */
function accountOfDirectory(user: string | number): Account | undefined {
  try {
    const ask = (flags: string) =>
      execFileSync("id", [flags, String(user)], {
        encoding: "utf8",
        stdio: ["ignore", "pipe", "ignore"],
      }).trim();
    const name = ask("-un");
    const [uid, gid] = [Number(ask("-u")), Number(ask("-g"))];
    return name !== "" && Number.isInteger(uid) && Number.isInteger(gid) ? { name, uid, gid } : undefined;
  } catch {
    return undefined;
  }
}

const makers: readonly (readonly [string, readonly string[]])[] = [
  ["useradd", ["--system", "--user-group", "--no-create-home", "--shell", "/usr/sbin/nologin", "metertree"]],
  ["adduser", ["-S", "-D", "-H", "-s", "/sbin/nologin", "metertree"]], // Alpine's
];

/** Programs of the administrator are not on everybody's path, not even on every root's. */
const systemPath = `${process.env.PATH ?? ""}:/usr/local/sbin:/usr/sbin:/sbin`;

function newAccount(log: (message: string) => void): Account | undefined {
  for (const [program, flags] of makers) {
    try {
      execFileSync(program, flags, { stdio: "ignore", env: { ...process.env, PATH: systemPath } });
    } catch {
      continue; // not this system's program, or the user list is read-only: the next one, at last `nobody`
    }
    const account = accountOf("metertree");
    if (account === undefined) continue;
    log(
      "created the system user metertree: the database runs as it, because PostgreSQL refuses to run as root",
    );
    return account;
  }
  return undefined;
}

/** May `account` reach `path`, that is: enter it and each folder above? Looks at the mode bits, not at ACLs. */
export function reachable(path: string, account: Account): boolean {
  for (let folder = realpathSync(path); ; folder = dirname(folder)) {
    const { uid, gid, mode } = statSync(folder);
    const bits = uid === account.uid ? mode >> 6 : gid === account.gid ? mode >> 3 : mode;
    if ((bits & 1) === 0) return false;
    if (folder === dirname(folder)) return true;
  }
}

/**
 * Lets `account`, and nobody else, pass through a folder of root's that is closed to everybody (mode 0700, as
 * made by default): it becomes 0710 with the account's group. Folders with rules of their own stay as they are.
 */
export function letThrough(folder: string, account: Account): void {
  const { uid, gid, mode } = statSync(folder);
  const isClosed = (mode & 0o067) === 0 && (gid === 0 || (mode & 0o010) === 0);
  if (process.geteuid?.() !== 0 || uid !== 0 || !isClosed || !reachable(dirname(folder), account)) return;
  chownSync(folder, 0, account.gid);
  chmodSync(folder, 0o710);
}

/** What root writes into another user's folder is that user's, who may start the server next time. */
export function giveToFolderOwner(path: string): void {
  if (process.geteuid?.() !== 0) return;
  const { uid, gid } = statSync(dirname(path));
  chownSync(path, uid, gid);
}
