import type { Deps } from "../platform/deps.ts";
import { repeat } from "../platform/repeat.ts";
import type { Ask } from "./ask.ts";
import type { DemoUtility } from "./utility.ts";

/** What is read of a connection. */
interface Connection {
  _id: string;
  name: string | null;
  state: string;
  what_to_do: string;
  credentials: { url?: string };
  running: object | null;
  next_run: string | null;
  discovered: string | null;
  collected: string | null;
}

interface Run {
  _id: string;
  outcome: string;
  seconds: number | null;
  counts: { meters?: number; added?: number; replaced?: number; invoices?: number };
}

/** How far the telling about a connection has come. */
interface Told {
  state: string;
  /** Changes with everything that a run writes down. */
  mark: string;
  runs: Set<string>;
  meters: number | undefined;
  values: number;
  hasHistory: boolean;
}

export interface ArrivalsOptions {
  ask: Ask;
  utility: Pick<DemoUtility, "url" | "now" | "keep">;
  clock: Deps["clock"];
  log: Pick<Deps["log"], "warn">;
}

const dayMs = 86_400_000;
/** Days are published until ten in the morning of the next one, in Stockholm. */
const publishedMs = 11 * 3_600_000;
const lookMs = 500;
/** A step of the history begins a second after the one before it. */
const stepMs = 10_000;

/** States of which nobody needs to be told. */
const quiet: readonly string[] = ["checking", "collecting", "paused"];

/** Tells what connections bring, and lets them run when the demo utility has published a day. */
export class Arrivals {
  readonly #options: ArrivalsOptions;
  readonly #told = new Map<string, Told>();
  #day: number;
  #say: (line: string) => void = () => undefined;
  #end: () => void = () => undefined;
  #isFailing = false;
  #isOver = false;
  /** A published day, the connections that fetch it, and the values that have come; null while none is waited for. */
  #arriving: { day: number; ids: Set<string>; values: number } | null = null;

  constructor(options: ArrivalsOptions) {
    this.#options = options;
    this.#day = this.#published();
  }

  /** Begins; unless everything is new, what is there already is not told. */
  begin(tell: (line: string) => void, { isNew }: { isNew: boolean }): void {
    this.#say = tell;
    let isKnown = isNew;
    const work = async () => {
      if (!isKnown) await this.#know();
      isKnown = true;
      await this.look();
      this.#isFailing = false;
    };
    const { log } = this.#options;
    const failed = (error: unknown) => {
      // The next look may succeed, and the server that stops fails them all.
      if (!this.#isFailing && !this.#isOver) log.warn({ err: error }, "what arrives could not be told");
      this.#isFailing = true;
    };
    const stop = repeat(lookMs, () => work().catch(failed), failed);
    this.#end = () => {
      this.#isOver = true;
      stop();
    };
  }

  /** Ends it. */
  end(): void {
    this.#end();
  }

