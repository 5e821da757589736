import { spawnSync } from "node:child_process";
import { createHash, randomBytes } from "node:crypto";
import {
  chmodSync,
  chownSync,
  closeSync,
  existsSync,
  fsyncSync,
  lchownSync,
  lstatSync,
  mkdirSync,
  openSync,
  readdirSync,
  readFileSync,
  readlinkSync,
  renameSync,
  rmSync,
  statSync,
  symlinkSync,
  writeFileSync,
} from "node:fs";
import { dirname, join } from "node:path";
import { Problem } from "../problem.ts";
import { type Account, giveToFolderOwner, letThrough, reachable } from "./account.ts";
import { type Binaries, runAs } from "./binaries.ts";

/** Passwords of the two roles; 0600 in the data folder. The superuser has none: nobody can log in as it. */
export interface Secrets {
  owner: string;
  runtime: string;
}

/** Database and roles, the same in every installation. */
export const names = {
  database: "metertree",
  /** Owns the database and everything in it: migrations, backups, clones for tests, more roles. No superuser. */
  owner: "metertree_owner",
  /** What the server logs in as: owns nothing, may bypass nothing. */
  runtime: "metertree_runtime",
  /** Exists because every cluster has one; `pg_hba.conf` lets nobody in as it. */
  superuser: "postgres",
} as const;

const notExist = "ENOENT";

/**
 * Where the cluster of `dataDir` is or will be: `<dataDir>/postgres`, or, when `account` cannot get there (a
 * home folder of mode 0700), a folder below `sharedDir` that a link in its place points to. `dataDir` is a real
 * path and exists.
 */
export function placeCluster(options: {
  dataDir: string;
  sharedDir: string;
  account: Account | undefined;
  log: (message: string) => void;
}): string {
  const { dataDir, account } = options;
  const usual = join(dataDir, "postgres");
  const found = lstatSync(usual, { throwIfNoEntry: false });
  if (found?.isSymbolicLink()) return followed(usual);
  if (found !== undefined) checkOwner(usual, account);
  if (account === undefined) return usual;
  letThrough(dataDir, account);
  if (reachable(dataDir, account)) return usual;
  if (found !== undefined) {
    throw new Problem(
      "unavailable",
      `The database runs as user ${account.name}, who may not enter ${dataDir}. Give the folders above it execute permission (chmod o+x), or move the data folder.`,
    );
  }
  return placeOutside(usual, { ...options, account });
}

function followed(link: string): string {
  const target = readlinkSync(link);
  if (existsSync(dirname(target))) return target;
  throw new Problem(
    "unavailable",
    `${link} points to the database in ${target}, which is gone. Put it back (or restore a backup), or remove the link to begin with an empty database.`,
  );
}

function placeOutside(
  usual: string,
  options: { dataDir: string; sharedDir: string; account: Account; log: (message: string) => void },
): string {
  const { dataDir, sharedDir, account, log } = options;
  const base = join(sharedDir, createHash("sha256").update(dataDir).digest("hex").slice(0, 16));
  try {
    mkdirSync(sharedDir, { recursive: true, mode: 0o755 });
    if (existsSync(base)) {
      // The data folder was deleted and made anew. Its old database is not its new one, and not ours to delete.
      const kept = keptName(base);
      renameSync(base, kept);
      log(`an earlier data folder ${dataDir} was deleted without its database, which is kept in ${kept}`);
    }
    mkdirSync(base, { mode: 0o711 });
    chmodSync(base, 0o711);
    writeFileSync(join(base, "data-folder.txt"), `${dataDir}\n`);
    symlinkSync(join(base, "postgres"), usual);
  } catch (error) {
    throw new Problem(
      "unavailable",
      `The database runs as user ${account.name}, who may not enter ${dataDir}, and it cannot be put into ${sharedDir} instead: ${(error as Error).message}. Choose a data folder that every user may enter.`,
      { cause: error },
    );
  }
  if (!reachable(base, account)) {
    throw new Problem(
      "unavailable",
      `User ${account.name}, as whom the database runs, may not enter ${base}.`,
    );
  }
  log(`user ${account.name} may not enter ${dataDir}: the database is in ${base}, ${usual} points there`);
  return join(base, "postgres");
}

function keptName(base: string): string {
  for (let number = 1; ; number++) if (!existsSync(`${base}.old-${number}`)) return `${base}.old-${number}`;
}

