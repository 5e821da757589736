import type { FaultBook } from "./faults.ts";
import type { Customer, World } from "./world.ts";

/** Attempts of one customer. */
export interface Attempts {
  username: string;
  attempts: number;
  wrong: number;
  /** How often the account was locked by wrong passwords. */
  lockouts: number;
  locked: boolean;
}

/** How an attempt ended; `person`: a picture, or terms that somebody must accept. */
export type LoginEnd = "in" | "code" | "wrong" | "locked" | "captcha" | "consent";

/** Wrong passwords in a row that lock an account. */
export const wrongMax = 3;
const namesMax = 5000;
/** The code that customers with a second step receive. */
export const reservedCode = "123456";

/** Who tried to log in, and how it ended. */
export class Logins {
  readonly #seen = new Map<string, Attempts & { inARow: number }>();
  readonly #world: World;
  readonly #faults: FaultBook;

  constructor(world: World, faults: FaultBook) {
    this.#world = world;
    this.#faults = faults;
  }

  /** An attempt with a password, on the pages or the API. */
  attempt(username: string, password: string): { end: LoginEnd; customer: Customer | undefined } {
    const customer = this.#world.customers.get(username);
    const seen = this.#of(username);
    seen.attempts++;
    if (seen.locked || this.#faults.meet("account_locked", username) !== undefined) {
      return { end: "locked", customer };
    }
    const isRefused = customer !== undefined && this.#faults.meet("wrong_password", username) !== undefined;
    if (customer?.password !== password || isRefused) {
      seen.wrong++;
      if (++seen.inARow >= wrongMax) {
        seen.locked = true;
        seen.lockouts++;
      }
      return { end: seen.locked ? "locked" : "wrong", customer };
    }
    seen.inARow = 0;
    if (this.#faults.meet("captcha", username) !== undefined) return { end: "captcha", customer };
    if (this.#faults.meet("consent", username) !== undefined) return { end: "consent", customer };
    return { end: customer.hasCode ? "code" : "in", customer };
  }

  unlock(username: string): void {
    const seen = this.#of(username);
    seen.locked = false;
    seen.inARow = 0;
  }

  list(): Attempts[] {
    return [...this.#seen.values()].map(({ inARow: _inARow, ...attempts }) => attempts);
  }

  #of(username: string) {
    let seen = this.#seen.get(username);
    if (seen === undefined) {
      if (this.#seen.size >= namesMax) this.#seen.delete(this.#seen.keys().next().value!);
      this.#seen.set(
        username,
        (seen = { username, attempts: 0, wrong: 0, lockouts: 0, locked: false, inARow: 0 }),
      );
    }
    return seen;
  }
}
