import type { Egress } from "../../platform/egress/egress.ts";
import { type EgressProxy, openProxy } from "../../platform/egress/proxy.ts";
import {
  type Browser,
  type BrowserWait,
  type Connector,
  type HttpAnswer,
  ProviderFailure,
} from "../connector.ts";
import type { Settings } from "../credentials.ts";
import { answerOf, busyMax, busySecondsFirst, checked, type TraceLine } from "../http.ts";
import { type Scrubber, shownAddress } from "../scrub.ts";
import type { Browsers } from "./browsers.ts";
import { BrowserFault } from "./fault.ts";
import { allowsAddress, type HostRule, hostRule } from "./hosts.ts";
import type { BrowserProcess } from "./process.ts";
import type { Order, Wait } from "./protocol.ts";

/** What the browser of a visit is held by. */
export interface VisitBrowserOptions {
  browsers: Browsers;
  egress: Pick<Egress, "connect">;
  connector: Pick<Connector, "name" | "browser">;
  settings: Settings;
  /** Learns cookies, which are secrets. */
  scrubber: Scrubber;
  now(): number;
  signal: AbortSignal;
  /** Waits until the provider bears a further request. @throws ProviderFailure `busy` when that takes too long */
  slot(limit: undefined): Promise<void>;
  /** `Visit.wait`. */
  wait(seconds: number): Promise<void>;
  trace(line: TraceLine): void;
}

const timeoutUsual = 60_000;
const bytesUsual = 20_000_000;
/** Of all that a browser fetches in a visit. */
const visitBytesMax = 500_000_000;
/** A browser is ended after so long, whatever it does. */
const visitMsMax = 1_800_000;

/** The browser of a visit: it is started when it is first used, and lives until `close`. */
export function openVisitBrowser(options: VisitBrowserOptions): { browser: Browser; close(): Promise<void> } {
  const { signal, scrubber, connector } = options;
  const rule = hostRule(connector.browser?.hosts(options.settings) ?? []);
  const over = new AbortController();
  let starting: Promise<Started> | undefined;

  async function carryOut(order: Order) {
    signal.throwIfAborted();
    const life = () => AbortSignal.any([signal, over.signal, AbortSignal.timeout(visitMsMax)]);
    let proxy: EgressProxy | undefined;
    try {
      starting ??= start(options, { rule, signal: life() });
      const started = await starting;
      proxy = started.proxy;
      const done = await started.process.order(order);
      scrubber.add(...done.secrets);
      return done;
    } catch (error) {
      // A run that was ended is no failure of the provider.
      throw signal.aborted ? signal.reason : failureOf(error, { rule, proxy });
    }
  }

  async function seen(order: Order, wait: BrowserWait): Promise<HttpAnswer> {
    await options.slot(undefined);
    const done = await carryOut(order);
    if (done.seen === undefined) throw new ProviderFailure("unreachable", "the browser shows nothing");
    const { url, status, headers, body } = done.seen;
    const address = URL.parse(url);
    if (address === null || !allowsAddress(rule, address)) throw elsewhere(url);
    const answer = answerOf(address, { status, headers, body: Buffer.from(body, "base64") });
    return checked(answer, wait, options.now());
  }

  const browser: Browser = {
    open(url, wait = {}) {
      if (!/^https?:$/.test(URL.parse(url)?.protocol ?? "")) {
        throw new Error(`no http or https address: ${url.slice(0, 100)}`);
      }
      return patiently(() => seen({ do: "open", url, wait: waitOf(wait) }, wait), options.wait);
    },
    async fill(selector, value) {
      await carryOut({ do: "fill", selector, value, timeoutMs: timeoutUsual });
    },
    press: (selector, wait = {}) => seen({ do: "press", selector, wait: waitOf(wait) }, wait),
    async cookie(name, url) {
      return (await carryOut({ do: "cookies", url })).cookies?.[name];
    },
    async setCookie(name, value, url) {
      scrubber.add(value);
      await carryOut({ do: "setCookie", name, value, url });
    },
  };
  return {
    browser,
    async close() {
      over.abort();
      const open = await starting?.catch(() => undefined);
      await open?.process.close();
      await open?.proxy.close();
    },
  };
}

/** Opening is repeated while the provider is busy and may be waited for; see `Http.send`. */
async function patiently(
  open: () => Promise<HttpAnswer>,
  wait: VisitBrowserOptions["wait"],
): Promise<HttpAnswer> {
  for (let times = 0; ; times++) {
    try {
      return await open();
    } catch (error) {
      if (!(error instanceof ProviderFailure) || error.kind !== "busy" || times === busyMax) throw error;
      await wait(error.retryAfterSeconds ?? busySecondsFirst * 2 ** times);
    }
  }
}

interface Started {
  process: BrowserProcess;
  proxy: EgressProxy;
}

async function start(
  { browsers, egress, connector, scrubber, now, trace }: VisitBrowserOptions,
  { rule, signal }: { rule: HostRule; signal: AbortSignal },
): Promise<Started> {
  if (connector.browser === undefined)
    throw new Error(`${connector.name} does not say that it needs a browser`);
  const { locale, timezone } = connector.browser;
  const proxy = await openProxy(egress, { allows: rule, bytesMax: visitBytesMax });
  try {
    const { port, username, password } = proxy;
    const process = await browsers.start({
      signal,
      setup: { proxy: { port, username, password }, locale, timezone },
      exchanged: ({ url, ...exchange }) =>
        trace({ ...exchange, at: now() - exchange.ms, url: shownAddress(url, scrubber) }),
    });
    return { process, proxy };
  } catch (error) {
    await proxy.close();
    throw error;
  }
}

function waitOf({ until, timeoutMs = timeoutUsual, bytesMax = bytesUsual }: BrowserWait): Wait {
  return { timeoutMs, bytesMax, ...(until === undefined ? {} : { until }) };
}

const elsewhere = (url: string) =>
  new ProviderFailure(
    "changed",
    `the pages lead to ${URL.parse(url)?.host}, which is none of the connector's hosts`,
  );

/** What a step that failed in the browser means for the provider. */
function failureOf(
  error: unknown,
  { rule, proxy }: { rule: HostRule; proxy: EgressProxy | undefined },
): unknown {
  if (!(error instanceof BrowserFault)) return error;
  const { reason, message, more } = error;
  const tooMuch = proxy?.failure();
  if (tooMuch !== undefined) return new ProviderFailure("unreachable", tooMuch.message, { cause: error });
  if (reason === "missing") {
    return new ProviderFailure("changed", message, {
      ...(more.html === undefined ? {} : { page: more.html }),
    });
  }
  const address = URL.parse(more.url ?? "");
  if (reason === "network" && address !== null && !allowsAddress(rule, address))
    return elsewhere(address.href);
  return new ProviderFailure("unreachable", message, { cause: error, isOwn: reason === "broken" });
}
