import { type ChildProcess, execFileSync, spawn } from "node:child_process";
import { once } from "node:events";
import { join } from "node:path";
import { DatabaseSync } from "node:sqlite";
import { fileURLToPath } from "node:url";
import { type Held, keyOf } from "../held.ts";

const examples = fileURLToPath(new URL("../../../examples/stream-consumer", import.meta.url));

/** A consumer of the examples: how it is started, and what it has stored. */
interface Kind {
  name: string;
  /** Programs that it needs besides Node.js. */
  needs: readonly string[];
  command(place: string): string[];
  held(place: string): Held;
}

const kinds: readonly Kind[] = [
  {
    name: "typescript",
    needs: [],
    command: (place) => [process.execPath, join(examples, "consume.ts"), `${place}.db`],
    held: (place) => heldInSqlite(`${place}.db`),
  },
  {
    name: "python",
    needs: ["python3"],
    command: (place) => ["python3", join(examples, "consume.py"), `${place}.db`],
    held: (place) => heldInSqlite(`${place}.db`),
  },
  {
    name: "curl",
    needs: ["curl", "jq"],
    command: (place) => ["sh", join(examples, "consume.sh"), place],
    held: heldInBatches,
  },
];

/** Names of the consumers that this machine can run. */
export function consumersHere(): string[] {
  return kinds.filter(({ needs }) => needs.every(isThere)).map(({ name }) => name);
}

function isThere(program: string): boolean {
  try {
    execFileSync("sh", ["-c", `command -v ${program}`]);
    return true;
  } catch {
    return false;
  }
}

function heldInSqlite(file: string): Held {
  const db = new DatabaseSync(file, { readOnly: true });
  const rows = db.prepare("select meter, metric, currency, granularity, start, value from value").all();
  db.close();
  type Row = Parameters<typeof keyOf>[0] & { value: number };
  return new Map((rows as unknown as Row[]).map((row) => [keyOf(row), row.value]));
}

type Cells = [string, string, string, string, string, string];

function heldInBatches(folder: string): Held {
  const printed = execFileSync("sh", [join(examples, "values.sh"), folder], {
    encoding: "utf8",
    maxBuffer: 2 ** 30,
  });
  const held: Held = new Map();
  for (const line of printed.split("\n")) {
    if (line === "") continue;
    const [meter, metric, currency, granularity, start, value] = line.split("\t") as Cells;
    held.set(keyOf({ meter, metric, currency, granularity, start }), Number(value));
  }
  return held;
}

/** The consumers of the examples, each a process with a stream and a place of its own. */
export class Consumers {
  kills = 0;
  readonly #folder: string;
  readonly #env: NodeJS.ProcessEnv;
  readonly #running = new Map<Kind, ChildProcess>();
  readonly #started = new Set<ChildProcess>();
  readonly #kinds: readonly Kind[];
  readonly #limit: string;

  /** @param options.env where they find the server and its token */
  constructor(options: {
    folder: string;
    env: Record<string, string>;
    names?: readonly string[];
    limit?: number;
  }) {
    this.#folder = options.folder;
    this.#limit = String(options.limit ?? 20_000);
    this.#env = { PATH: process.env.PATH, ...options.env };
    this.#kinds = kinds.filter(
      ({ name, needs }) =>
        (options.names === undefined || options.names.includes(name)) && needs.every(isThere),
    );
  }

  /** Starts those that do not run. */
  start(): void {
    for (const kind of this.#kinds) {
      if (this.#running.has(kind)) continue;
      const child = this.#spawn(kind, []);
      this.#running.set(kind, child);
      child.once("exit", () => this.#running.delete(kind));
    }
  }

  /** Resolves when one of them has stored something. */
  async progress(): Promise<void> {
    const all = [...this.#running.values()];
    await Promise.race(all.flatMap((child) => [once(child.stdout!, "data"), once(child, "exit")]));
  }

  /** Ends one of them at once, wherever it is. */
  async kill(choice: number): Promise<void> {
    const [...all] = this.#running.values();
    const victim = all[Math.floor(choice * all.length)];
    if (victim === undefined) return;
    this.kills++;
    await end(victim);
  }

  /** Ends all of them, and lets each read what is left. Throws when one fails. */
  async settle(): Promise<void> {
    for (const child of this.#running.values()) await end(child);
    await Promise.all(
      this.#kinds.map(async (kind) => {
        const child = this.#spawn(kind, ["--once"]);
        const [code] = await once(child, "exit");
        if (code !== 0) throw new Error(`the ${kind.name} consumer ended with ${code}`);
      }),
    );
  }

  /** What each of them holds, by its name. */
  held(): Map<string, Held> {
    return new Map(this.#kinds.map((kind) => [kind.name, kind.held(this.#place(kind))]));
  }

  /** Ends everything that was started. */
  async end(): Promise<void> {
    for (const child of this.#started) await end(child);
  }

  #place({ name }: Kind): string {
    return join(this.#folder, name);
  }

  #spawn(kind: Kind, words: readonly string[]): ChildProcess {
    const [program, ...args] = kind.command(this.#place(kind));
    // A group of its own: the shell has children that must die with it.
    const child = spawn(program!, [...args, "--limit", this.#limit, ...words], {
      env: this.#env,
      stdio: ["ignore", "pipe", "inherit"],
      detached: true,
    });
    child.stdout.resume();
    this.#started.add(child);
    child.once("exit", () => this.#started.delete(child));
    return child;
  }
}

async function end(child: ChildProcess): Promise<void> {
  if (child.exitCode !== null || child.signalCode !== null) return;
  const ended = once(child, "exit");
  try {
    process.kill(-child.pid!, "SIGKILL");
  } catch {
    // It has ended by itself.
  }
  await ended;
}