  async #know(): Promise<void> {
    for (const connection of await this.#connections()) {
      const runs = (await this.#runs(connection)).filter(({ outcome }) => outcome !== "running");
      if (runs.length === 0) continue;
      const { state } = connection;
      const ids = new Set(runs.map(({ _id }) => _id));
      this.#told.set(connection._id, {
        state,
        mark: markOf(connection),
        runs: ids,
        meters: 0,
        values: 0,
        hasHistory: true,
      });
    }
  }

  /** Looks once. */
  async look(): Promise<void> {
    const connections = await this.#connections();
    for (const connection of connections) await this.#follow(connection);
    this.#tellDay(connections);
    const day = this.#published();
    if (day === this.#day) return;
    this.#day = day;
    this.#options.utility.keep();
    await this.#letRun(connections, day);
  }

  #published(): number {
    return Math.floor((this.#options.utility.now() - publishedMs) / dayMs) - 1;
  }

  #connections(): Promise<Connection[]> {
    return this.#options.ask("GET", "/connections?limit=300");
  }

  #runs({ _id }: Connection): Promise<Run[]> {
    return this.#options.ask("GET", `/connections/${_id}/runs?sort=-began&limit=50`);
  }

  async #follow(connection: Connection): Promise<void> {
    const told = this.#told.get(connection._id) ?? this.#begin(connection);
    const mark = markOf(connection);
    if (mark === told.mark) return;
    told.mark = mark;
    const runs = (await this.#runs(connection)).filter(
      ({ _id, outcome }) => outcome !== "running" && !told.runs.has(_id),
    );
    for (const run of runs.reverse()) this.#addRun(connection, told, run);
    if (connection.state !== told.state) {
      told.state = connection.state;
      const { state, what_to_do } = connection;
      if (!quiet.includes(state)) this.#tell(connection, `${state.replaceAll("_", " ")}. ${what_to_do}`);
    }
  }

  #begin(connection: Connection): Told {
    const told: Told = {
      state: "checking",
      mark: "",
      runs: new Set(),
      meters: undefined,
      values: 0,
      hasHistory: false,
    };
    this.#told.set(connection._id, told);
    this.#tell(connection, "checking");
    return told;
  }

  #addRun(connection: Connection, told: Told, { _id, seconds, outcome, counts }: Run): void {
    const values = (counts.added ?? 0) + (counts.replaced ?? 0);
    const isFirst = told.values === 0 && values > 0;
    told.runs.add(_id);
    told.values += values;
    const { meters, invoices = 0 } = counts;
    if (this.#arriving?.ids.has(connection._id)) this.#arriving.values += values;
    if (outcome !== "complete") return;
    const news: string[] = [];
    if (told.meters === undefined && meters !== undefined) {
      told.meters = meters;
      news.push(`${meters} meters found`);
    }
    if (invoices > 0) news.push(`${count(invoices)} invoices`);
    if (isFirst && !told.hasHistory)
      news.push(`the first ${count(values)} values after ${seconds?.toFixed(1)} s`);
    if (news.length > 0) this.#tell(connection, news.join(", "));
    if (told.hasHistory || told.values === 0 || !hasPause(connection)) return;
    told.hasHistory = true;
    this.#tell(connection, `${count(told.values)} values, the whole history`);
  }

  /** A day was published: connections that work fetch it. */
  async #letRun(connections: readonly Connection[], day: number): Promise<void> {
    const { ask, utility } = this.#options;
    const those = connections.filter(
      ({ _id, state, credentials, running }) =>
        state === "collecting" &&
        running === null &&
        credentials.url === utility.url &&
        // What the history brings would be taken for news.
        this.#told.get(_id)?.hasHistory,
    );
    this.#arriving = { day, ids: new Set(those.map(({ _id }) => _id)), values: 0 };
    for (const { _id } of those) await ask("POST", `/connections/${_id}/run`);
  }

  /** Tells what a published day has brought when all who fetch it are done. */
  #tellDay(connections: readonly Connection[]): void {
    if (this.#arriving === null) return;
    const { day, ids, values } = this.#arriving;
    const now = this.#options.clock.now();
    const isOn = ({ _id, running, next_run }: Connection) =>
      ids.has(_id) && (running !== null || (next_run !== null && Date.parse(next_run) <= now));
    if (connections.some(isOn)) return;
    this.#arriving = null;
    const date = new Date(day * dayMs).toISOString().slice(0, 10);
    if (values > 0) this.#say(`  ${date} is published: ${count(values)} values arrived`);
  }

  #tell({ name, _id }: Connection, what: string): void {
    this.#say(`  ${(name ?? _id).padEnd(25)} ${what}`);
  }
}

const count = (number: number) => number.toLocaleString("en");

/** Does nothing follow at once? Then what the provider has of the past is there. */
function hasPause({ next_run, collected }: Connection): boolean {
  if (next_run === null || collected === null) return false;
  return Date.parse(next_run) > Date.parse(collected) + stepMs;
}

const markOf = ({ state, discovered, collected, running, next_run }: Connection) =>
  JSON.stringify([state, discovered, collected, running === null, next_run]);
