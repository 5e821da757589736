import { readFileSync } from "node:fs";
import { join } from "node:path";
import { setTimeout as delay } from "node:timers/promises";
import { Client } from "../../client/src/client.ts";
import { type ServerProcess, scratch, server } from "../../test/harness/process.ts";
import { freePort } from "../../test/harness/servers/port.ts";
import { type Difference, differ, givenOut } from "./held.ts";
import { killDatabase } from "./processes.ts";
import { randomOf } from "./random.ts";
import { Collection, type Done } from "./stream-export/collection.ts";
import { Consumers } from "./stream-export/consumers.ts";
import { Exports, type ExportsVerdict } from "./stream-export/exports.ts";
import { tell } from "./tell.ts";

/** What a proof found out: one line of JSON. */
export interface Verdict {
  suite: string;
  seed: number;
  seconds: number;
  /** What was collected, and how often. */
  collected: Done;
  /** Kills and faults by whom they hit. */
  troubles: Record<string, number>;
  files: ExportsVerdict;
  /** How each consumer and each export differs from what the API gives out. */
  held: Record<string, Difference>;
  ok: boolean;
}

/**
 * The demo account is collected for, corrected and reorganised for some time, while the examples consume its stream,
 * a CSV goes to an SFTP server and Parquet to S3. Server, database and consumers are killed and the ways to the
 * targets break. In the end everybody must hold exactly what the API gives out.
 */
export async function streamExport(options: { seconds: number; seed: number }): Promise<Verdict> {
  const folder = scratch();
  const proof = new Proof(folder.path, options);
  try {
    await proof.begin();
    await proof.live();
    return await proof.verdict();
  } finally {
    await proof.end();
    folder.remove();
  }
}

class Proof {
  readonly #dataDir: string;
  readonly #folder: string;
  readonly #seed: number;
  readonly #seconds: number;
  readonly #random: () => number;
  readonly #troubles: Record<string, number> = {};
  #port = 0;
  #token = "";
  #server: ServerProcess | undefined;
  #collection!: Collection;
  #consumers!: Consumers;
  #exports!: Exports;

  constructor(folder: string, { seconds, seed }: { seconds: number; seed: number }) {
    this.#folder = folder;
    this.#dataDir = join(folder, "data");
    this.#seconds = seconds;
    this.#seed = seed;
    this.#random = randomOf(seed);
  }

