import { type Connector, type FoundMeter, markOf } from "../collection/connector.ts";
import { charsMin, type Disguise } from "./disguise.ts";
import { type Counter, personalIn, sameShape } from "./personal.ts";
import type { Exchange } from "./record.ts";

/** Shorter tokens are ordinary words. */
const tokenCharsMin = 8;
const secretName = /token|secret|passw|session|jwt|api_?key|assertion|credential|verifier|otp/i;
const personalName =
  /^(first|last|full|given|family|sur|customer|contact|owner|user|account|holder)?_?names?$|^(street|address|e?mail|phone|mobile|telephone|birth|ssn|nif|dni|cpr|personnummer)/i;
const personalSetting = /user|login|mail|name|customer|account|person|nif|phone|owner/i;
/** Headers of requests that say nothing about who asks. */
const plainHeader = /^(accept.*|content-(type|length)|user-agent|cookie|host|origin|referer|connection)$/;
const jwt = /\beyJ[\w-]{6,}\.[\w-]{2,}\.[\w-]*/g;

/** Everything that was said in a run, with its secrets. */
export interface Said {
  connector: Connector;
  settings: Readonly<Record<string, unknown>>;
  exchanges: readonly Exchange[];
  found: readonly FoundMeter[];
  /** What the customer entered as codes. */
  codes: readonly string[];
  /** Texts that the author wants to be hidden. */
  hide: readonly string[];
}

/** Teaches a disguise all that nobody may read in a recording. */
export function learnFrom(said: Said, disguise: Disguise): void {
  learnSettings(said, disguise);
  const names = counter();
  for (const text of said.hide)
    disguise.addSecret(text, /\d{4}/.test(text) ? sameShape(text, names("hide")) : `text-${names("text")}`);
  for (const code of said.codes) disguise.addShort(code, sameShape(code, 0));
  for (const exchange of said.exchanges) learnExchange(exchange, disguise, names);
  learnFound(said.found, disguise, names);
}

function learnExchange({ url, headers, body, answer }: Exchange, disguise: Disguise, names: Counter): void {
  const token = (value: string) => addToken(disguise, value, names);
  for (const [name, value] of new URL(url).searchParams) if (secretName.test(name)) token(value);
  for (const [name, value] of Object.entries(headers)) {
    if (!plainHeader.test(name)) token(value.replace(/^(Bearer|Token|Basic)\s+/i, ""));
  }
  for (const value of cookieValues(answer?.headers["set-cookie"])) token(value);
  const received = textOf(answer?.body);
  for (const text of [url, textOf(body), received, answer?.headers.location ?? ""]) {
    for (const [found] of text.matchAll(jwt)) disguise.addSecret(found, plainJwt(found, names("token")));
    for (const value of hiddenInputs(text)) token(value);
    learnForm(text, token);
    for (const { value, placeholder } of personalIn(`${text}\n${decoded(text)}`)) {
      disguise.addPersonal(value, placeholder(names));
    }
  }
  eachMember(textOf(body), (name, value) => {
    if (secretName.test(name)) token(value);
  });
  eachMember(received, (name, value) => {
    if (secretName.test(name)) token(value);
    else if (personalName.test(name) && value.length >= charsMin) {
      disguise.addPersonal(value, personalPlaceholder(name, value, names));
    }
  });
}

/** Numbers things of a kind, from 1. */
function counter(): Counter {
  const counts = new Map<string, number>();
  return (kind) => {
    const count = (counts.get(kind) ?? 0) + 1;
    counts.set(kind, count);
    return count;
  };
}

/** The settings of a case in the place of those of a customer. */
function learnSettings({ connector, settings }: Said, disguise: Disguise): void {
  for (const [name, value] of Object.entries(settings)) {
    const field = connector.settings.shape[name];
    if (typeof value !== "string" || value === "" || field === undefined) continue;
    const fitting = (placeholder: string) =>
      field.safeParse(placeholder).success ? placeholder : value.replace(/[a-z]/gi, "a").replace(/\d/g, "0");
    if (markOf(field).secret !== undefined) {
      disguise.addSecret(value, fitting(`hidden-${name.replaceAll("_", "-")}`));
    } else if (markOf(field).place === undefined && personalSetting.test(name)) {
      const placeholder = fitting(
        /^\d/.test(value) ? sameShape(value, 1) : `some-${name.replaceAll("_", "-")}`,
      );
      // A login that is an ordinary word may be the name of a page.
      if (/^[a-z]{1,8}$/i.test(value)) disguise.addShort(value, placeholder);
      else disguise.addPersonal(value, placeholder);
    }
  }
}

