import { type ChildProcess, spawn } from "node:child_process";
import { closeSync, readFileSync, rmSync } from "node:fs";
import { createServer } from "node:net";
import { join } from "node:path";
import { setTimeout as delay } from "node:timers/promises";
import { Problem } from "../problem.ts";
import type { Account } from "./account.ts";
import { type Binaries, runAs } from "./binaries.ts";
import { logLines, logSize, openLog } from "./log-file.ts";
import { pidTaken, processFacts } from "./process.ts";

/** Where a server listens: `host` is an address, or the folder of its socket. */
export interface Endpoint {
  host: string;
  port: number;
}

/** What is needed to start one cluster. */
export interface Start {
  cluster: string;
  binaries: Binaries;
  account: Account | undefined;
  /** File that the server's messages are appended to. */
  logPath: string;
  settings: Record<string, string>;
  /** Listen here again, because clients know it; chosen anew when absent. */
  endpoint?: Endpoint;
}

/** A server that is our child and accepts connections. */
export interface Postmaster {
  endpoint: Endpoint;
  pid: number;
  /** Fulfilled when the process is gone, with how it ended. */
  exited: Promise<string>;
  /** From here on our process stays alive until this one is gone; before, it does not wait for it. */
  hold(): void;
}

const socketPort = 5432;
/** Bytes of a socket's path, the last zero included: 108 on Linux, 104 on macOS and BSD. */
const socketPathMax = 103;
/** Starts are repeated for so long while rests of a killed server go away (1.2 s measured). */
const restsGoneMs = 15_000;
const startMaxMs = 10 * 60_000;
const pollMs = 10;

/** Starts the server and waits until it accepts connections. Throws with the server's own reason. */
export async function startPostmaster(start: Start): Promise<Postmaster> {
  const begun = performance.now();
  let endpoint = start.endpoint ?? (await chooseEndpoint(start.cluster));
  for (let portsTried = 0; ; ) {
    removeStalePid(start.cluster);
    const attempt = await launch(start, endpoint);
    if ("pid" in attempt) return { ...attempt, endpoint };
    const text = attempt.lines.join("\n");
    if (isRest(text) && performance.now() - begun < restsGoneMs) {
      await delay(200);
    } else if (start.endpoint === undefined && isAddressTrouble(text) && portsTried++ < 5) {
      // A folder shared with another system may refuse sockets; a free port may be taken by the time it is used.
      endpoint = { host: "127.0.0.1", port: await freePort() };
    } else {
      throw new Problem("unavailable", `The database in ${start.cluster} did not start: ${reason(attempt)}`);
    }
  }
}

/** Prefers a socket inside the cluster, which only its user (and root) can enter; long paths need a port. */
async function chooseEndpoint(cluster: string): Promise<Endpoint> {
  const path = join(cluster, `.s.PGSQL.${socketPort}`);
  if (Buffer.byteLength(path) <= socketPathMax) return { host: cluster, port: socketPort };
  return { host: "127.0.0.1", port: await freePort() };
}

function freePort(): Promise<number> {
  return new Promise((resolve, reject) => {
    const server = createServer().once("error", reject);
    server.listen(0, "127.0.0.1", () => {
      const { port } = server.address() as { port: number };
      server.close(() => resolve(port));
    });
  });
}

type Failure = { lines: string[]; end: string };

async function launch(start: Start, endpoint: Endpoint): Promise<Omit<Postmaster, "endpoint"> | Failure> {
  const before = logSize(start.logPath);
  const log = openLog(start.logPath);
  let child: ChildProcess;
  try {
    child = spawn(
      join(start.binaries.bin, "postgres"),
      ["-D", start.cluster, ...settingFlags(start, endpoint)],
      {
        ...runAs(start.account),
        stdio: ["ignore", log, log],
        detached: true, // its own session: Ctrl-C in the terminal must not stop it before we have drained
      },
    );
  } finally {
    closeSync(log);
  }
  let ended: string | undefined;
  const exited = new Promise<string>((resolve) => {
    child.once("error", (error) => resolve((ended = error.message)));
    child.once("exit", (code, signal) => resolve((ended = signal ?? `exit code ${code}`)));
  });
  const begun = performance.now();
  while (ended === undefined) {
    const file = readPidFile(start.cluster);
    if (child.pid !== undefined && file?.pid === child.pid && file.status === "ready") {
      child.unref();
      return { pid: child.pid, exited, hold: () => child.ref() };
    }
    if (performance.now() - begun > startMaxMs) {
      child.kill("SIGQUIT");
      await exited;
      ended = `not ready after ${startMaxMs / 60_000} minutes`;
    } else {
      await delay(pollMs);
    }
  }
  return { lines: logLines(start.logPath, before), end: ended };
}

