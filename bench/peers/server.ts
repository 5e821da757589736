import { spawn, spawnSync } from "node:child_process";
import { once } from "node:events";
import { type Dirent, mkdtempSync, readdirSync, rmSync, statSync } from "node:fs";
import { Agent, request } from "node:http";
import { type AddressInfo, createServer } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";

/** A peer's server on loopback, with a data folder that goes when it is stopped. */
export interface Server {
  origin: string;
  /** Sends over kept connections and returns the body; throws on any status but 2xx. */
  send(message: Message): Promise<Buffer>;
  /** Bytes on disk of all that it keeps, as allocated: sparse and preallocated files count what they take. */
  bytes(): number;
  stop(): Promise<void>;
}

export interface Message {
  path: string;
  headers?: Record<string, string>;
  /** With a body it is a POST, without one a GET. */
  body?: string;
}

/** How a peer is started: `settings` gets a data folder and two free ports. */
export interface Program {
  command: string;
  settings(place: { folder: string; port: number; spare: number }): {
    args: string[];
    env?: Record<string, string>;
  };
  /** Answers 2xx when requests are taken. */
  readyPath: string;
}

/** Output of a program that ends by itself; undefined when there is no such program. */
export function outputOf(command: string, args: string[]): string | undefined {
  const ran = spawnSync(command, args, { encoding: "utf8", timeout: 10_000 });
  return ran.error === undefined && ran.status === 0 ? ran.stdout.trim() : undefined;
}

/** Starts a peer and waits until it answers; throws with the end of its log when it does not within 30 s. */
export async function startServer(program: Program): Promise<Server> {
  const folder = mkdtempSync(join(tmpdir(), "metertree-peer-"));
  const [port, spare] = await freePorts();
  const { args, env } = program.settings({ folder, port, spare });
  const child = spawn(program.command, args, {
    stdio: ["ignore", "ignore", "pipe"],
    env: { ...process.env, ...env },
  });
  let log = "";
  child.stderr.on("data", (text) => {
    log = (log + text).slice(-2_000);
  });
  const exited = once(child, "exit");
  const agent = new Agent({ keepAlive: true });
  // An ended bench leaves no server behind: "exit" is not emitted when a signal ends the process by default.
  const drop = () => {
    child.kill("SIGKILL");
    rmSync(folder, { recursive: true, force: true, maxRetries: 5 });
  };
  const end = () => process.exit(1);
  process.once("exit", drop).once("SIGTERM", end).once("SIGINT", end);
  const server: Server = {
    origin: `http://127.0.0.1:${port}`,
    send: (message) => send(agent, port, message),
    bytes: () => bytesOf(folder),
    async stop() {
      process.off("exit", drop).off("SIGTERM", end).off("SIGINT", end);
      agent.destroy();
      child.kill("SIGKILL");
      await exited;
      drop();
    },
  };
  for (let tries = 0; ; tries++) {
    const ready = await server.send({ path: program.readyPath }).then(
      () => true,
      () => false,
    );
    if (ready) return server;
    if (tries > 600 || child.exitCode !== null) {
      await server.stop();
      throw new Error(`${program.command} does not become ready: ${log}`);
    }
    await new Promise((resolve) => setTimeout(resolve, 50));
  }
}

/** Sends a message over a kept connection; the body of a good answer, an error with its text for any other. */
export function send(agent: Agent, port: number, message: Message): Promise<Buffer> {
  const { promise, resolve, reject } = Promise.withResolvers<Buffer>();
  const { path, headers = {}, body } = message;
  const options = {
    host: "127.0.0.1",
    port,
    path,
    headers,
    agent,
    method: body === undefined ? "GET" : "POST",
  };
  const sent = request(options, (answer) => {
    const chunks: Buffer[] = [];
    answer.on("data", (chunk: Buffer) => chunks.push(chunk));
    answer.on("error", reject);
    answer.on("end", () => {
      const bytes = Buffer.concat(chunks);
      const status = answer.statusCode ?? 0;
      if (status >= 200 && status < 300) resolve(bytes);
      else reject(new Error(`${path.slice(0, 100)}: ${status} ${bytes.toString("utf8", 0, 300)}`));
    });
  });
  sent.on("error", reject);
  sent.end(body);
  return promise;
}

async function freePorts(): Promise<[number, number]> {
  const open = [0, 1].map(() => createServer().listen(0, "127.0.0.1"));
  await Promise.all(open.map((server) => once(server, "listening")));
  const ports = open.map((server) => (server.address() as AddressInfo).port);
  await Promise.all(open.map((server) => once(server.close(), "close")));
  return [ports[0]!, ports[1]!];
}

/** Files and folders go while they are read: compactions run. */
function bytesOf(folder: string): number {
  let bytes = 0;
  for (const entry of entriesOf(folder)) {
    const path = join(folder, entry.name);
    if (entry.isDirectory()) bytes += bytesOf(path);
    else bytes += (statSync(path, { throwIfNoEntry: false })?.blocks ?? 0) * 512;
  }
  return bytes;
}

function entriesOf(folder: string): Dirent[] {
  try {
    return readdirSync(folder, { withFileTypes: true });
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === "ENOENT") return [];
    throw error;
  }
}
