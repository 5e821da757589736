import { execFileSync, spawn, spawnSync } from "node:child_process";
import {
  appendFileSync,
  existsSync,
  mkdirSync,
  readFileSync,
  rmSync,
  statSync,
  writeFileSync,
} from "node:fs";
import { basename, join } from "node:path";
import { afterAll, afterEach, beforeAll, describe, expect, test, vi } from "vitest";
import { ask, type OtherProcess, openInChild, temporaryFolder, testOptions } from "./harness.ts";
import { limitLog, logBytesMax } from "./log-file.ts";
import { openPostgres, type RunningPostgres } from "./postgres.ts";
import { livePostmaster, readPidFile, stopPostmaster } from "./postmaster.ts";
import { processFacts } from "./process.ts";

const isRoot = process.geteuid?.() === 0;
const patience = { timeout: 15_000, interval: 20 };

let folder: { path: string; remove(): void };
let made: { path: string; remove(): void };
const children: OtherProcess[] = [];
const databases: RunningPostgres[] = [];

/** Opens here; stopped after the test whatever happens. */
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

/** A data folder with a stopped database that holds one row; making it anew costs a second. */
function dataFolder(): string {
  folder = temporaryFolder();
  const path = join(folder.path, "data");
  execFileSync("cp", ["-a", join(made.path, "data"), path]);
  return path;
}

beforeAll(async () => {
  made = temporaryFolder();
  const database = await openPostgres(testOptions(join(made.path, "data")));
  await ask(database.ownerUrl, "create table kept as select 1 as one");
  await database.stop();
});

afterEach(async () => {
  for (const database of databases.splice(0)) await database.stop();
  for (const other of children.splice(0)) {
    other.process.kill("SIGKILL");
    await other.ended;
  }
  if (folder === undefined) return;
  const cluster = join(folder.path, "data", "postgres");
  const orphan = existsSync(cluster) ? livePostmaster(cluster) : undefined;
  if (orphan !== undefined) await stopPostmaster(orphan, cluster, 0);
  folder.remove();
});

afterAll(() => made.remove());

describe("first start", () => {
  test("makes a database in Unicode with checksums, and roles that may as little as possible", async () => {
    folder = temporaryFolder();
    const dataDir = join(folder.path, "data");
    const log: string[] = [];
    const database = await open(testOptions(dataDir, log));
    const settings = await ask(
      database.runtimeUrl,
      `select current_user, current_setting('server_encoding') as encoding, current_setting('data_checksums') as sums,
              current_setting('timezone') as zone, current_setting('jit') as jit,
              current_setting('max_connections') as connections, current_setting('shared_buffers') as buffers,
              current_setting('fsync') as fsync, current_setting('wal_compression') as compression,
              current_setting('max_wal_size') as wal, current_setting('password_encryption') as passwords,
              lower('ÅÄÖ') as lower, 'Z' < 'a' as by_code_point`,
    );
    expect(settings).toEqual([
      {
        current_user: "metertree_runtime",
        encoding: "UTF8",
        sums: "on",
        zone: "UTC",
        jit: "off",
        connections: "100",
        buffers: "16MB",
        fsync: "off",
        compression: "off",
        wal: "2GB",
        passwords: "scram-sha-256",
        lower: "åäö",
        by_code_point: true,
      },
    ]);
    const roles = await ask(
      database.ownerUrl,
      `select rolname, rolsuper, rolbypassrls, rolreplication, rolcreatedb,
              (select count(*)::int from pg_database where datdba = r.oid) as owns
       from pg_roles r where rolcanlogin order by rolname`,
    );
    const plain = { rolsuper: false, rolbypassrls: false, rolreplication: false };
    expect(roles).toEqual([
      { rolname: "metertree_owner", ...plain, rolcreatedb: true, owns: 1 },
      { rolname: "metertree_runtime", ...plain, rolcreatedb: false, owns: 0 },
      {
        rolname: "postgres",
        rolsuper: true,
        rolbypassrls: true,
        rolreplication: true,
        rolcreatedb: true,
        owns: 3,
      },
    ]);
    await expect(ask(database.runtimeUrl, "create table mine (one int)")).rejects.toThrow(
      /permission denied/,
    );
    await expect(ask(database.ownerUrl, "select pg_read_file('/etc/passwd')")).rejects.toThrow(
      /permission denied/,
    );
    const superuser = new URL(database.ownerUrl);
    superuser.username = "postgres";
    await expect(ask(superuser.href, "select 1")).rejects.toThrow(/pg_hba.conf rejects/);
    const guess = new URL(database.ownerUrl);
    guess.password = "guess";
    await expect(ask(guess.href, "select 1")).rejects.toThrow(/password authentication failed/);

    expect(statSync(join(dataDir, "postgres.json")).mode & 0o777).toBe(0o600);
    expect(statSync(join(dataDir, "metertree.lock")).mode & 0o777).toBe(0o600);
    expect(statSync(database.cluster).mode & 0o777).toBe(0o700);
    const { owner, runtime } = JSON.parse(readFileSync(join(dataDir, "postgres.json"), "utf8"));
    for (const secret of [owner, runtime]) {
      expect(log.join("\n")).not.toContain(secret);
      expect(readFileSync(join(dataDir, "postgres.log"), "utf8")).not.toContain(secret);
    }
    expect(database).toMatchObject({ owned: true, version: expect.stringMatching(/^18\.\d+$/) });
  });

  test("an interrupted one leaves nothing that the next takes for a database", async () => {
    folder = temporaryFolder();
    const dataDir = join(folder.path, "data");
    mkdirSync(join(dataDir, "postgres.new", "base"), { recursive: true });
    writeFileSync(join(dataDir, "postgres.new", "PG_VERSION"), "18\n");
    const database = await open(testOptions(dataDir));
    expect(await ask(database.runtimeUrl, "select 1 as one")).toEqual([{ one: 1 }]);
    expect(existsSync(join(dataDir, "postgres.new"))).toBe(false);
  });
});

