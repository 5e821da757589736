import { type ChildProcess, spawn } from "node:child_process";
import { mkdtempSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";

const root = fileURLToPath(new URL("../..", import.meta.url));
const program = join(root, "cli/src/main.ts");

/** An empty folder of its own; `remove` it in the end. */
export function scratch(): { path: string; remove(): void } {
  const path = mkdtempSync(join(tmpdir(), "mt-whole-"));
  return { path, remove: () => rmSync(path, { recursive: true, force: true }) };
}

/** How a process ended and what it printed. */
export interface Ended {
  /** Exit code, or the signal that ended it. */
  code: number | string;
  stdout: string;
  stderr: string;
}

export interface RunOptions {
  env?: Record<string, string>;
  input?: string;
}

/** Runs a command of the command line to its end. */
export function metertree(words: readonly string[], options: RunOptions = {}): Promise<Ended> {
  const child = started(process.execPath, [program, ...words], options);
  child.process.stdin!.end(options.input ?? "");
  return child.ended;
}

/** What a command with `--json` printed. Throws with its message when it failed. */
export async function metertreeJson(words: readonly string[], options: RunOptions = {}) {
  const { code, stdout, stderr } = await metertree([...words, "--json"], options);
  if (code !== 0) throw new Error(`metertree ${words.join(" ")} ended with ${code}: ${stderr}`);
  return JSON.parse(stdout);
}

/** A server in a process of its own. */
export interface ServerProcess {
  url: string;
  process: ChildProcess;
  ended: Promise<Ended>;
  /** What it has printed for people so far. */
  printed(): string;
  /** Sends a signal and waits for the end. */
  stop(signal?: NodeJS.Signals): Promise<Ended>;
}

/** Starts `metertree serve` or another command that serves, and waits until it says where it answers. */
export async function server(words: readonly string[], options: RunOptions = {}): Promise<ServerProcess> {
  return answering(started(process.execPath, [program, ...words], options));
}

/** The same through npm, as people start it. */
export async function npmServer(script: string, words: readonly string[]): Promise<ServerProcess> {
  return answering(started("npm", ["run", "-s", script, "--", ...words], {}));
}

async function answering(child: Started): Promise<ServerProcess> {
  const said = new Promise<string>((resolve, reject) => {
    child.process.stdout!.on("data", () => {
      const url = /^Metertree answers at (http:\/\/\S{1,100})/m.exec(child.stdout())?.[1];
      if (url !== undefined) resolve(url);
    });
    void child.ended.then(({ code, stderr }) =>
      reject(new Error(`the server ended with ${code}: ${stderr}`)),
    );
  });
  return {
    url: await said,
    process: child.process,
    ended: child.ended,
    printed: child.stdout,
    stop(signal = "SIGINT") {
      child.process.kill(signal);
      return child.ended;
    },
  };
}

interface Started {
  process: ChildProcess;
  ended: Promise<Ended>;
  stdout(): string;
}

function started(command: string, words: readonly string[], { env = {} }: RunOptions): Started {
  const { PATH, HOME } = process.env;
  const child = spawn(command, words, { cwd: root, env: { PATH, HOME, ...env }, stdio: "pipe" });
  let stdout = "";
  let stderr = "";
  child.stdout.on("data", (bytes: Buffer) => (stdout += bytes.toString("utf8")));
  child.stderr.on("data", (bytes: Buffer) => (stderr += bytes.toString("utf8")));
  const ended = new Promise<Ended>((resolve, reject) => {
    child.once("error", reject);
    child.once("close", (code, signal) => resolve({ code: code ?? signal ?? "unknown", stdout, stderr }));
  });
  return { process: child, ended, stdout: () => stdout };
}

/** Process id of the embedded database of a data folder, `undefined` when it does not run. */
export function databasePid(dataDir: string): number | undefined {
  let pid: number;
  try {
    pid = Number(readFileSync(join(dataDir, "postgres/postmaster.pid"), "utf8").split("\n", 1)[0]);
  } catch {
    return undefined;
  }
  try {
    process.kill(pid, 0);
    return pid;
  } catch {
    return undefined;
  }
}
