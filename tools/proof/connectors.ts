import { setTimeout as delay } from "node:timers/promises";
import { Client } from "../../client/src/client.ts";
import { metertreeJson, scratch } from "../../test/harness/process.ts";
import { add, type Compared, compare, metersOf, nothingCompared } from "./connectors/holdings.ts";
import { judge, type Outcomes, statesOfTable } from "./connectors/outcomes.ts";
import { type Connected, People } from "./connectors/people.ts";
import { Servers, type Victim } from "./connectors/servers.ts";
import { Utility } from "./connectors/utility.ts";
import { randomOf } from "./random.ts";
import { tell } from "./tell.ts";

/** What a proof found out: one line of JSON. */
export interface Verdict extends Outcomes {
  suite: string;
  seed: number;
  customers: number;
  days: number;
  browsers: number;
  held: Compared;
  /** Connections whose state was not what the table says of their last failure. */
  misstated: string[];
  /** What people had to do, because an issue asked for it. */
  people: Record<string, number>;
  kills: Record<string, number>;
  /** Processes that ended by themselves while their database was away. */
  revived: Record<string, number>;
  /** Tries with a wrong password at the utility, and logins that it locked because of them. */
  wrong_passwords: number;
  lockouts: number;
  seconds: number;
  ok: boolean;
}

export interface Options {
  seed: number;
  /** Ordinary customers of the utility, of about five meters each. */
  customers: number;
  /** Days of the utility's clock that collection goes on for. */
  days: number;
  /** So many of the customers are collected for by a real browser. */
  browsers: number;
}

const hour = 3_600_000;
const day = 24 * hour;
/** The year has both nights in which the clocks change. */
const begin = Date.UTC(2025, 0, 10, 12);
const scopes = "basic,write_meters,write_accounts,collection";
/** Runs that no worker knows for so long have lost theirs. */
const lostAfterMs = 1_000;
const victims: readonly Victim[] = ["web", "worker 1", "worker 2", "database", "browser"];

/**
 * A utility lives through a year in minutes, with all its faults drawn from the seed, while Metertree collects for all
 * its customers: half of them in subaccounts of a property manager, half in one classic account. People do what issues
 * ask for. Servers, workers and the database are killed. In the end everything that the utility has published must be
 * held, value for value, no login may be locked, and every fault must have led to the state that the table names.
 */
export async function connectors(options: Options): Promise<Verdict> {
  const folder = scratch();
  const proof = new Proof(options);
  try {
    await proof.begin(folder.path);
    await proof.live();
    return await proof.verdict();
  } finally {
    await proof.end();
    folder.remove();
  }
}

interface Tenant {
  token: string;
  connected: Connected[];
}

class Proof {
  readonly #options: Options;
  readonly #random: () => number;
  readonly #begun = performance.now();
  readonly #kills: Record<string, number> = {};
  readonly #misstated: string[] = [];
  readonly #states = statesOfTable();
  #utility!: Utility;
  #servers!: Servers;
  #tenants: Tenant[] = [];
  #people!: People;

  constructor(options: Options) {
    this.#options = options;
    this.#random = randomOf(options.seed);
  }

