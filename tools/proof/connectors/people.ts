import { ApiError, type Client } from "../../../client/src/client.ts";
import type { Utility } from "./utility.ts";

/** A customer of the utility, and the connection that collects for it. */
export interface Connected {
  id: string;
  username: string;
  /** The first one. */
  password: string;
  /** Acts in the account that made the connection. */
  connect(): Client;
}

/** Faults that end only when a person has done something at the utility. */
const personal = new Set(["account_locked", "captcha", "consent"]);
/** Issues that a run ends, once a person has done what the utility asks for. */
const runAgain = new Set(["consent_expired", "person_needed", "waiting_for_code"]);
/** The demo utility sends the same code every time. */
const code = "123456";

/**
 * What people do about issues: they enter the password that is right now, pass the picture or the new terms and ask for
 * a run, and read codes out of their messages. They do it when an issue says so, not before.
 */
export class People {
  readonly done: Record<string, number> = {};
  /** From when to when a connection had a password that was not right any more. */
  readonly outdated: { username: string; from: number; until: number }[] = [];
  readonly #utility: Utility;
  readonly #connected: ReadonlyMap<string, Connected>;
  /** Passwords as they stand in the connections. */
  readonly #entered = new Map<string, string>();
  #changes = 0;

  constructor(utility: Utility, connected: readonly Connected[]) {
    this.#utility = utility;
    this.#connected = new Map(connected.map((each) => [each.id, each]));
    for (const { id, password } of connected) this.#entered.set(id, password);
  }

  #note(what: string): void {
    this.done[what] = (this.done[what] ?? 0) + 1;
  }

  /** A customer gets another password at the utility, and tells nobody. */
  async changePassword({ username }: Connected, now: number): Promise<string> {
    const password = `changed ${++this.#changes}`;
    await this.#utility.changePassword(username, password);
    this.outdated.push({ username, from: now, until: Number.POSITIVE_INFINITY });
    this.#note("passwords changed");
    return password;
  }

  /** Looks at the open issues of an account and does what they ask for, where the time for it has come. */
  async act(client: Client, now: number): Promise<void> {
    const faults = (await this.#utility.faults()).filter(
      ({ kind, from, until }) => personal.has(kind) && from <= now && now < until,
    );
    const isOver = (username: string) => !faults.some((fault) => fault.username === username);
    for await (const { kind, connection } of client.list("GET /issues", { query: { state: "open" } })) {
      const connected = this.#connected.get(connection._id);
      if (connected === undefined || !isOver(connected.username)) continue;
      if (kind === "credentials_refused") await this.#enterPassword(connected, now);
      else if (runAgain.has(kind)) {
        await connected.connect().call("POST /connections/{id}/run", { path: { id: connected.id } });
        this.#note(`${kind}: a run asked for`);
      }
    }
  }

  async #enterPassword(connected: Connected, now: number): Promise<void> {
    const { id, username } = connected;
    const path = { id };
    let password = await this.#utility.passwordOf(username);
    // A login that was locked is opened with another password.
    if (password === this.#entered.get(id)) password = await this.changePassword(connected, now);
    const of = connected.connect();
    const { credentials } = await of.call("GET /connections/{id}", { path });
    await of.call("PUT /connections/{id}", { path, body: { credentials: { ...credentials, password } } });
    this.#entered.set(id, password);
    for (const each of this.outdated) {
      if (each.username === username) each.until = Math.min(each.until, now);
    }
    this.#note("passwords entered");
  }

  /** Enters the code that a login waits for, if one does. */
  async enterCode(connected: Connected): Promise<void> {
    const path = { id: connected.id };
    const { code: asked } = await connected.connect().call("GET /connections/{id}", { path });
    if (asked === null) return;
    try {
      await connected.connect().call("POST /connections/{id}/code", { path, body: { code } });
      this.#note("codes entered");
    } catch (error) {
      // The login was that of a worker that is dead; another one will ask.
      if (!(error instanceof ApiError && error.code === 409)) throw error;
    }
  }
}
