import {
  type FailureKind,
  type HttpAnswer,
  ProviderFailure,
  type Visit,
} from "../../collection/connector.ts";
import { alertOf, changed, formOf, headingOf } from "./page.ts";

/** What a customer enters. */
export interface Login {
  url: string;
  username: string;
  password: string;
}

const refusals = new Set([
  "Fel användarnamn eller lösenord.",
  "Kontot är spärrat efter för många felaktiga försök. Ring kundtjänst.",
]);
/** Pages that only a person passes, by their headings. */
const forPeople: ReadonlyMap<string, FailureKind> = new Map([
  ["Visa att du är en människa", "person"],
  ["Nya villkor för Mina sidor", "consent"],
]);
const cookie = "session";
const codePrompt = {
  en: "Enter the code of six digits that Älvdal Energi has sent to your phone.",
  sv: "Ange koden med sex siffror som Älvdal Energi har skickat till din telefon.",
};
const codePromptAgain = {
  en: "Älvdal Energi says that the code was wrong. Enter the code of six digits that it has sent to your phone.",
  sv: "Älvdal Energi säger att koden var fel. Ange koden med sex siffror som har skickats till din telefon.",
};

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

/** A form with its token and these fields, and no other. */
function filled(page: string, action: string, fields: Record<string, string>): Record<string, string> {
  const form = formOf(page, action);
  const csrf = form.get("csrf") ?? "";
  const names = ["csrf", ...Object.keys(fields)];
  if (csrf === "" || form.size !== names.length || names.some((name) => !form.has(name))) {
    throw changed(`unknown fields of ${action}: ${[...form.keys()].join(", ")}`, page);
  }
  return { csrf, ...fields };
}

function refusalOf(answer: HttpAnswer): ProviderFailure {
  const text = answer.text();
  const message = alertOf(text) ?? "";
  if (answer.status === 403) return new ProviderFailure("unreachable", "the form of the login was too old");
  if (refusals.has(message)) return new ProviderFailure("credentials", message);
  const heading = headingOf(text) ?? "";
  const kind = forPeople.get(heading);
  if (kind !== undefined) return new ProviderFailure(kind, `a person has to pass a page first: ${heading}`);
  return new ProviderFailure("changed", "an unknown answer to the login", { page: text, isLogin: true });
}

function leadsTo({ status, headers, url }: HttpAnswer, path: string): boolean {
  return status === 303 && URL.parse(headers.location ?? "", url)?.pathname === path;
}

/** Leaves out the page about maintenance, and answers that are none of those that are expected. */
function seen(answer: HttpAnswer): HttpAnswer {
  const { status, headers } = answer;
  if (status !== 200 && status !== 404) throw changed(`an answer with status ${status}`, answer.text());
  if (headers["content-type"]?.startsWith("text/html") && headingOf(answer.text()) === "Underhåll pågår") {
    throw new ProviderFailure("unreachable", "the pages are closed for maintenance");
  }
  return answer;
}