  get #connected(): Connected[] {
    return this.#tenants.flatMap(({ connected }) => connected);
  }

  #client(token: string, subaccount?: string): Client {
    return new Client({
      url: this.#servers.url,
      token,
      retriesMax: 5,
      ...(subaccount === undefined ? {} : { subaccount }),
    });
  }

  async begin(folder: string): Promise<void> {
    const { seed, customers, days } = this.#options;
    this.#utility = await Utility.open({ seed, customers, now: begin });
    this.#servers = await Servers.open(folder, { env: {} });
    this.#servers.moveTo(begin);
    const all = await this.#utility.customers();
    const chosen = all.filter(({ username, isOrdinary }) => isOrdinary || username === "code");
    for (const structure of ["property_manager", "classic"] as const) {
      const rest = structure === "property_manager" ? 0 : 1;
      this.#tenants.push(
        await this.#connect(
          structure,
          chosen.filter((_, i) => i % 2 === rest),
        ),
      );
    }
    this.#people = new People(this.#utility, this.#connected);
    const usernames = all.filter(({ isOrdinary }) => isOrdinary).map(({ username }) => username);
    // A third of them concern everybody, so that their number does not grow with the customers.
    const until = begin + days * day;
    await this.#utility.draw({ seed, until, count: Math.ceil(days / 5), usernames });
    tell(`${chosen.length} connections of two accounts`);
  }

  /** An account of a structure, with a connection for each of these customers. */
  async #connect(
    structure: "property_manager" | "classic",
    customers: readonly { username: string; password: string }[],
  ): Promise<Tenant> {
    const name = `${structure}@example.test`;
    const run = (words: string[]) => metertreeJson(words, { env: this.#servers.env });
    await run(["account", "create", "--name", structure, "--username", name]);
    const { token } = await run(["token", "create", "--account", name, "--scopes", scopes]);
    if (this.#servers.url === "") await this.#servers.start();
    const client = this.#client(token);
    const me = { id: "me" };
    await client.call("POST /accounts/{id}/structure", { path: me, body: { structure } });
    await client.call("POST /inbox_rules", { body: { name: "Everything", actions: { box: "active" } } });
    const connected: Connected[] = [];
    for (const [i, { username, password }] of customers.entries()) {
      const body = { name: username, custom_identifier: username };
      const account =
        structure === "classic"
          ? undefined
          : (await client.call("POST /accounts/{id}/subaccounts", { path: me, body }))._id;
      const { _id } = await client.call("POST /connections", {
        body: {
          // Half of the browsers for each account.
          provider: 2 * i < this.#options.browsers ? "demo-browser" : "demo-http",
          name: username,
          credentials: { url: this.#utility.url, username, password },
          ...(account === undefined ? {} : { account }),
        },
      });
      connected.push({ id: _id, username, password, connect: () => this.#client(token) });
    }
    return { token, connected };
  }

  /** Lets time pass in steps of hours; within each one everything that is due is done, or killed meanwhile. */
  async live(): Promise<void> {
    const end = begin + this.#options.days * day;
    await this.#settle();
    while (this.#servers.now() < end) {
      const next = Math.round(this.#servers.now() + (6 + 12 * this.#random()) * hour);
      await this.#utility.moveTo(next);
      this.#servers.moveTo(next);
      await this.#trouble();
      await this.#settle();
      await this.#lookAtStates();
      for (const { token } of this.#tenants) await this.#people.act(this.#client(token), this.#servers.now());
      tell(new Date(this.#servers.now()).toISOString().slice(0, 13));
    }
  }

  /** Now and then something is killed, or goes wrong for one customer until a person does something about it. */
  async #trouble(): Promise<void> {
    const now = this.#servers.now();
    const pick = <Item>(items: readonly Item[]) => items[Math.floor(this.#random() * items.length)]!;
    if (this.#random() < 0.15) {
      const { username } = pick(this.#connected);
      const kind = pick(["account_locked", "captcha", "consent"] as const);
      await this.#utility.order({ kind, username, until: now + (1 + 3 * this.#random()) * day });
    }
    if (this.#random() < 0.1) await this.#people.changePassword(pick(this.#connected), now);
    if (this.#random() < 0.02) await this.#utility.order({ kind: "gone", seconds: 3 });
    if (this.#random() < 0.2) {
      await delay(1500 * this.#random());
      const victim = pick(
        this.#options.browsers === 0 ? victims.filter((each) => each !== "browser") : victims,
      );
      let isKilled = await this.#servers.kill(victim);
      // A browser is there only while it is needed.
      for (let tries = 0; !isKilled && tries < 20; tries++) {
        await delay(250);
        isKilled = await this.#servers.kill(victim);
      }
      if (isKilled) this.#kills[victim] = (this.#kills[victim] ?? 0) + 1;
    }
  }

  /**
   * Waits until nothing is due at a provider that is asked, and no run is on. Runs of a worker that was killed are due
   * when their lease has ended, and hold places of the provider until then: when only such are on, that is now.
   */
  async #settle(): Promise<void> {
    const coded = this.#connected.filter(({ username }) => username === "code");
    let lost = { runs: "", since: 0 };
    for (;;) {
      const { due, running, alive } = await this.#servers.runs();
      if (due === 0 && running.length === 0) return;
      await this.#servers.revive();
      const runs = alive === 0 ? running.map(({ id }) => id).join() : "";
      if (runs === "" || runs !== lost.runs) lost = { runs, since: performance.now() };
      // One that was begun a moment ago may not be known to its worker yet.
      if (runs !== "" && performance.now() - lost.since > lostAfterMs) {
        const then = Math.max(...running.map(({ until }) => until), this.#servers.now()) + 1000;
        await this.#utility.moveTo(then);
        this.#servers.moveTo(then);
      }
      for (const each of coded) await this.#people.enterCode(each);
      await delay(150);
    }
  }

  /** Every connection must be in the state that the table names for its last failure. */
  async #lookAtStates(): Promise<void> {
    for (const { token } of this.#tenants) {
      const client = this.#client(token);
      for await (const { _id, name, state, failure } of client.list("GET /connections")) {
        const named = failure === null ? "collecting" : this.#states.get(failure);
        if (named === "as before" || state === named) continue;
        const query = { sort: "-began", limit: 1 };
        const runs = await client.page("GET /connections/{id}/runs", { path: { id: _id }, query });
        // Nothing is known of a provider that a run could not ask to the end; it is repeated soon.
        if (state === "checking" && runs.data[0]?.outcome === "interrupted") continue;
        if (this.#misstated.length < 10) this.#misstated.push(`${name}: ${state} after ${failure}`);
      }
    }
  }

  async verdict(): Promise<Verdict> {
    const { seed, customers, days, browsers } = this.#options;
    tell("the year is over; every connection runs once more while the utility's clock stands still");
    const at = await this.#finish();
    const years = [...new Set([begin - 410 * day, begin - 365 * day, begin, at].map(yearOf))];
    const held = nothingCompared();
    for (const { token, connected } of this.#tenants) {
      const client = this.#client(token);
      const ids = await metersOf(client);
      for (const each of connected) {
        const found = await compare({ client, ids, utility: this.#utility }, { connected: each, at, years });
        add(held, found);
        held.meters += found.meters;
        held.unknown += found.unknown;
      }
    }
    tell("every run is held against the faults of its time");
    const passwords = this.#people.outdated.map((spell, i) => ({
      ...spell,
      id: `password ${i}`,
      kind: "password",
      variant: undefined,
      isShort: false,
      hits: 1,
    }));
    const outcomes = await judge(this.#connected, [...(await this.#utility.faults()), ...passwords]);
    const names = new Set(this.#connected.map(({ username }) => username));
    const logins = (await this.#utility.logins()).filter(({ username }) => names.has(username));
    const sum = (of: "wrong" | "lockouts") => logins.reduce((total, each) => total + each[of], 0);
    const isSame = held.compared > 0 && held.unknown + held.missing + held.extra + held.wrong === 0;
    return {
      suite: "connectors",
      seed,
      customers,
      days,
      browsers,
      held,
      ...outcomes,
      misstated: this.#misstated,
      people: this.#people.done,
      kills: this.#kills,
      revived: this.#servers.revived,
      wrong_passwords: sum("wrong"),
      lockouts: sum("lockouts"),
      seconds: Math.round((performance.now() - this.#begun) / 1000),
      ok:
        isSame && sum("lockouts") === 0 && outcomes.unexplained.length === 0 && this.#misstated.length === 0,
    };
  }

  /** The last faults pass, and everybody reads what is published now; returns when that is. */
  async #finish(): Promise<number> {
    // The longest fault of one customer has passed by then; what people do about it shows in the rounds that follow.
    for (const hours of [5 * 24, 2, 2]) {
      const next = this.#servers.now() + hours * hour;
      await this.#utility.moveTo(next);
      this.#servers.moveTo(next);
      await this.#settle();
      for (const { token } of this.#tenants) await this.#people.act(this.#client(token), next);
      await this.#settle();
    }
    const at = await this.#utility.stand();
    for (const { id, connect } of this.#connected) {
      const { state } = await connect().call("GET /connections/{id}", { path: { id } });
      if (state !== "contract_ended") await connect().call("POST /connections/{id}/run", { path: { id } });
    }
    await this.#settle();
    return at;
  }

  async end(): Promise<void> {
    await this.#servers?.stop();
    await this.#utility?.close();
  }
}

const yearOf = (at: number) => new Date(at).getUTCFullYear();
