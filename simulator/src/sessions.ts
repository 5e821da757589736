import { randomBytes } from "node:crypto";

/** A visit of the pages. */
export interface Session {
  id: string;
  /** Must come back with every form. */
  csrf: string;
  /** `code`: the password was right, the code is awaited; `blocked`: a person has to do something first. */
  stage: "new" | "code" | "blocked" | "in";
  username: string | null;
  /** Requests since the login. */
  requests: number;
  /** By the machine's clock, epoch milliseconds. */
  expiresAt: number;
}

const idleMs = 15 * 60_000;
const sessionsMax = 10_000;

/** Sessions that end after a quarter of an hour without a request. */
export class Sessions {
  readonly #sessions = new Map<string, Session>();
  readonly #lived: () => number;

  constructor(lived: () => number) {
    this.#lived = lived;
  }

  /** The session with an id, or a new one. */
  open(id: string | undefined): Session {
    const found = this.#sessions.get(id ?? "");
    if (found !== undefined && found.expiresAt > this.#lived()) {
      found.expiresAt = this.#lived() + idleMs;
      return found;
    }
    return this.begin("new", null);
  }

  /** A session with a new id: what was known before the login does not open what comes after. */
  begin(stage: Session["stage"], username: string | null): Session {
    const session: Session = {
      id: randomBytes(18).toString("base64url"),
      csrf: randomBytes(18).toString("base64url"),
      stage,
      username,
      requests: 0,
      expiresAt: this.#lived() + idleMs,
    };
    // The oldest goes, so that visitors who never return do not fill the memory.
    if (this.#sessions.size >= sessionsMax) this.end(this.#sessions.keys().next().value!);
    this.#sessions.set(session.id, session);
    return session;
  }

  end(id: string): void {
    this.#sessions.delete(id);
  }
}
