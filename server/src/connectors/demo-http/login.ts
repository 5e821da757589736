import { type FailureKind, type HttpAnswer, ProviderFailure } from "../../collection/connector.ts";
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
/** The cookie of a session. */
export const cookie = "session";
/** What a customer is asked, at first and after a wrong code. */
export const codePrompt = {
  en: "Enter the code of six digits that Älvdal Energi has sent to your phone.",
  sv: "Ange koden med sex siffror som Älvdal Energi har skickat till din telefon.",
};
export const codePromptAgain = {
  en: "Älvdal Energi says that the code was wrong. Enter the code of six digits that it has sent to your phone.",
  sv: "Älvdal Energi säger att koden var fel. Ange koden med sex siffror som har skickats till din telefon.",
};

/** A form with its token and these fields, and no other. */
export function filled(page: string, action: string, fields: Record<string, string>): Record<string, string> {
  const form = formOf(page, action);
  const csrf = form.get("csrf") ?? "";
  const names = ["csrf", ...Object.keys(fields)];
  if (csrf === "" || form.size !== names.length || names.some((name) => !form.has(name))) {
    throw changed(`unknown fields of ${action}: ${[...form.keys()].join(", ")}`, page);
  }
  return { csrf, ...fields };
}

/** What an answer to the login, which is none of those that let in, says. */
export function refusalOf(answer: HttpAnswer): ProviderFailure {
  const text = answer.text();
  const message = alertOf(text) ?? "";
  if (answer.status === 403) return new ProviderFailure("unreachable", "the form of the login was too old");
  if (refusals.has(message)) return new ProviderFailure("credentials", message);
  const heading = headingOf(text) ?? "";
  const kind = forPeople.get(heading);
  if (kind !== undefined) return new ProviderFailure(kind, `a person has to pass a page first: ${heading}`);
  return new ProviderFailure("changed", "an unknown answer to the login", { page: text, isLogin: true });
}

/** Leaves out the page about maintenance, and answers that are none of those that are expected. */
export function seen(answer: HttpAnswer): HttpAnswer {
  const { status, headers } = answer;
  if (status !== 200 && status !== 404) throw changed(`an answer with status ${status}`, answer.text());
  if (headers["content-type"]?.startsWith("text/html") && headingOf(answer.text()) === "Underhåll pågår") {
    throw new ProviderFailure("unreachable", "the pages are closed for maintenance");
  }
  return answer;
}
