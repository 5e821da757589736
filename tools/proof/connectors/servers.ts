import { type ChildProcess, spawn } from "node:child_process";
import { once } from "node:events";
import { setTimeout as delay } from "node:timers/promises";
import { fileURLToPath } from "node:url";
import pg from "pg";
import { openPostgres, type RunningPostgres } from "../../../server/src/platform/postgres/postgres.ts";
import { killBrowser, killDatabase } from "../processes.ts";

const program = fileURLToPath(new URL("serve.ts", import.meta.url));

/** Processes that can be killed. */
export type Victim = "web" | "worker 1" | "worker 2" | "database" | "browser";

/** One process that answers, two that collect, and their database. */
export class Servers {
  readonly dataDir: string;
  readonly #database: RunningPostgres;
  readonly #pool: pg.Pool;
  readonly #processes = new Map<Victim, ChildProcess>();
  readonly #env: Record<string, string>;
  readonly #revived: Record<string, number> = {};
  #ahead = 0;
  #url = "";

  static async open(dataDir: string, options: { env: Record<string, string> }): Promise<Servers> {
    const database = await openPostgres({ dataDir, mode: "serve", log: () => undefined, now: Date.now });
    return new Servers(dataDir, { database, env: options.env });
  }

  private constructor(
    dataDir: string,
    { database, env }: { database: RunningPostgres; env: Record<string, string> },
  ) {
    this.dataDir = dataDir;
    this.#database = database;
    this.#pool = new pg.Pool({ connectionString: database.ownerUrl, max: 1 });
    // A database that is killed is told to the statement, too.
    this.#pool.on("error", () => undefined);
    this.#env = {
      ...env,
      DATABASE_URL: database.runtimeUrl,
      DATABASE_MIGRATION_URL: database.ownerUrl,
      METERTREE_DATA_DIR: dataDir,
      METERTREE_LOG_LEVEL: "warn",
      METERTREE_RATE_PER_SECOND: "0",
      METERTREE_VALUES_MAX: "10000000",
      METERTREE_EGRESS_ALLOW: "127.0.0.0/8",
      // What has happened in a year is looked at in the end.
      METERTREE_DELIVERY_DAYS: "3650",
    };
  }

  /** Where the API answers; another port after a restart. */
  get url(): string {
    return this.#url;
  }

  /** Environment of commands beside the servers. */
  get env(): Record<string, string> {
    const { METERTREE_LOG_LEVEL: _, ...env } = this.#env;
    return env;
  }

  /** Epoch milliseconds in the time of the servers. */
  now(): number {
    return Date.now() + this.#ahead;
  }

  /** Moves the time of all servers to an instant. */
  moveTo(now: number): void {
    this.#ahead = now - Date.now();
    for (const child of this.#processes.values()) if (child.connected) child.send({ ahead: this.#ahead });
  }

  /** How often something ended by itself. */
  get revived(): Record<string, number> {
    return this.#revived;
  }

  async start(): Promise<void> {
    await this.#start("web");
    await Promise.all([this.#start("worker 1"), this.#start("worker 2")]);
  }

  async #start(name: Victim): Promise<void> {
    const env = {
      ...process.env,
      ...this.#env,
      METERTREE_ROLE: name === "web" ? "web" : "worker",
      METERTREE_PORT: "0",
      PROOF_AHEAD_MS: String(this.#ahead),
    };
    const child = spawn(process.execPath, [program], { env, stdio: ["ignore", "ignore", "pipe", "ipc"] });
    let complaints = "";
    child.stderr!.on("data", (bytes: Buffer) => (complaints = (complaints + bytes.toString()).slice(-2000)));
    this.#processes.set(name, child);
    const said = once(child, "message") as Promise<[{ url: string }]>;
    const first = await Promise.race([said, once(child, "exit").then(() => undefined)]);
    if (first === undefined) throw new Error(`${name} did not start: ${complaints}`);
    child.send({ ahead: this.#ahead });
    if (name === "web") this.#url = first[0].url;
  }

  /**
   * Kills at once, as a loss of power would, and starts again; a database starts by itself, and a browser with the
   * next run. Returns whether there was anything to kill.
   */
  async kill(victim: Victim): Promise<boolean> {
    if (victim === "browser") {
      return (["worker 1", "worker 2"] as const).some((name) => killBrowser(this.#processes.get(name)!.pid!));
    }
    if (victim === "database") {
      killDatabase(this.dataDir);
      await this.#recovered();
      return true;
    }
    const child = this.#processes.get(victim)!;
    child.kill("SIGKILL");
    if (child.exitCode === null && child.signalCode === null) await once(child, "exit");
    await this.#start(victim);
    return true;
  }

  /** The database answers again, and what gave up while it was away is started again. */
  async #recovered(): Promise<void> {
    for (let tries = 0; ; tries++) {
      const isThere = await this.#pool.query("select").then(
        () => true,
        () => false,
      );
      if (isThere) break;
      if (tries > 300) throw new Error("the database did not come back");
      await delay(100);
    }
    await this.revive();
  }

  /** Starts again what has ended by itself, as a supervisor does: a server may give up without its database. */
  async revive(): Promise<void> {
    for (const [name, child] of this.#processes) {
      if (child.exitCode === null && child.signalCode === null) continue;
      this.#revived[name] = (this.#revived[name] ?? 0) + 1;
      await this.#start(name);
    }
  }

  /**
   * Looks behind the scenes, which tells the proof when to let time pass: how many connections are due at a provider
   * that is asked, the runs that are on, with the end of their leases in epoch milliseconds, and how many of them have
   * a worker.
   */
  async runs(): Promise<{ due: number; running: { id: string; until: number }[]; alive: number }> {
    const { rows } = await this.#pool.query<{ run: string | null; next: Date; due: boolean }>(
      `select run_id as run, next_run as next, next_run <= $1 and coalesce(closed_until <= $1, true) as due
       from connection left join provider_state using (provider)
       where run_id is not null or next_run <= $1`,
      [new Date(this.now())],
    );
    return {
      due: rows.filter(({ due }) => due).length,
      running: rows.flatMap(({ run, next }) => (run === null ? [] : [{ id: run, until: next.getTime() }])),
      alive: (await this.#aliveOf("worker 1")) + (await this.#aliveOf("worker 2")),
    };
  }

  async #aliveOf(name: Victim): Promise<number> {
    const child = this.#processes.get(name)!;
    if (!child.connected) return 0;
    const over = new AbortController();
    const { signal } = over;
    const said = once(child, "message", { signal }) as Promise<[{ runs: number }]>;
    const ended = once(child, "exit", { signal }).then(() => undefined);
    child.send({ ask: "runs" });
    try {
      return (await Promise.race([said, ended]))?.[0].runs ?? 0;
    } finally {
      over.abort();
      await Promise.allSettled([said, ended]);
    }
  }

  async stop(): Promise<void> {
    await Promise.all(
      [...this.#processes.values()].map(async (child) => {
        child.kill("SIGTERM");
        if (child.exitCode === null && child.signalCode === null) await once(child, "exit");
      }),
    );
    await this.#pool.end();
    await this.#database.stop();
  }
}
