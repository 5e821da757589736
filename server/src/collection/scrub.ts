import { mask } from "./connector.ts";

/** Takes known secrets out of texts, by their values, however they are written. */
export interface Scrubber {
  /** Makes further values known: those of a form, a cookie, a token that came back. */
  add(...values: readonly string[]): void;
  scrub(text: string): string;
}

/** Shorter values stand in every text, and hiding them would only tell where they are. */
const charsMin = 3;
/** Members of an address whose values are nobody's to read, whatever they are. */
const secretName = /token|secret|passw|code|key|sess|csrf|xsrf|sig|auth|otp|pin/i;

/** Does a member of that name hold a secret? */
export const isSecretName = (name: string): boolean => secretName.test(name);

/** A scrubber that knows these values. */
export function makeScrubber(values: readonly string[] = []): Scrubber {
  const known = new Set<string>();
  let forms: string[] = [];
  const add = (...more: readonly string[]) => {
    const fresh = more.filter((value) => !known.has(value));
    if (fresh.length === 0) return;
    for (const value of fresh) for (const form of formsOf(value)) known.add(form);
    // Longest first: a short secret may be part of a longer one.
    forms = [...known].sort((a, b) => b.length - a.length);
  };
  add(...values);
  return {
    add,
    scrub: (text) => forms.reduce((rest, form) => rest.replaceAll(form, mask), text),
  };
}

function formsOf(value: string): string[] {
  if (value.length < charsMin || value === mask) return [];
  const forms = [...writings.map((write) => write(value)), ...base64Forms(Buffer.from(value))];
  return forms.filter((form) => form.length >= charsMin);
}

const lowerCodes = (text: string) => text.replace(/%[0-9A-F]{2}/g, (code) => code.toLowerCase());
const escaped = (text: string) => JSON.stringify(text).slice(1, -1);
const escapedAscii = (text: string) =>
  escaped(text).replace(/[^ -~]/g, (char) => `\\u${char.charCodeAt(0).toString(16).padStart(4, "0")}`);
const inForm = (text: string) => new URLSearchParams({ v: text }).toString().slice(2);

/** How templates write the signs of HTML: quotes, apostrophes, and what is not ASCII. */
const inHtml = ['"', "&quot;", "&#34;"].flatMap((quote) =>
  ["'", "&#39;", "&#039;", "&#x27;", "&apos;"].flatMap((apostrophe) =>
    [(char: string) => char, (char: string) => `&#${char.codePointAt(0)};`].map(
      (write) => (text: string) =>
        text
          .replaceAll("&", "&amp;")
          .replaceAll("<", "&lt;")
          .replaceAll(">", "&gt;")
          .replaceAll('"', quote)
          .replaceAll("'", apostrophe)
          .replace(/[^\0-~]/gu, write),
    ),
  ),
);

/**
 * How protocols write a text: as it is, in addresses, forms, JSON and HTML, in hexadecimal digits. Base64 is not among
 * them, since there it depends on what stands beside the text.
 */
export const writings: readonly ((text: string) => string)[] = [
  (text) => text,
  (text) => encodeURIComponent(text.toWellFormed()),
  (text) => lowerCodes(encodeURIComponent(text.toWellFormed())),
  inForm,
  (text) => lowerCodes(inForm(text)),
  escaped,
  (text) => escaped(text).replaceAll("/", "\\/"),
  escapedAscii,
  (text) => escapedAscii(text).replaceAll("/", "\\/"),
  ...inHtml,
  (text) => Buffer.from(text).toString("hex"),
  (text) => Buffer.from(text).toString("hex").toUpperCase(),
  (text) => Buffer.from(text).toString("base64url"),
];

/**
 * Base64 of the value at each of the three places that it can have in a longer text, such as `user:password`: without
 * the characters at its ends that depend on what stands beside it.
 */
function base64Forms(bytes: Buffer): string[] {
  if (bytes.length < 4) return [bytes.toString("base64").replace(/=+$/, "")];
  return [0, 1, 2].map((shift) => {
    const text = Buffer.concat([Buffer.alloc(shift), bytes])
      .toString("base64")
      .replace(/=+$/, "");
    const from = Math.ceil((shift * 8) / 6);
    const to = Math.floor(((shift + bytes.length) * 8) / 6);
    return text.slice(from, to);
  });
}

/** An address as a trace shows it: known secrets, logins, and what looks like a token are taken out. */
export function shownAddress(address: string, scrubber: Scrubber): string {
  const url = URL.parse(address);
  if (url === null) return scrubber.scrub(address);
  url.username = "";
  url.password = "";
  url.hash = "";
  for (const name of new Set(url.searchParams.keys())) {
    if (isSecretName(name)) url.searchParams.set(name, mask);
  }
  return scrubber.scrub(url.href);
}
