import { execFileSync, spawn, spawnSync } from "node:child_process";
import {
  chmodSync,
  chownSync,
  cpSync,
  existsSync,
  lstatSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  readlinkSync,
  rmSync,
  statSync,
  writeFileSync,
} from "node:fs";
import { join } from "node:path";
import { afterEach, beforeEach, describe, expect, test } from "vitest";
import { type Account, accountOf, chooseAccount, letThrough, reachable } from "./account.ts";
import { findBinaries, installedPackage } from "./binaries.ts";
import { ask, type OtherProcess, openInChild, temporaryFolder, testOptions } from "./harness.ts";
import { openPostgres, type RunningPostgres } from "./postgres.ts";

const isRoot = process.geteuid?.() === 0;
const nobody = accountOf("nobody");
// Tests as another user need this very program to be readable for it; they cannot run in a closed home folder.
const asNobody = isRoot && nobody !== undefined && reachable(import.meta.dirname, nobody);
const canUnshare = isRoot && spawnSync("unshare", ["-m", "true"]).status === 0;

let folder: { path: string; remove(): void };
const databases: RunningPostgres[] = [];
const children: OtherProcess[] = [];

async function open(options: Parameters<typeof openPostgres>[0]): Promise<RunningPostgres> {
  const database = await openPostgres(options);
  databases.push(database);
  return database;
}

function child(...args: Parameters<typeof openInChild>): OtherProcess {
  const other = openInChild(...args);
  children.push(other);
  return other;
}

function makeFolder(
  path: string,
  mode: number,
  owner: { uid: number; gid: number } = { uid: 0, gid: 0 },
): string {
  mkdirSync(path, { recursive: true });
  chmodSync(path, mode);
  if (isRoot) chownSync(path, owner.uid, owner.gid);
  return path;
}

/** A package folder of our own: `links` are what the install script makes. */
function packageIn(parent: string, links: boolean): string {
  const source = join(installedPackage(), "..");
  mkdirSync(parent, { recursive: true });
  cpSync(join(source, "package.json"), join(parent, "package.json"));
  cpSync(join(source, "native"), join(parent, "native"), {
    recursive: true,
    verbatimSymlinks: true,
    filter: (path) => !path.endsWith(".a") && (links || !lstatSync(path).isSymbolicLink()),
  });
  return join(parent, "native");
}

beforeEach(() => {
  folder = temporaryFolder();
});

afterEach(async () => {
  for (const database of databases.splice(0)) await database.stop();
  for (const other of children.splice(0)) {
    if (other.process.exitCode === null) other.tell("stop");
    other.process.stdin!.end();
    await other.ended;
  }
  folder.remove();
});

