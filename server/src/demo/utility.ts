import { type ChildProcessByStdio, spawn } from "node:child_process";
import { once } from "node:events";
import { readFileSync, renameSync, rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { createInterface } from "node:readline";
import type { Readable, Writable } from "node:stream";
import { fileURLToPath } from "node:url";
import type { Deps } from "../platform/deps.ts";
import { Problem } from "../platform/problem.ts";
import type { Connected } from "./customers.ts";

/** The demo utility, a process beside this one that ends with it. */
export interface DemoUtility {
  /** Address of its customer pages. */
  url: string;
  /** Address of its control: time, faults, the truth. */
  controlUrl: string;
  /** Its address at the last start, when that was another one. */
  formerUrl: string | null;
  /** Epoch ms of its clock, which begins in the past and runs until it has caught up with ours. */
  now(): number;
  /** What was made when its customers were connected, by this start or an earlier one; null before that. */
  connected: Connected | null;
  /** Writes down its time and what is connected: the next start goes on from there. */
  keep(): void;
  /** Ends it. */
  close(): Promise<void>;
}

export interface UtilityOptions {
  dataDir: string;
  /** How many seconds a day takes there. */
  daySeconds: number;
  clock: Deps["clock"];
  log: Pick<Deps["log"], "warn">;
}

/** What the next start has to know. */
interface Kept {
  port: number;
  /** Day from which its year is laid out: another one would make other meters. */
  pivot: string;
  now: number;
  connected: Connected | null;
}

const program = fileURLToPath(new URL("../../../simulator/src/main.ts", import.meta.url));
const fileName = "demo-utility.json";
const dayMs = 86_400_000;
/**
 * Its clock is never further behind. The first run of a connection asks for 30 days: some of them are there at once,
 * the others arrive while somebody looks.
 */
const behindMsMax = 20 * dayMs;
const usualPort = 8090;
const customers = 12;

/**
 * Starts the demo utility where it listened before, else on a free port.
 * @throws Problem with its own words when it does not start
 */
export async function startUtility(options: UtilityOptions): Promise<DemoUtility> {
  const { dataDir, daySeconds, clock, log } = options;
  const path = join(dataDir, fileName);
  const before = read(path);
  const earliest = clock.now() - behindMsMax;
  const begin = Math.min(Math.max(before?.now ?? 0, earliest), clock.now());
  const pivot = before?.pivot ?? `${new Date(begin).getUTCFullYear()}-01-01`;
  const wanted = before?.port ?? usualPort;
  const speed = 86_400 / daySeconds;
  const launched = { now: begin, speed, pivot };
  const { child, url, controlUrl } = await launch({ ...launched, port: wanted })
    // Another program has the port.
    .catch(() => launch({ ...launched, port: 0 }));
  const begun = clock.now();
  let isClosing = false;
  const exited = once(child, "exit").then(([code, signal]) => {
    if (!isClosing) log.warn({ code, signal }, "the demo utility has ended");
  });
  const port = Number(new URL(url).port);
  const now = () => Math.min(clock.now(), begin + (clock.now() - begun) * speed);
  const utility: DemoUtility = {
    url,
    controlUrl,
    formerUrl: before === undefined || before.port === port ? null : urlOf(before.port),
    now,
    connected: before?.connected ?? null,
    keep() {
      write(path, { port, pivot, now: Math.floor(now()), connected: utility.connected });
    },
    async close() {
      isClosing = true;
      child.stdin.end();
      await exited;
    },
  };
  return utility;
}

/** Forgets the utility of an earlier demo in this folder: its customers are not those of the database that is filled now. */
export function forgetUtility(dataDir: string): void {
  rmSync(join(dataDir, fileName), { force: true });
}

const urlOf = (port: number) => `http://127.0.0.1:${port}`;

interface Launch extends Pick<Kept, "port" | "pivot" | "now"> {
  /** Simulated seconds per second. */
  speed: number;
}

interface Launched extends Pick<DemoUtility, "url" | "controlUrl"> {
  child: ChildProcessByStdio<Writable, Readable, Readable>;
}

async function launch({ port, now, speed, pivot }: Launch): Promise<Launched> {
  const words = {
    port: String(port),
    "control-port": "0",
    customers: String(customers),
    now: new Date(now).toISOString(),
    speed: String(speed),
    pivot,
  };
  const child = spawn(
    process.execPath,
    [
      program,
      ...Object.entries(words).flatMap(([name, value]) => [`--${name}`, value]),
      "--catch-up",
      "--until-input-ends",
    ],
    // Its own session: Ctrl-C in the terminal must not end it before runs are over. It ends with our end of the pipe.
    { stdio: ["pipe", "pipe", "pipe"], detached: true },
  );
  let said = "";
  child.stderr.on("data", (bytes: Buffer) => (said += bytes.toString("utf8")));
  child.stdin.on("error", () => undefined);
  const failed = once(child, "exit").then(() => {
    throw new Problem("unavailable", `The demo utility did not start: ${said.trim()}`);
  });
  failed.catch(() => undefined);
  return { child, ...(await Promise.race([addressesOf(child), failed])) };
}

/** What it prints first is where it answers: pages, then control. */
async function addressesOf({ stdout }: { stdout: Readable }): Promise<Omit<Launched, "child">> {
  const found: string[] = [];
  for await (const line of createInterface({ input: stdout })) {
    found.push(...(line.match(/http:\/\/[^\s/]+/) ?? []));
    const [url, controlUrl] = found;
    if (url !== undefined && controlUrl !== undefined) return { url, controlUrl };
  }
  return new Promise(() => undefined);
}

function read(path: string): Kept | undefined {
  try {
    return JSON.parse(readFileSync(path, "utf8")) as Kept;
  } catch {
    // It was not there before, or its file is lost: then it begins anew.
    return undefined;
  }
}

function write(path: string, kept: Kept): void {
  writeFileSync(`${path}.new`, `${JSON.stringify(kept)}\n`);
  renameSync(`${path}.new`, path);
}
