import { readdirSync } from "node:fs";
import { join } from "node:path";
import { setTimeout as delay } from "node:timers/promises";
import { Client, ConnectionError } from "../../client/src/client.ts";
import { metertreeJson, type ServerProcess, scratch, server } from "../../test/harness/process.ts";
import { killDatabase } from "./processes.ts";
import { randomOf } from "./random.ts";

/** What a proof found out: one line of JSON. */
export interface Verdict {
  suite: string;
  seed: number;
  cycles: number;
  /** Uploads that were begun, and those that were answered. */
  tried: number;
  accepted: number;
  /** Uploads whose answer was cut off, and which were stored all the same. */
  unanswered: number;
  /** Kills by what the import was doing then. */
  killed: Record<string, number>;
  /** Values that were compared at the end. */
  compared: number;
  /** Values of acknowledged imports that are missing, and values that differ. */
  lost: number;
  wrong: number;
  /** Imports whose counts do not add up to their values. */
  miscounted: number;
  /** Files that nobody needs any more. */
  leftovers: number;
  /** Median time from the start of a killed server to its first answer. */
  restart_ms: number;
  ok: boolean;
}

const meters = 40;
const days = 30;
/** Each upload begins so many days after the one before, so that most of its values are corrections. */
const daysApart = 10;
const perDay = 96;
const firstDay = Date.UTC(2015, 0, 1);
const day = 86_400_000;

const meterName = (number: number) => `61${String(number).padStart(8, "0")}`;

/** A value that tells which upload it is of. */
const writtenValue = (upload: number, meter: number, slot: number) =>
  ((upload * 7919 + meter * 104_729 + slot * 31) % 9_973) / 1000;

/**
 * Uploads files, kills the server, and every other time its database too, at a random moment, and starts it again.
 * In the end every value of every acknowledged upload must be there, or what a later one made of it.
 */
export async function killImport({ cycles, seed }: { cycles: number; seed: number }): Promise<Verdict> {
  const folder = scratch();
  const proof = new Proof(join(folder.path, "data"), seed);
  try {
    await proof.begin();
    for (let cycle = 0; cycle < cycles; cycle++) await proof.cycle(cycle);
    return await proof.verdict(cycles);
  } finally {
    await proof.end();
    folder.remove();
  }
}

class Proof {
  readonly #dataDir: string;
  readonly #seed: number;
  readonly #random: () => number;
  /** Which upload the values of each day are of. */
  #uploadOfDay = new Map<number, number>();
  /** The same before the last upload. */
  #before = new Map<number, number>();
  readonly #killed: Record<string, number> = {};
  readonly #restarts: number[] = [];
  #server: ServerProcess | undefined;
  #token = "";
  #tried = 0;
  #accepted = 0;
  #unanswered = 0;
  #miscounted = 0;
  /** How long an import takes that nobody kills. */
  #usualMs = 0;

  constructor(dataDir: string, seed: number) {
    this.#dataDir = dataDir;
    this.#seed = seed;
    this.#random = randomOf(seed);
  }

  async begin(): Promise<void> {
    await this.#start();
    const where = ["--data-dir", this.#dataDir];
    await metertreeJson([
      "account",
      "create",
      "--name",
      "Proof",
      "--username",
      "proof@example.test",
      ...where,
    ]);
    const scopes = ["--scopes", "basic,write_meters"];
    this.#token = (
      await metertreeJson(["token", "create", "--account", "proof@example.test", ...scopes, ...where])
    ).token;
    const at = performance.now();
    await this.#upload(0);
    this.#accepted++;
    await this.#settled();
    this.#usualMs = performance.now() - at;
  }

  /** One upload, one kill. */
  async cycle(cycle: number): Promise<void> {
    const upload = cycle + 1;
    const answered = this.#upload(upload).then(
      () => true,
      (error: unknown) => {
        if (error instanceof ConnectionError) return false;
        throw error;
      },
    );
    // Most of them while it is read and stored: what comes after has little to lose.
    await delay(this.#random() * 0.6 * this.#usualMs);
    await this.#count();
    await this.#kill(cycle % 2 === 1);
    const isAccepted = await answered;
    const at = performance.now();
    await this.#start();
    this.#restarts.push(performance.now() - at);
    const stored = await this.#settled();
    if (isAccepted) this.#accepted++;
    else if (stored.has(`upload ${upload}`)) this.#unanswered++;
    // It never reached the server.
    else this.#uploadOfDay = this.#before;
  }