/**
 * Makes the cluster unless it exists, checks that these programs fit it and that `account` owns it, and returns
 * the passwords. An interrupted first start leaves nothing that the next one would take for a database.
 */
export function prepareCluster(options: {
  cluster: string;
  dataDir: string;
  binaries: Binaries;
  account: Account | undefined;
  /** Skips the wait for the disk: for databases that may be lost. */
  unsafe: boolean;
  log: (message: string) => void;
}): Secrets {
  const { cluster, dataDir, binaries, account, log } = options;
  const known = readSecrets(dataDir);
  const secrets = known ?? {
    owner: randomBytes(24).toString("hex"),
    runtime: randomBytes(24).toString("hex"),
  };
  if (existsSync(cluster)) {
    checkOwner(cluster, account);
    checkVersion(cluster, binaries);
    if (known === undefined) {
      // Without the file nobody knows the passwords; whoever may write the data folder may set new ones.
      log(`${secretsPath(dataDir)} is missing: the database gets new passwords`);
      single(cluster, binaries, { account, statements: passwordStatements(secrets) });
      writeSecrets(dataDir, secrets);
    }
    return secrets;
  }
  writeSecrets(dataDir, secrets);
  create({ ...options, secrets });
  return secrets;
}

function create(options: {
  cluster: string;
  binaries: Binaries;
  account: Account | undefined;
  unsafe: boolean;
  secrets: Secrets;
}): void {
  const { cluster, binaries, account } = options;
  const fresh = `${cluster}.new`;
  rmSync(fresh, { recursive: true, force: true });
  mkdirSync(fresh, { mode: 0o700 });
  if (account !== undefined) chownSync(fresh, account.uid, account.gid);
  const flags = ["-D", fresh, "-U", names.superuser, "--auth=reject", "--encoding=UTF8", "--data-checksums"];
  // Order by code point, upper and lower case as Unicode says: the same on every machine and system library.
  flags.push("--locale=C", "--locale-provider=builtin", "--builtin-locale=C.UTF-8");
  if (options.unsafe) flags.push("--no-sync");
  const run = spawnSync(join(binaries.bin, "initdb"), flags, { ...runAs(account), encoding: "utf8" });
  if (run.status !== 0) {
    rmSync(fresh, { recursive: true, force: true });
    throw new Problem("unavailable", `The database could not be created in ${cluster}: ${initReason(run)}`);
  }
  writeFileSync(join(fresh, "pg_hba.conf"), accessRules);
  single(fresh, binaries, { account, statements: setUpStatements(options.secrets) });
  renameSync(fresh, cluster);
  if (!options.unsafe) syncFolder(dirname(cluster));
}

function initReason(run: { error?: Error; stderr: string | null; status: number | null }): string {
  const text = (run.error?.message ?? run.stderr ?? "").trim();
  if (text.includes("could not look up effective user ID")) {
    return `user id ${process.geteuid?.()} has no entry in /etc/passwd, which PostgreSQL needs. Add one, or start Metertree as another user.`;
  }
  const lines = text
    .split("\n")
    .filter((line) => /^initdb: (error|detail|hint)|FATAL|PANIC/.test(line.slice(0, 200)));
  return (
    (lines.length > 0 ? lines.slice(-4).join(" ") : text.slice(-500)) || `initdb ended with ${run.status}`
  );
}

const accessRules = `# Written by Metertree. Roles log in with their passwords; the superuser and replication never do.
local all ${names.superuser} reject
local all all scram-sha-256
host  all ${names.superuser} all reject
host  all all 127.0.0.1/32 scram-sha-256
`;

function setUpStatements({ owner, runtime }: Secrets): string[] {
  return [
    `create role ${names.owner} login nosuperuser nobypassrls createdb createrole password '${owner}'`,
    `create role ${names.runtime} login nosuperuser nobypassrls password '${runtime}'`,
    // The owner may act as the other role, watch its sessions and end them.
    `grant ${names.runtime}, pg_monitor to ${names.owner}`,
    `create database ${names.database} owner ${names.owner}`,
    `revoke all on database ${names.database} from public`,
    `grant connect, temporary on database ${names.database} to ${names.runtime}`,
  ];
}

