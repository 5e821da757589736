import { mask } from "./secret-field.ts";

/** Names of query parameters that let somebody in, beside those that hold a long random value. */
const secretName = /token|secret|passw|pwd|key|auth|sig|code|credential|session/i;
/** Long enough to be random and not a word: digits among letters, or very long. */
const looksRandom = /^(?=[\w~.+=-]{16,}$)(?=.*\d)(?=.*[A-Za-z])[\w~.+=-]+$|^[\w~.+=-]{40,}$/;

interface Part {
  text: string;
  isSecret: boolean;
}

/**
 * An address in its parts, in order, so that joining their texts gives the address: login, folders and parameters
 * that look like tokens are secret.
 */
function partsOf(address: string): Part[] {
  const url = new URL(address);
  const open = (text: string): Part => ({ text, isSecret: false });
  const hidden = (text: string): Part => ({ text, isSecret: text !== "" });
  const parts = [open(`${url.protocol}//`)];
  if (url.username !== "" || url.password !== "") {
    // A user name alone is often a token.
    const isToken = url.password === "";
    parts.push(isToken ? hidden(url.username) : open(`${url.username}:`), hidden(url.password), open("@"));
  }
  parts.push(open(url.host));
  for (const folder of url.pathname.split("/").slice(1)) {
    parts.push(open("/"), looksRandom.test(folder) ? hidden(folder) : open(folder));
  }
  const pairs = url.search === "" ? [] : url.search.slice(1).split("&");
  pairs.forEach((pair, i) => {
    const at = pair.indexOf("=");
    const name = at === -1 ? "" : pair.slice(0, at);
    const value = pair.slice(at + 1);
    parts.push(open(`${i === 0 ? "?" : "&"}${at === -1 ? "" : `${name}=`}`));
    parts.push(secretName.test(name) || looksRandom.test(value) ? hidden(value) : open(value));
  });
  return [...parts, open(url.hash)];
}

/** The address with masks in the place of logins and tokens. */
export function maskedAddress(address: string): string {
  return partsOf(address)
    .map(({ text, isSecret }) => (isSecret ? mask : text))
    .join("");
}

/** What `maskedAddress` hides, as it stands there and decoded; a login as a whole, too. */
export function hiddenParts(address: string): string[] {
  const texts = partsOf(address).flatMap(({ text, isSecret }) => (isSecret ? [text] : []));
  const { username, password } = new URL(address);
  const login = password === "" ? [] : [`${username}:${password}`];
  return [...login, ...texts].flatMap((text) => [text, decoded(text)]);
}

function decoded(text: string): string {
  try {
    return decodeURIComponent(text);
  } catch {
    return text;
  }
}

/**
 * `given` with what stands behind its masks in `before`: only when it is the masked form of `before`, so that no
 * token can be moved to another address. `null` when a mask has nothing behind it.
 */
export function restoredAddress(given: string, before: string | null): string | null {
  if (!given.includes(mask)) return given;
  if (before === null || before === "") return null;
  const isSame = new URL(given).href === new URL(maskedAddress(before)).href;
  return isSame ? before : null;
}
