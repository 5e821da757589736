import { type HttpAnswer, ProviderFailure, type Visit } from "../../collection/connector.ts";

interface Login {
  username: string;
  password: string;
}

/** A token that ends sooner is not used: a request that is refused may count as a question that was put. */
const restMs = 600_000;

/** The private API of one visit: logs in when it must. Tokens last a day and are kept. */
export class Session {
  readonly #visit: Visit<Login>;
  readonly #origin: string;
  #token: string | undefined;

  constructor(visit: Visit<Login>, origin: string) {
    this.#visit = visit;
    this.#origin = origin;
    const kept = visit.memory.get("token");
    if (kept !== undefined && endOf(kept) - visit.now > restMs) this.#token = kept;
  }

  /**
   * Asks the private API, and once more with a new token when the old one is refused.
   * @throws ProviderFailure `unreachable` for 5xx and maintenance, `credentials` when the login is refused, `busy` for
   *   429: without a time when the question was put in the last 24 hours
   */
  async get(path: string, query: Readonly<Record<string, string>>): Promise<HttpAnswer> {
    const isNew = this.#token === undefined;
    const first = await this.#ask(path, query);
    if (first.status !== 401) return first;
    if (isNew) throw new ProviderFailure("unreachable", "the token is refused at once");
    this.#token = undefined;
    const second = await this.#ask(path, query);
    if (second.status === 401) throw new ProviderFailure("unreachable", "the token is refused at once");
    return second;
  }

  async #ask(path: string, query: Readonly<Record<string, string>>): Promise<HttpAnswer> {
    const token = (this.#token ??= await this.#logIn());
    const answer = await this.#visit.http.send(`${this.#origin}/api-private/api/${path}`, {
      query,
      headers: { ...headers, authorization: `Bearer ${token}` },
      redirectsMax: 0,
      anyStatus: true,
      timeoutMs: 180_000,
    });
    if (answer.status === 429) throw busy(answer);
    if (answer.status >= 500) throw new ProviderFailure("unreachable", `${path}: answered ${answer.status}`);
    if (answer.status === 200) expectNoPage(answer);
    return answer;
  }

  async #logIn(): Promise<string> {
    const { http, settings, memory, step } = this.#visit;
    step("log in");
    const { username, password } = settings;
    const answer = await http.send(`${this.#origin}/nikola-auth/tokens/login`, {
      form: { username, password },
      headers,
      redirectsMax: 0,
    });
    if (answer.status === 401 || answer.status === 403) {
      throw new ProviderFailure("credentials", "the login is refused");
    }
    expectNoPage(answer);
    const token = answer.text().trim();
    if (answer.status !== 200 || Number.isNaN(endOf(token))) {
      throw new ProviderFailure("changed", `an unknown answer to the login: ${answer.status}`, {
        page: answer.text(),
        isLogin: true,
      });
    }
    await memory.set("token", token);
    return token;
  }
}

function busy(answer: HttpAnswer): ProviderFailure {
  if (answer.text().includes("24 horas")) {
    return new ProviderFailure("busy", "Datadis has heard this question in the last 24 hours");
  }
  const wait = answer.headers["retry-after"] ?? "";
  return new ProviderFailure("busy", "too many requests", {
    retryAfterSeconds: /^\d{1,9}$/.test(wait) ? Number(wait) : 3_600,
  });
}

/** Answers are said to be compressed when they are not; without `accept` they are refused. */
const headers = { accept: "application/json, text/plain", "accept-encoding": "identity" };

/** During maintenance there is a web page in the place of everything. */
function expectNoPage(answer: HttpAnswer): void {
  if (answer.text().trimStart().startsWith("<")) {
    throw new ProviderFailure("unreachable", "a web page in the place of an answer");
  }
}

/** When a token ends, epoch ms; NaN for what is none. */
function endOf(token: string): number {
  const payload = /^[\w-]+\.([\w-]+)\.[\w-]*$/.exec(token)?.[1];
  if (payload === undefined) return Number.NaN;
  try {
    const { exp } = JSON.parse(Buffer.from(payload, "base64url").toString()) as { exp?: unknown };
    return typeof exp === "number" ? exp * 1_000 : Number.NaN;
  } catch {
    return Number.NaN;
  }
}