function passwordStatements({ owner, runtime }: Secrets): string[] {
  return [
    `alter role ${names.owner} password '${owner}'`,
    `alter role ${names.runtime} password '${runtime}'`,
  ];
}

/** Runs statements as the superuser in single-user mode, that is: without any server that could be reached. */
function single(
  cluster: string,
  binaries: Binaries,
  work: { account: Account | undefined; statements: string[] },
): void {
  const flags = ["--single", "-D", cluster, "-c", "exit_on_error=on", "-c", "log_min_error_statement=panic"];
  const run = spawnSync(join(binaries.bin, "postgres"), [...flags, "postgres"], {
    ...runAs(work.account),
    input: work.statements.map((statement) => `${statement};\n`).join(""),
    encoding: "utf8",
  });
  if (run.status === 0) return;
  const reason = run.error?.message ?? run.stderr.trim().split("\n").slice(-3).join(" ");
  throw new Problem("unavailable", `The database in ${cluster} could not be set up: ${reason}`);
}

/** Files that somebody copied as root become the account's again; those of a third user are an error. */
function checkOwner(cluster: string, account: Account | undefined): void {
  const { uid } = statSync(cluster);
  const expected = account?.uid ?? process.geteuid?.();
  if (expected === undefined || uid === expected) return;
  if (account !== undefined && uid === 0) {
    chownAll(cluster, account);
    return;
  }
  throw new Problem(
    "unavailable",
    `The database in ${cluster} belongs to user id ${uid}, but would run as ${account?.name ?? `user id ${expected}`}. Start Metertree as that user or as root, or change the owner: chown -R ${account?.name ?? expected} ${cluster}`,
  );
}

function chownAll(path: string, account: Account): void {
  lchownSync(path, account.uid, account.gid);
  if (!lstatSync(path).isDirectory()) return;
  for (const name of readdirSync(path)) chownAll(join(path, name), account);
}

function checkVersion(cluster: string, binaries: Binaries): void {
  const path = join(cluster, "PG_VERSION");
  let text: string;
  try {
    text = readFileSync(path, "latin1").trim().slice(0, 20);
  } catch (error) {
    const { code, message } = error as NodeJS.ErrnoException;
    throw new Problem(
      "unavailable",
      code === notExist
        ? `${cluster} is not a database: it has no file PG_VERSION. Restore the folder, or move it away to begin with an empty database.`
        : `The database in ${cluster} cannot be read: ${message}`,
      { cause: error },
    );
  }
  if (text === String(binaries.major)) return;
  throw new Problem(
    "unavailable",
    /^\d{1,3}$/.test(text)
      ? `The database in ${cluster} was made by PostgreSQL ${text}, but this Metertree comes with ${binaries.major}. Start the Metertree that made it and write a backup, then restore that here into an empty data folder.`
      : `The database in ${cluster} is damaged: ${path} holds ${JSON.stringify(text)} instead of a version. Restore a backup.`,
  );
}

function secretsPath(dataDir: string): string {
  return join(dataDir, "postgres.json");
}

/** The passwords; `undefined` when there is no file. */
export function readSecrets(dataDir: string): Secrets | undefined {
  const path = secretsPath(dataDir);
  let text: string;
  try {
    text = readFileSync(path, "utf8");
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === notExist) return undefined;
    throw new Problem("unavailable", `The database's passwords cannot be read: ${(error as Error).message}`);
  }
  try {
    const { owner, runtime } = JSON.parse(text) as Partial<Secrets>;
    if (isPassword(owner) && isPassword(runtime)) return { owner, runtime };
  } catch {
    // falls through: same remedy
  }
  throw new Problem("unavailable", `${path} is damaged. Remove it: the next start makes new passwords.`);
}

/** Only what we make ourselves: passwords are put into statements. */
function isPassword(value: unknown): value is string {
  return typeof value === "string" && /^[0-9a-f]{48}$/.test(value);
}

function writeSecrets(dataDir: string, secrets: Secrets): void {
  const path = secretsPath(dataDir);
  writeFileSync(`${path}.new`, `${JSON.stringify(secrets)}\n`, { mode: 0o600, flush: true });
  giveToFolderOwner(`${path}.new`);
  renameSync(`${path}.new`, path);
}

function syncFolder(folder: string): void {
  const handle = openSync(folder, "r");
  try {
    fsyncSync(handle);
  } finally {
    closeSync(handle);
  }
}