function addToken(disguise: Disguise, value: string, names: Counter): void {
  if (
    value.length < tokenCharsMin ||
    disguise.secrets().includes(value) ||
    /^hidden-/.test(disguise.field(value))
  )
    return;
  disguise.addSecret(value, `hidden-token-${names("token")}`);
}

function cookieValues(header = ""): string[] {
  return header
    .split(/,(?=\s*[^;,=\s]+=)/)
    .map((cookie) => /^[^=]*=([^;]*)/.exec(cookie)?.[1]?.trim() ?? "")
    .map((value) => value.replace(/^"|"$/g, ""));
}

/** Tokens against forgery, and what else a form carries without showing it. */
function hiddenInputs(html: string): string[] {
  return [...html.matchAll(/<input\b[^>]*>/gi)].flatMap(([input]) => {
    const value = /\bvalue=["']([^"']*)["']/i.exec(input)?.[1] ?? "";
    const isToken = /\btype=["']hidden["']/i.test(input) && value.length >= 16 && !/\s/.test(value);
    return isToken ? [value] : [];
  });
}

/** Strings in JSON with the names of their members. */
function eachMember(text: string, work: (name: string, value: string) => void): void {
  const walk = (name: string, value: unknown): void => {
    if (typeof value === "string") work(name, value);
    else if (Array.isArray(value)) for (const each of value) walk(name, each);
    else if (typeof value === "object" && value !== null) {
      for (const [key, member] of Object.entries(value)) walk(key, member);
    }
  };
  if (!/^\s*[[{"]/.test(text)) return;
  try {
    walk("", JSON.parse(text));
  } catch {
    // It only looked like JSON.
  }
}

function learnForm(text: string, token: (value: string) => void): void {
  if (!/^[\w.%+-]+=[^\s<>{}]*$/.test(text)) return;
  for (const [name, value] of new URLSearchParams(text)) if (secretName.test(name)) token(value);
}

/** What a connector itself says that it read about people and places. */
function learnFound(found: readonly FoundMeter[], disguise: Disguise, names: Counter): void {
  for (const { key, ean, name, address, customer } of found) {
    const facts = {
      address,
      customer_name: customer?.name,
      customer_number: customer?.number,
      name,
      key,
      ean,
    };
    for (const [fact, value] of Object.entries(facts)) {
      if (typeof value !== "string" || value.length < charsMin) continue;
      if (disguise.text(value) === value)
        disguise.addPersonal(value, personalPlaceholder(fact, value, names));
    }
  }
}

function personalPlaceholder(name: string, value: string, names: Counter): string {
  if (/^[\d\s+-]+$/.test(value)) return sameShape(value, names("number"));
  if (/^[A-Z]{0,4}\d[\dA-Z-]*$/.test(value)) return sameShape(value, names("number"));
  const kind = /address|street/i.test(name)
    ? "Some Street"
    : /name|owner|holder/i.test(name)
      ? "Some Name"
      : "text";
  return `${kind} ${names(kind)}`;
}

/** A token of the same kind without whom it is about: connectors look when it ends. */
function plainJwt(token: string, number: number): string {
  try {
    const claims = JSON.parse(Buffer.from(token.split(".")[1]!, "base64url").toString("utf8"));
    const { exp, iat, nbf } = claims as Record<string, unknown>;
    const part = (json: unknown) => Buffer.from(JSON.stringify(json)).toString("base64url");
    return `${part({ alg: "none" })}.${part({ exp, iat, nbf, n: number })}.hidden-${number}`;
  } catch {
    return `hidden-token-${number}`;
  }
}

export const textOf = (body: string | Uint8Array | undefined): string =>
  body === undefined ? "" : typeof body === "string" ? body : Buffer.from(body).toString("utf8");

/** An address or a form without its percent signs. */
function decoded(text: string): string {
  try {
    return text.includes("%") ? decodeURIComponent(text) : "";
  } catch {
    return "";
  }
}