describe.skipIf(!isRoot)("as root", () => {
  test("below a home folder of mode 0700 the database goes where its user can reach it, and a link says where", async () => {
    const home = makeFolder(join(folder.path, "home"), 0o700);
    const dataDir = join(home, "metertree", "data");
    const sharedDir = join(folder.path, "shared");
    const log: string[] = [];
    const options = { ...testOptions(dataDir, log), sharedDir };
    const first = await open(options);
    await ask(first.ownerUrl, "create table kept as select 1 as one");
    expect(readlinkSync(join(dataDir, "postgres"))).toBe(first.cluster);
    expect(first.cluster.startsWith(`${sharedDir}/`)).toBe(true);
    expect(readFileSync(join(first.cluster, "..", "data-folder.txt"), "utf8")).toBe(`${dataDir}\n`);
    expect(log.join("\n")).toContain(`${dataDir}: the database is in ${join(first.cluster, "..")}`);
    expect(statSync(home).mode & 0o777).toBe(0o700);
    expect(statSync(first.cluster).uid).not.toBe(0);
    const beside = await open({ ...options, mode: "beside" });
    expect(beside).toMatchObject({ owned: false, cluster: first.cluster });
    await first.stop();

    const second = await open(options);
    expect(second.cluster).toBe(first.cluster);
    expect(await ask(second.ownerUrl, "select one from kept")).toEqual([{ one: 1 }]);

    // A copy of the data folder points to the same database, and must not get hold of it.
    execFileSync("cp", ["-a", dataDir, join(home, "copy")]);
    await expect(openPostgres({ ...options, dataDir: join(home, "copy") })).rejects.toThrow(
      `is in use by the Metertree process with process id ${process.pid} `,
    );
    await second.stop();

    // A deleted data folder is a fresh start, but what was in the database is kept.
    rmSync(dataDir, { recursive: true });
    const third = await open(options);
    await expect(ask(third.ownerUrl, "select one from kept")).rejects.toThrow(/does not exist/);
    await third.stop();
    expect(
      existsSync(join(sharedDir, `${readdirSync(sharedDir).find((name) => name.endsWith(".old-1"))}`)),
    ).toBe(true);

    // A link to nowhere is a lost database, not a fresh start.
    rmSync(join(third.cluster, ".."), { recursive: true });
    await expect(openPostgres(options)).rejects.toThrow(/points to the database in .* which is gone/);
  });

  test("a data folder that only root may enter lets the database's user pass, and nobody else", async () => {
    const dataDir = makeFolder(join(folder.path, "data"), 0o700);
    const database = await open({ ...testOptions(dataDir), sharedDir: join(folder.path, "shared") });
    expect(database.cluster).toBe(join(dataDir, "postgres"));
    const { uid, gid } = statSync(database.cluster);
    expect([statSync(dataDir).uid, statSync(dataDir).gid, statSync(dataDir).mode & 0o777]).toEqual([
      0,
      gid,
      0o710,
    ]);
    expect(uid).not.toBe(0);
  });

  test.skipIf(!asNobody)(
    "the folder of another user is served as that user, who can go on alone",
    async () => {
      const dataDir = makeFolder(join(folder.path, "data"), 0o700, nobody);
      const database = await open(testOptions(dataDir));
      expect(statSync(database.cluster).uid).toBe(nobody!.uid);
      await ask(database.ownerUrl, "create table kept as select 1 as one");
      await database.stop();
      const { ownerUrl, error } = await child({ dataDir }, { account: nobody! }).opened;
      expect(error).toBeUndefined();
      expect(await ask(ownerUrl, "select one from kept")).toEqual([{ one: 1 }]);
    },
  );

  test("runs as the user that is named, and says so when that cannot be", async () => {
    const dataDir = join(folder.path, "data");
    await expect(openPostgres({ ...testOptions(dataDir), dbUser: "no-such-user" })).rejects.toThrow(
      /cannot run as user no-such-user: there is no such user/,
    );
    await expect(openPostgres({ ...testOptions(dataDir), dbUser: "root" })).rejects.toThrow(
      /refuses to run as root/,
    );
    const database = await open({ ...testOptions(dataDir), dbUser: "nobody" });
    expect(statSync(database.cluster).uid).toBe(nobody!.uid);
    await database.stop();
    await expect(openPostgres({ ...testOptions(dataDir), dbUser: "daemon" })).rejects.toThrow(
      /belongs to user id \d+, but would run as daemon\..*chown -R daemon /,
    );
  });

  test("files that root copied become the database's again", async () => {
    const dataDir = join(folder.path, "data");
    const first = await open(testOptions(dataDir));
    await ask(first.ownerUrl, "create table kept as select 1 as one");
    await first.stop();
    execFileSync("chown", ["-R", "0:0", dataDir]);
    const second = await open(testOptions(dataDir));
    expect(await ask(second.ownerUrl, "select one from kept")).toEqual([{ one: 1 }]);
  });

  // In a private view of /etc, so that the machine keeps its users.
  test.skipIf(!canUnshare)("makes a system user where there is none", () => {
    const script = `
      set -e
      cp -a /etc "$1/etc"; mount --bind "$1/etc" /etc
      sed -i -e '/^postgres:/d' -e '/^metertree:/d' /etc/passwd
      exec "$2" --input-type=module -e "$3"`;
    const program = `
      import { chooseAccount } from ${JSON.stringify(new URL("./account.ts", import.meta.url).href)};
      const log = [];
      const account = chooseAccount({ wanted: undefined, owners: [0], log: (message) => log.push(message) });
      process.stdout.write(JSON.stringify({ account, log }));`;
    const run = spawnSync(
      "unshare",
      ["-m", "sh", "-c", script, "sh", folder.path, process.execPath, program],
      {
        encoding: "utf8",
      },
    );
    expect(run.stderr).toBe("");
    const { account, log } = JSON.parse(run.stdout) as { account: Account; log: string[] };
    expect(account.name).toBe("metertree");
    expect(account.uid).toBeGreaterThan(0);
    expect(log).toEqual([expect.stringContaining("created the system user metertree")]);
    const before = accountOf("metertree");
    expect(before === undefined || before.uid === account.uid).toBe(true);
  });

  test.skipIf(!canUnshare)("takes nobody where no user can be made", () => {
    const script = `
      set -e
      cp -a /etc "$1/etc"; sed -i -e '/^postgres:/d' -e '/^metertree:/d' "$1/etc/passwd"
      mount --bind "$1/etc" /etc; mount -o remount,bind,ro /etc
      exec "$2" --input-type=module -e "$3"`;
    const program = `
      import { chooseAccount } from ${JSON.stringify(new URL("./account.ts", import.meta.url).href)};
      process.stdout.write(chooseAccount({ wanted: undefined, owners: [], log() {} }).name);`;
    const run = spawnSync(
      "unshare",
      ["-m", "sh", "-c", script, "sh", folder.path, process.execPath, program],
      {
        encoding: "utf8",
      },
    );
    expect([run.stdout, run.stderr]).toEqual(["nobody", ""]);
  });

  test("an unreachable package is copied once, also when two processes do it at once", async () => {
    const native = packageIn(makeFolder(join(folder.path, "home"), 0o700), true);
    const sharedDir = join(folder.path, "shared");
    const others = [1, 2].map((number) =>
      child({ dataDir: join(folder.path, `data-${number}`), native, sharedDir }),
    );
    const opened = await Promise.all(others.map((other) => other.opened));
    for (const { error, ownerUrl } of opened) {
      expect(error).toBeUndefined();
      expect(await ask(ownerUrl, "select 1 as one")).toEqual([{ one: 1 }]);
    }
    const copies = readdirSync(sharedDir);
    expect(copies).toEqual([expect.stringMatching(/^postgres-18\..*-(linux|darwin)-(x64|arm64)$/)]);
    expect(opened.flatMap(({ log }) => log).filter((line) => line.includes("copied PostgreSQL")).length).toBe(
      1,
    );

    const log: string[] = [];
    const account = chooseAccount({ wanted: undefined, owners: [], log: () => undefined });
    const found = findBinaries({ native, cacheDir: sharedDir, account, log: (line) => void log.push(line) });
    expect(found.bin.startsWith(`${sharedDir}/`)).toBe(true);
    expect(log).toEqual([]);
  });
});