  async begin(): Promise<void> {
    this.#port = await freePort();
    await this.#start();
    this.#token = JSON.parse(readFileSync(join(this.#dataDir, "demo.json"), "utf8")).token;
    const connect = (subaccount?: string) => this.#client(subaccount);
    this.#collection = new Collection({ random: randomOf(this.#seed + 1), connect, now: Date.now() });
    await this.#collection.begin(Date.now());
    this.#exports = new Exports(() => this.#client());
    await this.#exports.begin();
    const env = { METERTREE_URL: `http://127.0.0.1:${this.#port}`, METERTREE_TOKEN: this.#token };
    this.#consumers = new Consumers({ folder: this.#folder, env });
    this.#consumers.start();
  }

  /** Collects and makes trouble at the same time, until the time is over. */
  async live(): Promise<void> {
    const end = performance.now() + this.#seconds * 1000;
    const going = () => performance.now() < end;
    const collect = async () => {
      while (going()) {
        await this.#collection.step();
        await delay(10 + 60 * this.#random());
      }
    };
    const trouble = async () => {
      while (going()) {
        await delay(1000 + 5000 * this.#random());
        await this.#trouble();
      }
    };
    await Promise.all([collect(), trouble()]);
  }

  async #trouble(): Promise<void> {
    const dice = this.#random();
    const count = (what: string) => {
      this.#troubles[what] = (this.#troubles[what] ?? 0) + 1;
      tell(`trouble: ${what}`);
    };
    if (dice < 0.3) {
      count("consumer");
      await this.#consumers.kill(this.#random());
    } else if (dice < 0.42) {
      count("server");
      await this.#kill({ database: false });
    } else if (dice < 0.5) {
      count("server and database");
      await this.#kill({ database: true });
    } else if (dice < 0.56) {
      count("database");
      killDatabase(this.#dataDir);
      await this.#recovered();
    } else if (dice < 0.8) {
      count("target");
      this.#exports.breakWays(this.#random);
    } else {
      count("export asked for");
      await this.#exports.run().catch(() => undefined);
    }
    this.#consumers.start();
  }

  async verdict(): Promise<Verdict> {
    tell("collecting is over; the server comes to rest");
    await this.#recovered();
    await this.#collection.end();
    // What is read in the background, such as the demo's invoices, changes values at any time: what came after the
    // consumers had read is no loss, and a loss stays one.
    let found = await this.#settled();
    for (let again = 0; again < 3 && !isSame(found.held); again++) {
      tell(`not the same yet: ${JSON.stringify(found.held)}`);
      found = await this.#settled();
    }
    const { held, files } = found;
    return {
      suite: "stream export",
      seed: this.#seed,
      seconds: this.#seconds,
      collected: this.#collection.done,
      troubles: { ...this.#troubles, ...this.#exports.faults() },
      files,
      held,
      ok: isSame(held) && files.unexpected === 0 && files.undelivered === 0,
    };
  }

  /** Lets everybody get what is left, and compares. */
  async #settled(): Promise<{ held: Record<string, Difference>; files: ExportsVerdict }> {
    tell("the consumers read what is left");
    await this.#consumers.settle();
    tell("the exports send what is left");
    const files = await this.#exports.settle();
    tell("everything is compared with what the API gives out");
    const year = new Date().getUTCFullYear();
    const expected = await givenOut(this.#client(), [year - 4, year - 3, year - 2, year - 1, year]);
    const held: Record<string, Difference> = {};
    for (const [name, each] of this.#consumers.held()) held[name] = differ(expected, each);
    const isConsumption = (key: string) => !key.split(" ")[1]!.startsWith("cost_");
    for (const [name, each] of await this.#exports.held()) held[name] = differ(expected, each, isConsumption);
    return { held, files };
  }

  async end(): Promise<void> {
    await this.#consumers?.end();
    await this.#server?.stop();
    await this.#exports?.end();
  }

  #client(subaccount?: string): Client {
    const url = `http://127.0.0.1:${this.#port}`;
    return new Client({
      url,
      token: this.#token,
      retriesMax: 2,
      ...(subaccount === undefined ? {} : { subaccount }),
    });
  }

  async #start(): Promise<void> {
    const words = ["demo", "--no-utility", "--data-dir", this.#dataDir, "--port", String(this.#port)];
    const env = {
      METERTREE_RATE_PER_SECOND: "0",
      METERTREE_VALUES_MAX: "1000000",
      METERTREE_EGRESS_ALLOW: "127.0.0.0/8",
    };
    this.#server = await server(words, { env });
    if (Number(new URL(this.#server.url).port) !== this.#port)
      throw new Error(`port ${this.#port} was taken`);
  }

  async #kill({ database }: { database: boolean }): Promise<void> {
    this.#server!.process.kill("SIGKILL");
    if (database) killDatabase(this.#dataDir);
    await this.#server!.ended;
    await this.#start();
  }

  /** A server whose database died goes on with it, or ends; what has ended is started again. */
  async #recovered(): Promise<void> {
    for (let tries = 0; tries < 100; tries++) {
      if (this.#server!.process.exitCode !== null) await this.#start();
      const answer = await fetch(`http://127.0.0.1:${this.#port}/readyz`).catch(() => undefined);
      if (answer?.ok === true) return;
      await delay(200);
    }
    this.#troubles["server that did not recover"] = (this.#troubles["server that did not recover"] ?? 0) + 1;
    await this.#kill({ database: true });
  }
}

function isSame(held: Record<string, Difference>): boolean {
  return Object.values(held).every(
    ({ compared, missing, extra, wrong }) => compared > 0 && missing + extra + wrong === 0,
  );
}