describe("later starts", () => {
  test("find the data again and free the folder when stopped, as often as one likes", async () => {
    const dataDir = dataFolder();
    for (let round = 0; round < 3; round++) {
      const database = await open(testOptions(dataDir));
      expect(await ask(database.ownerUrl, "select one from kept")).toEqual([{ one: 1 }]);
      await database.stop();
      await database.stop();
      expect(livePostmaster(database.cluster)).toBeUndefined();
      await expect(ask(database.ownerUrl, "select 1")).rejects.toThrow(/ENOENT|ECONNREFUSED/);
    }
  });

  test("use a port of 127.0.0.1 where the path is too long for a socket", async () => {
    const dataDir = join(dataFolder(), "..", "d".repeat(90));
    execFileSync("mv", [join(folder.path, "data"), dataDir]);
    const database = await open(testOptions(dataDir));
    expect(new URL(database.runtimeUrl).searchParams.has("host")).toBe(false);
    expect(new URL(database.runtimeUrl).hostname).toBe("127.0.0.1");
    expect(await ask(database.ownerUrl, "select one from kept")).toEqual([{ one: 1 }]);
  });

  test("make new passwords when their file is gone", async () => {
    const dataDir = dataFolder();
    const before = readFileSync(join(dataDir, "postgres.json"), "utf8");
    rmSync(join(dataDir, "postgres.json"));
    const log: string[] = [];
    const database = await open(testOptions(dataDir, log));
    expect(await ask(database.ownerUrl, "select one from kept")).toEqual([{ one: 1 }]);
    expect(readFileSync(join(dataDir, "postgres.json"), "utf8")).not.toBe(before);
    expect(log.join()).toContain("new passwords");
  });

  test("move a log that grew too large", async () => {
    const dataDir = dataFolder();
    writeFileSync(join(dataDir, "postgres.log"), Buffer.alloc(logBytesMax + 1, "x"));
    await open(testOptions(dataDir));
    expect(statSync(join(dataDir, "postgres.log.1")).size).toBe(logBytesMax + 1);
    expect(statSync(join(dataDir, "postgres.log")).size).toBeLessThan(10_000);
  });

  test("limit the log while the server writes it", async () => {
    const dataDir = dataFolder();
    const database = await open(testOptions(dataDir));
    const path = join(dataDir, "postgres.log");
    appendFileSync(path, Buffer.alloc(logBytesMax, "x"));
    limitLog(path);
    expect(statSync(path).size).toBe(0);
    expect(statSync(`${path}.1`).size).toBeGreaterThan(logBytesMax);
    await expect(ask(database.ownerUrl, "select 'secret' from nowhere")).rejects.toThrow(/does not exist/);
    const text = readFileSync(path, "utf8");
    expect(text).toMatch(/^\d{4}-.* ERROR: {2}relation "nowhere" does not exist at character 22\n$/); // no zeros, no statement
  });

  test.skipIf(spawnSync("psql", ["--version"]).status !== 0)(
    "psql connects with the same address",
    async () => {
      const database = await open(testOptions(dataFolder()));
      const said = execFileSync("psql", [database.ownerUrl, "-Atc", "select current_user, one from kept"], {
        encoding: "utf8",
      });
      expect(said).toBe("metertree_owner|1\n");
    },
  );
});

