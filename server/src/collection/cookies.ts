/** Cookies of one visit. */
export interface Cookies {
  /** Takes up the cookies of an answer: its `set-cookie`, several of them joined by commas. */
  take(url: URL, header: string | undefined): void;
  /** Value of the `cookie` header for an address; empty when there are none. */
  header(url: URL): string;
  /** Value of one cookie that would be sent to an address. */
  value(name: string, url: URL): string | undefined;
  /** Values of all cookies, which are secrets of the session. */
  values(): string[];
}

interface Cookie {
  name: string;
  value: string;
  domain: string;
  isHostOnly: boolean;
  path: string;
  isSecure: boolean;
  expires: number;
}

const cookiesMax = 200;

/** An empty jar. `now` is asked for the time, epoch ms. */
export function cookieJar(now: () => number): Cookies {
  const jar = new Map<string, Cookie>();
  const sent = (url: URL) =>
    [...jar.values()]
      .filter((cookie) => cookie.expires > now() && fits(cookie, url))
      .sort((a, b) => b.path.length - a.path.length);
  return {
    take(url, header) {
      for (const text of splitCookies(header ?? "")) {
        const cookie = parseCookie(text, url, now());
        if (cookie === undefined) continue;
        const key = `${cookie.domain} ${cookie.path} ${cookie.name}`;
        jar.delete(key);
        if (cookie.expires > now() && jar.size < cookiesMax) jar.set(key, cookie);
      }
    },
    header: (url) =>
      sent(url)
        .map(({ name, value }) => `${name}=${value}`)
        .join("; "),
    value: (name, url) => sent(url).find((cookie) => cookie.name === name)?.value,
    values: () => [...jar.values()].map(({ value }) => value),
  };
}

/** A comma inside of a date is followed by a blank and no `name=`. */
function splitCookies(header: string): string[] {
  return header === "" ? [] : header.split(/,(?=\s*[^;,=\s]+=)/);
}

function parseCookie(text: string, url: URL, now: number): Cookie | undefined {
  const [pair = "", ...attributes] = text.split(";").map((part) => part.trim());
  const at = pair.indexOf("=");
  if (at <= 0) return undefined;
  const cookie: Cookie = {
    name: pair.slice(0, at),
    value: pair.slice(at + 1),
    domain: url.hostname,
    isHostOnly: true,
    path: url.pathname.replace(/\/[^/]*$/, "") || "/",
    isSecure: false,
    expires: Number.POSITIVE_INFINITY,
  };
  for (const attribute of attributes) {
    const [name = "", value = ""] = attribute.split(/=(.*)/s);
    if (!applyAttribute(cookie, { name: name.toLowerCase(), value: value.trim(), url, now }))
      return undefined;
  }
  return cookie;
}

/** False: the cookie is not ours to take. */
function applyAttribute(
  cookie: Cookie,
  { name, value, url, now }: { name: string; value: string; url: URL; now: number },
): boolean {
  if (name === "secure") cookie.isSecure = true;
  else if (name === "path" && value.startsWith("/")) cookie.path = value;
  else if (name === "max-age" && /^-?\d{1,12}$/.test(value)) cookie.expires = now + Number(value) * 1000;
  else if (name === "expires" && cookie.expires === Number.POSITIVE_INFINITY) {
    const at = Date.parse(value);
    if (!Number.isNaN(at)) cookie.expires = at;
  } else if (name === "domain" && value !== "") {
    const domain = value.replace(/^\./, "").toLowerCase();
    // A whole top-level domain is nobody's.
    const isOurs = url.hostname === domain || (domain.includes(".") && url.hostname.endsWith(`.${domain}`));
    if (!isOurs) return false;
    Object.assign(cookie, { domain, isHostOnly: false });
  }
  return true;
}

function fits({ domain, isHostOnly, path, isSecure }: Cookie, url: URL): boolean {
  const isHost = isHostOnly
    ? url.hostname === domain
    : url.hostname === domain || url.hostname.endsWith(`.${domain}`);
  const isBelow = url.pathname === path || url.pathname.startsWith(path.endsWith("/") ? path : `${path}/`);
  return isHost && isBelow && (!isSecure || url.protocol === "https:");
}
