import { type HttpAnswer, ProviderFailure, type Visit } from "../../collection/connector.ts";
import {
  codePrompt,
  codePromptAgain,
  cookie,
  filled,
  type Login,
  refusalOf,
  seen,
} from "../demo-http/login.ts";
import { alertOf, changed } from "../demo-http/page.ts";
import type { CustomerPages } from "../demo-http/reading.ts";

/** The customer pages of one visit, as a person uses them: logs in when it must. */
export class BrowserPages implements CustomerPages {
  readonly #visit: Visit<Login>;
  #hasBegun = false;

  constructor(visit: Visit<Login>) {
    this.#visit = visit;
  }

  /**
   * A page or file behind the login. A session that is lost on the way is begun anew, once for each page.
   * @throws ProviderFailure of the kind of what stands in the way
   */
  async get(path: string, query: Readonly<Record<string, string>> = {}): Promise<HttpAnswer> {
    await this.#begin();
    const first = await this.#ask(path, query);
    if (!isAt(first, "/login")) return seen(first);
    await this.#logIn(first);
    const second = await this.#ask(path, query);
    if (isAt(second, "/login")) throw new ProviderFailure("unreachable", "the session is lost at once");
    return seen(second);
  }

  /** The session of an earlier run is tried first: who is asked for codes is asked less often. */
  async #begin(): Promise<void> {
    if (this.#hasBegun) return;
    this.#hasBegun = true;
    const { browser, memory, settings } = this.#visit;
    const remembered = memory.get(cookie);
    if (remembered !== undefined) await browser.setCookie(cookie, remembered, settings.url);
  }

  /** What failed because of an error of theirs is tried once more. */
  async #ask(path: string, query: Readonly<Record<string, string>>): Promise<HttpAnswer> {
    const ask = () => (path.endsWith("/values.csv") ? this.#download(path, query) : this.#open(path, query));
    try {
      return await ask();
    } catch (error) {
      if (!(error instanceof ProviderFailure) || error.kind !== "unreachable") throw error;
      return ask();
    }
  }

  #open(path: string, query: Readonly<Record<string, string>> = {}): Promise<HttpAnswer> {
    const url = new URL(path, this.#visit.settings.url);
    for (const [name, value] of Object.entries(query)) url.searchParams.set(name, value);
    return this.#visit.browser.open(url.href);
  }

  /** A file of values: the form on the page of its meter. What stands in the way is returned as it is. */
  async #download(
    path: string,
    { resolution, ...days }: Readonly<Record<string, string>>,
  ): Promise<HttpAnswer> {
    const { browser } = this.#visit;
    const meter = path.replace(/\/values\.csv$/, "");
    const page = await this.#open(meter);
    if (page.status !== 200 || !isAt(page, meter)) return page;
    seen(page);
    const form = `form[action="${path}"]:has(input[name="resolution"][value="${resolution}"])`;
    for (const [name, day] of Object.entries(days)) await browser.fill(`${form} input[name="${name}"]`, day);
    return browser.press(`${form} button:not([formaction])`);
  }

  async #logIn(shown: HttpAnswer): Promise<void> {
    const { settings, memory, browser, step } = this.#visit;
    step("log in");
    filled(seen(shown).text(), "/login", { username: "", password: "" });
    await browser.fill("input[name=username]", settings.username);
    await browser.fill("input[name=password]", settings.password);
    // Whatever the page behind the login is: this is about the login.
    const answer = await browser
      .press("form[action='/login'] button", { anyStatus: true })
      .catch((error: unknown) => {
        throw atLogin(error);
      });
    if (isAt(answer, "/code")) await this.#enterCode(answer);
    else if (!isAt(answer, "/overview")) throw withStatus(answer) ?? refusalOf(answer);
    await memory.set(cookie, (await browser.cookie(cookie, settings.url)) ?? null);
  }

  /** The utility takes three codes of a login, then it wants the password again. */
  async #enterCode(shown: HttpAnswer): Promise<void> {
    const { browser } = this.#visit;
    let page = seen(shown).text();
    for (let wrong = 0; ; wrong++) {
      filled(page, "/code", { code: "" });
      const code = await this.#visit.askCode(wrong === 0 ? codePrompt : codePromptAgain);
      if (!/^\d{6}$/.test(code)) {
        // The page does not let it be sent.
        if (wrong < 2) continue;
        throw new ProviderFailure("code", "a code has six digits");
      }
      await browser.fill("input[name=code]", code);
      const answer = await browser.press("form[action='/code'] button", { anyStatus: true });
      if (isAt(answer, "/overview")) return;
      const failure = withStatus(answer);
      if (failure !== undefined) throw failure;
      if (isAt(answer, "/login")) throw new ProviderFailure("code", "the code is wrong or too old");
      page = seen(answer).text();
      if (alertOf(page) !== "Fel kod.") throw changed("an unknown answer to the code", page);
    }
  }
}

const isAt = ({ url }: HttpAnswer, path: string) => URL.parse(url)?.pathname === path;

function withStatus({ status }: HttpAnswer): ProviderFailure | undefined {
  if (status !== 429 && status < 500) return undefined;
  return new ProviderFailure(
    status === 429 ? "busy" : "unreachable",
    `the login was answered with ${status}`,
  );
}

/** The password was sent, and nobody knows what became of it: that is told, so that it is not sent for ever. */
function atLogin(error: unknown): unknown {
  if (!(error instanceof ProviderFailure) || error.kind !== "changed") return error;
  const { kind, message, page } = error;
  return new ProviderFailure(kind, message, { isLogin: true, ...(page === undefined ? {} : { page }) });
}