describe("one data folder", () => {
  test("belongs to one server: a second is refused with the process id and the folder", async () => {
    const dataDir = dataFolder();
    const first = child({ dataDir });
    const { ownerUrl } = await first.opened;
    await expect(openPostgres(testOptions(dataDir))).rejects.toThrow(
      new RegExp(
        `${basename(folder.path)}/data is in use by the Metertree server with process id ${first.process.pid} since`,
      ),
    );
    expect(await ask(ownerUrl, "select one from kept")).toEqual([{ one: 1 }]);
  });

  test("belongs to one server within a process, too", async () => {
    const dataDir = dataFolder();
    const first = await open(testOptions(dataDir));
    await expect(openPostgres(testOptions(dataDir))).rejects.toThrow(`process id ${process.pid} `);
    await first.stop();
    expect(await ask((await open(testOptions(dataDir))).ownerUrl, "select one from kept")).toEqual([
      { one: 1 },
    ]);
  });

  test("can be used beside the server: the command leaves it running", async () => {
    const dataDir = dataFolder();
    const { ownerUrl } = await child({ dataDir }).opened;
    const beside = await open({ ...testOptions(dataDir), mode: "beside" });
    expect(beside).toMatchObject({ owned: false, ownerUrl, version: expect.stringMatching(/^18\.\d+$/) });
    expect(await ask(beside.ownerUrl, "select one from kept")).toEqual([{ one: 1 }]);
    await beside.stop();
    expect(await ask(ownerUrl, "select one from kept")).toEqual([{ one: 1 }]);
  });

  test("can be used without a server: the command starts and stops the database", async () => {
    const dataDir = dataFolder();
    const beside = await open({ ...testOptions(dataDir), mode: "beside" });
    expect(beside.owned).toBe(true);
    expect(await ask(beside.ownerUrl, "select one from kept")).toEqual([{ one: 1 }]);
    await beside.stop();
    expect(livePostmaster(beside.cluster)).toBeUndefined();
  });

  test("two commands and a server take turns", async () => {
    const dataDir = dataFolder();
    const first = child({ dataDir, mode: "beside" });
    await first.opened;
    const second = child({ dataDir, mode: "beside" });
    first.tell("stop");
    expect(await second.opened).toMatchObject({ owned: true });
    const server = child({ dataDir, mode: "serve" });
    second.tell("stop");
    expect(await server.opened).toMatchObject({ owned: true });
  });
});

