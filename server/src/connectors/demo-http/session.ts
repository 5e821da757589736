import { type HttpAnswer, ProviderFailure, type Visit } from "../../collection/connector.ts";
import { codePrompt, codePromptAgain, cookie, filled, type Login, refusalOf, seen } from "./login.ts";
import { alertOf, changed } from "./page.ts";

/** The customer pages of one visit: logs in when it must. */
export class Pages {
  readonly #visit: Visit<Login>;
  /** The session of an earlier run, as long as nothing newer is known: who is asked for codes is asked less often. */
  #remembered: string | undefined;

  constructor(visit: Visit<Login>) {
    this.#visit = visit;
    this.#remembered = visit.memory.get(cookie);
  }

  /**
   * A page behind the login. A session that is lost on the way is begun anew, once for each page.
   * @throws ProviderFailure of the kind of what stands in the way
   */
  async get(path: string, query: Readonly<Record<string, string>> = {}): Promise<HttpAnswer> {
    const first = await this.#ask(path, query);
    if (!leadsTo(first, "/login")) return seen(first);
    await this.#logIn();
    const second = await this.#ask(path, query);
    if (leadsTo(second, "/login")) throw new ProviderFailure("unreachable", "the session is lost at once");
    return seen(second);
  }

  /** A page is asked for once more when the first answer is an error of theirs. */
  async #ask(path: string, query: Readonly<Record<string, string>> = {}): Promise<HttpAnswer> {
    const request = { query, redirectsMax: 0, headers: this.#headers() };
    const { http, settings } = this.#visit;
    const url = new URL(path, settings.url).href;
    try {
      return await http.send(url, request);
    } catch (error) {
      if (!(error instanceof ProviderFailure) || error.kind !== "unreachable") throw error;
      return http.send(url, request);
    }
  }

  #headers(): Record<string, string> {
    const headers: Record<string, string> = { "accept-language": "sv" };
    if (this.#remembered !== undefined) headers.cookie = `${cookie}=${this.#remembered}`;
    return headers;
  }

  async #post(path: string, form: Record<string, string>): Promise<HttpAnswer> {
    const { http, settings } = this.#visit;
    const headers = this.#headers();
    return http.send(new URL(path, settings.url).href, { form, redirectsMax: 0, headers });
  }

  async #logIn(): Promise<void> {
    const { settings, memory, http, step } = this.#visit;
    step("log in");
    this.#remembered = undefined;
    const page = seen(await this.#ask("/login")).text();
    const form = filled(page, "/login", { username: settings.username, password: settings.password });
    const answer = await this.#post("/login", form);
    if (leadsTo(answer, "/code")) await this.#enterCode();
    else if (!leadsTo(answer, "/overview")) throw refusalOf(answer);
    await memory.set(cookie, http.cookie(cookie, settings.url) ?? null);
  }

  /** The utility takes three codes of a login, then it wants the password again. */
  async #enterCode(): Promise<void> {
    let page = seen(await this.#ask("/code")).text();
    for (let wrong = 0; ; wrong++) {
      filled(page, "/code", { code: "" });
      const code = await this.#visit.askCode(wrong === 0 ? codePrompt : codePromptAgain);
      const answer = await this.#post("/code", filled(page, "/code", { code }));
      if (leadsTo(answer, "/overview")) return;
      if (leadsTo(answer, "/login")) throw new ProviderFailure("code", "the code is wrong or too old");
      page = seen(answer).text();
      if (alertOf(page) !== "Fel kod.") throw changed("an unknown answer to the code", page);
    }
  }
}

function leadsTo({ status, headers, url }: HttpAnswer, path: string): boolean {
  return status === 303 && URL.parse(headers.location ?? "", url)?.pathname === path;
}