  async verdict(cycles: number): Promise<Verdict> {
    const { compared, lost, wrong } = await this.#compare();
    const uploads = join(this.#dataDir, "uploads");
    const leftovers = readdirSync(uploads).length;
    const [accepted, unanswered, miscounted] = [this.#accepted, this.#unanswered, this.#miscounted];
    return {
      suite: "kill-import",
      seed: this.#seed,
      cycles,
      tried: this.#tried,
      accepted,
      unanswered,
      killed: this.#killed,
      compared,
      lost,
      wrong,
      miscounted,
      // A kill between taking a file in and writing it down leaves its folder to the daily tidying.
      leftovers: Math.max(0, leftovers - (this.#tried - accepted - unanswered)),
      restart_ms: Math.round(
        this.#restarts.toSorted((a, b) => a - b)[Math.floor(this.#restarts.length / 2)] ?? 0,
      ),
      ok: lost + wrong + miscounted === 0,
    };
  }

  async end(): Promise<void> {
    await this.#server?.stop();
  }

  get #client(): Client {
    return new Client({ url: this.#server!.url, token: this.#token });
  }

  async #start(): Promise<void> {
    const env = { METERTREE_RATE_PER_SECOND: "0" };
    this.#server = await server(["serve", "--data-dir", this.#dataDir, "--port", "0"], { env });
  }

  async #upload(upload: number): Promise<void> {
    this.#tried++;
    this.#before = new Map(this.#uploadOfDay);
    for (let i = 0; i < days; i++) this.#uploadOfDay.set(this.#dayOf(upload, i), upload);
    const files = [{ name: `${upload}.csv`, content: new Blob([fileOf(upload)]) }];
    await this.#client.call("POST /imports", { body: { files, active: true, source: `upload ${upload}` } });
  }

  #dayOf(upload: number, i: number): number {
    return upload * daysApart + i;
  }

  /** Notes what the import is doing. */
  async #count(): Promise<void> {
    const now = await this.#client
      .page("GET /imports", { query: { sort: "-created", limit: 1 } })
      .then(({ data }) => data[0]?.status ?? "uploading")
      .catch(() => "away");
    const doing = now === "completed" ? "uploading or done" : now;
    this.#killed[doing] = (this.#killed[doing] ?? 0) + 1;
  }

  async #kill(alsoDatabase: boolean): Promise<void> {
    this.#server!.process.kill("SIGKILL");
    if (alsoDatabase) killDatabase(this.#dataDir);
    await this.#server!.ended;
  }

  /** Waits until nothing is left to do; answers the sources of what is stored. */
  async #settled(): Promise<Set<string>> {
    for (;;) {
      const all = [];
      for await (const each of this.#client.list("GET /imports")) all.push(each);
      const open = all.filter(({ status }) => status !== "completed" && status !== "failed");
      if (open.length > 0) {
        await delay(200);
        continue;
      }
      const failed = all.find(({ status }) => status === "failed");
      if (failed !== undefined) throw new Error(`import ${failed._id} failed: ${JSON.stringify(failed)}`);
      const off = all.filter(({ result, progress }) => {
        const { values, added, replaced, unchanged, older } = result!;
        return values !== added + replaced + unchanged + older || progress.values !== values;
      });
      this.#miscounted = off.length;
      return new Set(all.map(({ source }) => source));
    }
  }

  async #compare(): Promise<{ compared: number; lost: number; wrong: number }> {
    const found = { compared: 0, lost: 0, wrong: 0 };
    const last = Math.max(...this.#uploadOfDay.keys());
    const period = `${dateOf(0)}-${dateOf(last)}`;
    for await (const { _id, ean } of this.#client.list("GET /meters")) {
      const path = { id: _id, granularity: "15min", period } as const;
      const [answer] = (await this.#client.call("GET /consumptions/{id}/{granularity}/{period}", {
        path,
      })) as {
        periods: { energy: (number | null)[] }[];
      }[];
      const values = answer!.periods[0]!.energy;
      const meter = Number(ean) - 6_100_000_000;
      for (let slot = 0; slot < values.length; slot++) {
        const upload = this.#uploadOfDay.get(Math.floor(slot / perDay));
        const expected = upload === undefined ? null : writtenValue(upload, meter, slot);
        found.compared++;
        if (values[slot] === expected) continue;
        if (values[slot] === null) found.lost++;
        else found.wrong++;
      }
    }
    const expectedAll = meters * (last + 1) * perDay;
    if (found.compared !== expectedAll) found.lost += expectedAll - found.compared;
    return found;
  }
}

function dateOf(number: number): string {
  return new Date(firstDay + number * day).toISOString().slice(0, 10).replaceAll("-", "");
}

/** A NEM12 file of quarter hours. */
function fileOf(upload: number): string {
  const lines = ["100,NEM12,202601010930,MDP1,RET1"];
  for (let meter = 0; meter < meters; meter++) {
    lines.push(`200,${meterName(meter)},E1,1,E1,N1,M,KWH,15,`);
    for (let i = 0; i < days; i++) {
      const number = upload * daysApart + i;
      const values = Array.from({ length: perDay }, (_, k) =>
        writtenValue(upload, meter, number * perDay + k),
      );
      lines.push(`300,${dateOf(number)},${values.join(",")},A,,,,`);
    }
  }
  return `${lines.join("\n")}\n900\n`;
}