function settingFlags(start: Start, endpoint: Endpoint): string[] {
  const onSocket = endpoint.host.startsWith("/");
  const settings = {
    ...start.settings,
    port: String(endpoint.port),
    listen_addresses: onSocket ? "" : endpoint.host,
    unix_socket_directories: onSocket ? endpoint.host : "",
  };
  return Object.entries(settings).flatMap(([name, value]) => ["-c", `${name}=${value}`]);
}

/** Rests of a killed server: processes that have not noticed yet, or the lock file of one that just ends. */
function isRest(text: string): boolean {
  return (
    text.includes("pre-existing shared memory block") ||
    text.includes('lock file "postmaster.pid" already exists') ||
    text.includes('lock file "postmaster.pid" is empty')
  );
}

function isAddressTrouble(text: string): boolean {
  return (
    text.includes("could not create any TCP/IP sockets") ||
    text.includes("could not create any Unix-domain sockets")
  );
}

/** The server's last words, which name the cause, with the remedy where there is a usual one. */
function reason({ lines, end }: Failure): string {
  const words = lines.filter((line) => !line.includes("LOG:  database system is shut down")).slice(-6);
  const said = words.length > 0 ? words.join(" | ") : end;
  if (said.includes("No space left on device")) return `${said}. Free space on that disk and start again.`;
  if (said.includes("could not map anonymous shared memory")) {
    return `${said}. The machine has too little free memory: 256 MB are needed for the database alone.`;
  }
  return said;
}

interface PidFile {
  pid: number;
  endpoint: Endpoint;
  /** starting, stopping, ready, standby */
  status: string;
}

/** What `postmaster.pid` says; `undefined` when there is none or it is half written. Layout: pidfile.h. */
export function readPidFile(cluster: string): PidFile | undefined {
  let lines: string[];
  try {
    lines = readFileSync(join(cluster, "postmaster.pid"), "utf8").split("\n");
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === "ENOENT") return undefined;
    throw new Problem(
      "unavailable",
      `The database in ${cluster} cannot be read: ${(error as Error).message}`,
    );
  }
  const pid = Number(lines[0]);
  if (!Number.isSafeInteger(pid) || pid <= 0) return undefined;
  const [port, socketDir, address, status] = [lines[3], lines[4], lines[5], lines[7]];
  return {
    pid,
    endpoint: { host: socketDir || address || "", port: Number(port) },
    status: status?.trim() ?? "",
  };
}

/** Pid of the live server of `cluster`, whoever started it; a pid that something else has now does not count. */
export function livePostmaster(cluster: string): number | undefined {
  const pid = readPidFile(cluster)?.pid;
  return pid !== undefined && isPostmaster(pid, cluster) ? pid : undefined;
}

function isPostmaster(pid: number, cluster: string): boolean {
  return processFacts(pid)?.command.includes(`-D ${cluster} `) ?? false;
}

/**
 * PostgreSQL refuses to start while the pid in its lock file answers, even when that is a zombie or a stranger
 * that got the number later. Which of them it is, we can tell: then the file is removed. The shared memory of
 * the cluster, which PostgreSQL checks on its own, still keeps two servers apart.
 */
function removeStalePid(cluster: string): void {
  const pid = readPidFile(cluster)?.pid;
  if (pid === undefined || !pidTaken(pid) || isPostmaster(pid, cluster)) return;
  rmSync(join(cluster, "postmaster.pid"), { force: true });
  rmSync(join(cluster, `.s.PGSQL.${socketPort}.lock`), { force: true });
}

/**
 * Stops the server `pid`: fast (sessions are ended, everything is written), after `patienceMs` at once (the next
 * start recovers from the log), at last by force. Returns when the process is gone.
 */
export async function stopPostmaster(pid: number, cluster: string, patienceMs = 60_000): Promise<void> {
  const escalation = [
    ["SIGINT", patienceMs],
    ["SIGQUIT", 10_000],
    ["SIGKILL", 10_000],
  ] as const;
  for (const [signal, waitMs] of escalation) {
    if (!isPostmaster(pid, cluster)) return;
    try {
      process.kill(pid, signal);
    } catch (error) {
      const { code } = error as NodeJS.ErrnoException;
      if (code === "ESRCH") return;
      throw new Problem(
        "unavailable",
        `The database in ${cluster} is run by process ${pid} of another user, which cannot be stopped: ${code}.`,
      );
    }
    const begun = performance.now();
    while (performance.now() - begun < waitMs) {
      if (!isPostmaster(pid, cluster)) return;
      await delay(pollMs);
    }
  }
  throw new Problem(
    "unavailable",
    `The database process ${pid} of ${cluster} does not end. Restart the machine.`,
  );
}