describe("the library links that --ignore-scripts leaves out", () => {
  test("are made in place when that is possible", () => {
    const native = packageIn(join(folder.path, "package"), false);
    expect(existsSync(join(native, "lib", "libpq.so.5"))).toBe(false);
    const cacheDir = join(folder.path, "cache");
    const account = chooseAccount({ wanted: undefined, owners: [], log: () => undefined });
    const found = findBinaries({ native, cacheDir, account, log: () => undefined });
    expect(found).toMatchObject({ bin: join(native, "bin"), major: 18 });
    expect(lstatSync(join(native, "lib", "libpq.so.5")).isSymbolicLink()).toBe(true);
    expect(existsSync(cacheDir)).toBe(false);
  });

  test.skipIf(!asNobody)("are made in a copy when the package is read-only", async () => {
    const native = packageIn(join(folder.path, "package"), false);
    const home = makeFolder(join(folder.path, "home"), 0o700, nobody);
    const { error, log, ownerUrl } = await child(
      { dataDir: join(home, "data"), native },
      { account: nobody!, home },
    ).opened;
    expect(error).toBeUndefined();
    expect(log.join("\n")).toMatch(
      /copied PostgreSQL to .*home\/\.cache\/metertree\/postgres-18.*library link/,
    );
    expect(await ask(ownerUrl, "select 1 as one")).toEqual([{ one: 1 }]);
    expect(existsSync(join(native, "lib", "libpq.so.5"))).toBe(false);
  });

  test.skipIf(!asNobody)("cannot be made anywhere: the message says what was tried", async () => {
    const native = packageIn(join(folder.path, "package"), false);
    const dataDir = makeFolder(join(folder.path, "data"), 0o700, nobody);
    const closed = makeFolder(join(folder.path, "closed"), 0o755);
    const { error } = await child({ dataDir, native, sharedDir: join(closed, "x") }, { account: nobody! })
      .opened;
    expect(error).toMatch(/must be copied to .*closed\/x, because .*package\/native cannot be used as it is/);
  });
});