describe("crashes", () => {
  test("kill -9 of Node: the orphan is stopped, the next start has every acknowledged row", async () => {
    const dataDir = dataFolder();
    const first = child({ dataDir, settings: { shared_buffers: "16MB" } });
    const { ownerUrl, cluster } = await first.opened;
    await ask(ownerUrl, "create table numbered (number int)");
    await ask(ownerUrl, "insert into numbered select generate_series(1, 10000)");
    first.process.kill("SIGKILL");
    await first.ended;
    const orphan = livePostmaster(cluster);
    expect(orphan).toBeDefined();

    const log: string[] = [];
    const second = await open(testOptions(dataDir, log));
    expect(log.join()).toContain(`process ${orphan}`);
    expect(processFacts(orphan!)).toBeUndefined();
    expect(second.startedMs).toBeLessThan(10_000);
    expect(await ask(second.ownerUrl, "select count(*)::int from numbered")).toEqual([{ count: 10_000 }]);
  });

  test("kill -9 of Node and of the database: the next start recovers", async () => {
    const dataDir = dataFolder();
    const first = child({ dataDir, settings: { shared_buffers: "16MB" } });
    const { ownerUrl, cluster } = await first.opened;
    await ask(ownerUrl, "create table numbered as select generate_series(1, 10000) as number");
    first.process.kill("SIGKILL");
    process.kill(livePostmaster(cluster)!, "SIGKILL");
    await first.ended;
    const second = await open(testOptions(dataDir));
    expect(await ask(second.ownerUrl, "select count(*)::int from numbered")).toEqual([{ count: 10_000 }]);
  });

  test("kill -9 of everything but one slow session: the start waits until its memory is free", async () => {
    const dataDir = dataFolder();
    const first = child({ dataDir });
    const { cluster } = await first.opened;
    const postmaster = livePostmaster(cluster)!;
    const session = Number(
      execFileSync("pgrep", ["-P", String(postmaster)], { encoding: "utf8" }).split("\n")[0],
    );
    process.kill(session, "SIGSTOP"); // does not notice that the others are gone
    first.process.kill("SIGKILL");
    process.kill(postmaster, "SIGKILL");
    await first.ended;
    const starting = open(testOptions(dataDir));
    const serverLog = () => readFileSync(join(dataDir, "postgres.log"), "utf8");
    await vi.waitFor(() => expect(serverLog()).toContain("pre-existing shared memory block"), patience);
    process.kill(session, "SIGCONT");
    expect(await ask((await starting).ownerUrl, "select one from kept")).toEqual([{ one: 1 }]);
  });

  test("kill -9 of the database: the server starts it again at the same address", async () => {
    const dataDir = dataFolder();
    const log: string[] = [];
    const database = await open(testOptions(dataDir, log));
    for (let round = 1; round <= 2; round++) {
      const pid = livePostmaster(database.cluster)!;
      process.kill(pid, "SIGKILL");
      await vi.waitFor(
        () => expect(log.filter((line) => line.includes("again")).length).toBe(round * 2),
        patience,
      );
      expect(livePostmaster(database.cluster)).not.toBe(pid);
      expect(await ask(database.ownerUrl, "select one from kept")).toEqual([{ one: 1 }]);
    }
    expect(log.join()).toContain("ended unexpectedly (SIGKILL)");
  });

  test("an exception that nobody catches stops the database", async () => {
    const dataDir = dataFolder();
    const other = child({ dataDir });
    const { cluster } = await other.opened;
    other.tell("fail");
    expect(await other.ended).toBe(1);
    expect(other.errors()).toContain("nobody catches this");
    await vi.waitFor(() => expect(livePostmaster(cluster)).toBeUndefined(), patience);
    expect(existsSync(join(cluster, "postmaster.pid"))).toBe(false); // it ended in order
  });

  test("Ctrl-C reaches the server alone, which uses the database once more before it stops it", async () => {
    const dataDir = dataFolder();
    const other = child({ dataDir }, { ownGroup: true });
    const { cluster } = await other.opened;
    process.kill(-other.process.pid!, "SIGINT");
    expect([await other.ended, other.errors()]).toEqual([7, ""]);
    expect(livePostmaster(cluster)).toBeUndefined();
    const database = await open(testOptions(dataDir));
    expect(await ask(database.ownerUrl, "select one from drained")).toEqual([{ one: 1 }]);
  });
});

describe("a stale postmaster.pid", () => {
  /** What a killed server leaves, naming `pid`. */
  function leave(dataDir: string, pid: number): void {
    const cluster = join(dataDir, "postgres");
    const text = `${pid}\n${cluster}\n1700000000\n5432\n${cluster}\n\n  1234567   7654321\nready   \n`;
    writeFileSync(join(cluster, "postmaster.pid"), text);
    writeFileSync(join(cluster, ".s.PGSQL.5432.lock"), text);
    const { uid, gid } = statSync(cluster);
    for (const name of ["postmaster.pid", ".s.PGSQL.5432.lock"]) {
      execFileSync("chown", [`${uid}:${gid}`, join(cluster, name)]);
    }
  }

  test("of a process that is gone", async () => {
    const dataDir = dataFolder();
    const gone = spawnSync("true").pid;
    leave(dataDir, gone);
    const database = await open(testOptions(dataDir));
    expect(await ask(database.ownerUrl, "select one from kept")).toEqual([{ one: 1 }]);
  });

  test("whose number another process of the same user has now: that one is left alone", async () => {
    const dataDir = dataFolder();
    const { uid, gid } = statSync(join(dataDir, "postgres"));
    const stranger = spawn("sleep", ["60"], { uid, gid, stdio: "ignore" });
    try {
      leave(dataDir, stranger.pid!);
      const database = await open(testOptions(dataDir));
      expect(await ask(database.ownerUrl, "select one from kept")).toEqual([{ one: 1 }]);
      expect(processFacts(stranger.pid!)?.command).toBe("sleep 60");
    } finally {
      stranger.kill("SIGKILL");
    }
  });

  test("of a zombie", async () => {
    const dataDir = dataFolder();
    // The shell starts a process and becomes one that never collects it.
    const { uid, gid } = statSync(join(dataDir, "postgres"));
    const parent = spawn("sh", ["-c", "true & echo $!; exec sleep 60"], {
      uid,
      gid,
      stdio: ["ignore", "pipe", "ignore"],
    });
    try {
      const zombie = Number(await new Promise((resolve) => parent.stdout!.once("data", resolve)));
      await vi.waitFor(() => expect(processFacts(zombie)).toBeUndefined(), patience);
      leave(dataDir, zombie);
      const database = await open(testOptions(dataDir));
      expect(await ask(database.ownerUrl, "select one from kept")).toEqual([{ one: 1 }]);
    } finally {
      parent.kill("SIGKILL");
    }
  });

  test("does not let a command attach to nothing", async () => {
    const dataDir = dataFolder();
    leave(dataDir, process.pid);
    const beside = await open({ ...testOptions(dataDir), mode: "beside" });
    expect(beside.owned).toBe(true);
    expect(await ask(beside.ownerUrl, "select one from kept")).toEqual([{ one: 1 }]);
  });

  test("half written counts as none", () => {
    folder = temporaryFolder();
    for (const text of ["", "\n", "12", "abc\n", "-42\n/x\n"]) {
      writeFileSync(join(folder.path, "postmaster.pid"), text);
      expect(readPidFile(folder.path)?.status ?? "").toBe("");
    }
  });
});

describe("a start that fails says why", () => {
  async function failing(dataDir: string, settings: Record<string, string> = {}): Promise<string> {
    const options = testOptions(dataDir);
    const error = await open({ ...options, settings: { ...options.settings, ...settings } }).then(
      () => undefined,
      (failure: Error) => failure,
    );
    expect(error?.name).toBe("Problem");
    // The folder is free again.
    expect(existsSync(join(dataDir, "metertree.pid"))).toBe(false);
    return error!.message;
  }

  test("a setting that PostgreSQL does not take", async () => {
    const message = await failing(dataFolder(), { shared_buffers: "plenty" });
    expect(message).toMatch(/did not start: FATAL:\s+invalid value for parameter "shared_buffers": "plenty"/);
  });

  test.each([
    ["garbage\n", /is damaged: .*PG_VERSION holds "garbage" instead of a version\. Restore a backup/],
    ["", /is damaged: .*PG_VERSION holds ""/],
    ["17\n", /was made by PostgreSQL 17, but this Metertree comes with 18.*write a backup.*restore/],
  ])("PG_VERSION %j", async (text, expected) => {
    const dataDir = dataFolder();
    writeFileSync(join(dataDir, "postgres", "PG_VERSION"), text);
    expect(await failing(dataDir)).toMatch(expected);
  });

  test("a folder that is no database", async () => {
    const dataDir = dataFolder();
    rmSync(join(dataDir, "postgres", "PG_VERSION"));
    expect(await failing(dataDir)).toMatch(/is not a database: it has no file PG_VERSION/);
  });

  test("a damaged control file", async () => {
    const dataDir = dataFolder();
    writeFileSync(join(dataDir, "postgres", "global", "pg_control"), Buffer.alloc(8192, 7));
    expect(await failing(dataDir)).toMatch(
      /did not start: .*(incompatible with server|incorrect checksum|byte ordering)/,
    );
  });

  test("a damaged file of passwords", async () => {
    const dataDir = dataFolder();
    writeFileSync(
      join(dataDir, "postgres.json"),
      `{"owner": "x'; drop role metertree_owner; --", "runtime": ""}`,
    );
    expect(await failing(dataDir)).toMatch(/postgres.json is damaged\. Remove it/);
  });

  test("a data folder that is a file", async () => {
    folder = temporaryFolder();
    writeFileSync(join(folder.path, "data"), "");
    await expect(open(testOptions(join(folder.path, "data")))).rejects.toThrow(
      /The data folder .*data cannot be used/,
    );
  });

  test.skipIf(!isRoot || spawnSync("unshare", ["-m", "true"]).status !== 0)("a full disk", async () => {
    folder = temporaryFolder();
    const disk = join(folder.path, "disk");
    mkdirSync(disk);
    const mounted = spawnSync("mount", ["-t", "tmpfs", "-o", "size=60m,mode=0755", "tmpfs", disk]);
    expect(mounted.status, mounted.stderr.toString()).toBe(0);
    try {
      execFileSync("cp", ["-a", join(made.path, "data"), join(disk, "data")]);
      spawnSync("dd", ["if=/dev/zero", `of=${join(disk, "filler")}`, "bs=4096"], { stdio: "ignore" });
      expect(await failing(join(disk, "data"))).toMatch(/No space left on device/i);
      rmSync(join(disk, "filler"));
      const database = await open(testOptions(join(disk, "data")));
      expect(await ask(database.ownerUrl, "select one from kept")).toEqual([{ one: 1 }]);
      await database.stop();
    } finally {
      execFileSync("umount", [disk]);
    }
  });
});