describe.skipIf(!asNobody)("as a normal user", () => {
  test("everything stays in the data folder and belongs to the user alone", async () => {
    const home = makeFolder(join(folder.path, "home"), 0o700, nobody);
    const dataDir = join(home, "data");
    const { error, cluster, ownerUrl } = await child({ dataDir }, { account: nobody! }).opened;
    expect(error).toBeUndefined();
    expect(cluster).toBe(join(dataDir, "postgres"));
    expect(await ask(ownerUrl, "select 1 as one")).toEqual([{ one: 1 }]);
    expect(statSync(dataDir).mode & 0o777).toBe(0o700);
    for (const name of readdirSync(dataDir)) expect(statSync(join(dataDir, name)).uid).toBe(nobody!.uid);
  });

  test("a user id without an entry in the list of users gets the remedy", async () => {
    const account = { uid: 54_321, gid: 54_321 };
    const dataDir = makeFolder(join(folder.path, "data"), 0o700, account);
    const { error } = await child({ dataDir }, { account }).opened;
    expect(error).toMatch(/user id 54321 has no entry in \/etc\/passwd, which PostgreSQL needs\. Add one/);
  });

  test("root's data folder is refused with the remedy", async () => {
    const dataDir = makeFolder(join(folder.path, "data"), 0o755);
    const { error } = await child({ dataDir }, { account: nobody! }).opened;
    expect(error).toMatch(
      /Cannot lock .*metertree\.lock: .*permission denied.*run it as that user or change the owner/i,
    );
  });
});

describe("programs that cannot run here", () => {
  test("those of another system: the message names the way out", () => {
    const native = join(folder.path, "package", "native");
    mkdirSync(join(native, "bin"), { recursive: true });
    writeFileSync(join(native, "pg-symlinks.json"), "[]");
    writeFileSync(join(native, "..", "package.json"), `{ "version": "18.0.0" }`);
    // A program whose loader does not exist, as on a system with another C library.
    writeFileSync(join(native, "bin", "postgres"), "#!/no/such/loader\n", { mode: 0o755 });
    const find = () =>
      findBinaries({
        native,
        cacheDir: join(folder.path, "cache"),
        account: undefined,
        log: () => undefined,
      });
    expect(find).toThrow(/needs the GNU C library, which this system lacks\. Set DATABASE_URL/);
    writeFileSync(join(native, "bin", "postgres"), "#!/bin/sh\necho no such library >&2; exit 127\n");
    rmSync(join(folder.path, "cache"), { recursive: true });
    expect(find).toThrow(/no such library\. Set DATABASE_URL/);
  });
});

describe.skipIf(!isRoot || nobody === undefined)("reachable", () => {
  test("looks at the bits that count for the user, on every folder above", () => {
    const inner = makeFolder(join(folder.path, "outer", "inner"), 0o700, nobody);
    expect(reachable(inner, nobody!)).toBe(true);
    chmodSync(join(folder.path, "outer"), 0o750);
    expect(reachable(inner, nobody!)).toBe(false);
    chownSync(join(folder.path, "outer"), 0, nobody!.gid);
    expect(reachable(inner, nobody!)).toBe(true);
    chmodSync(inner, 0o077);
    expect(reachable(inner, nobody!)).toBe(false);
  });

  test("letThrough opens no folder that has rules of its own", () => {
    for (const mode of [0o750, 0o701, 0o770]) {
      const path = makeFolder(join(folder.path, `of-${mode}`), mode);
      letThrough(path, nobody!);
      expect(statSync(path).mode & 0o777).toBe(mode);
    }
    const theirs = makeFolder(join(folder.path, "theirs"), 0o700, { uid: 1, gid: 1 });
    letThrough(theirs, nobody!);
    expect(statSync(theirs).mode & 0o777).toBe(0o700);
  });
});

test("a note of a process whose number was given away counts as none", async () => {
  const { folderOwner, takeFolder } = await import("./lock.ts");
  const lock = takeFolder(folder.path, { mode: "serve", now: 0 })!;
  expect(folderOwner(folder.path)).toMatchObject({
    pid: process.pid,
    mode: "serve",
    since: "1970-01-01T00:00:00.000Z",
  });
  const sleeper = spawn("sleep", ["60"], { stdio: "ignore" });
  try {
    const note = JSON.parse(readFileSync(join(folder.path, "metertree.pid"), "utf8"));
    writeFileSync(join(folder.path, "metertree.pid"), JSON.stringify({ ...note, pid: sleeper.pid }));
    expect(folderOwner(folder.path)).toBeUndefined();
  } finally {
    sleeper.kill("SIGKILL");
  }
  expect(takeFolder(folder.path, { mode: "serve", now: 0 })).toBeUndefined();
  lock.release();
  takeFolder(folder.path, { mode: "serve", now: 0 })!.release();
});
