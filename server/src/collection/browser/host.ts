/**
 * The process that holds the browser of one visit. It takes orders from the server that started it, gives up every
 * right that it does not need, and ends when the server or the browser does.
 */
import type { BrowserContext, Page } from "playwright-core";
import { BrowserFault } from "./fault.ts";
import type { Launch, Order, Word } from "./protocol.ts";
import { Window } from "./window.ts";

/** Switches of Chromium beside those of playwright-core: nothing of its own to the network, names never looked up. */
const switches = [
  ...["--disable-quic", "--no-first-run", "--disable-background-networking", "--disable-component-update"],
  ...["--disable-sync", "--disable-gpu", "--disable-crash-reporter", "--disable-breakpad", "--no-pings"],
  ...["--disable-domain-reliability", "--renderer-process-limit=2", "--js-flags=--max-old-space-size=256"],
  ...["--force-webrtc-ip-handling-policy=disable_non_proxied_udp", "--disable-features=DnsOverHttps"],
  "--host-resolver-rules=MAP * ~NOTFOUND, EXCLUDE 127.0.0.1",
];

let window: Window | undefined;

const say = (word: Word) => void process.send?.(word);

async function launch(options: Launch): Promise<void> {
  const { executable, hasSandbox, account, proxy, agent, folder, locale, timezone } = options;
  const { chromium } = await import("playwright-core");
  if (account !== null) becomes(account);
  const browser = await chromium.launch({
    executablePath: executable,
    headless: true,
    chromiumSandbox: hasSandbox,
    args: switches,
    env: { HOME: folder, TMPDIR: folder, PATH: "/usr/local/bin:/usr/bin:/bin", LANG: "C.UTF-8" },
    downloadsPath: folder,
    proxy: { ...proxy, server: `http://127.0.0.1:${proxy.port}` },
    timeout: 60_000,
  });
  browser.once("disconnected", () => process.exit(1));
  const version = browser.version();
  const context = await browser.newContext({
    acceptDownloads: true,
    locale,
    timezoneId: timezone,
    serviceWorkers: "block",
    userAgent: `Mozilla/5.0 (X11; Linux) AppleWebKit/537.36 (KHTML, like Gecko) HeadlessChrome/${version} Safari/537.36 ${agent}`,
  });
  const page = await onlyPage(context);
  window = new Window(page, await context.newCDPSession(page), (exchange) =>
    say({ say: "exchanged", exchange }),
  );
}

/** The one window. Others that a page opens are closed. A page that has crashed ends the process. */
async function onlyPage(context: BrowserContext): Promise<Page> {
  const page = await context.newPage();
  page.once("crash", () => process.exit(1));
  context.on("page", (other) => void other.close().catch(() => undefined));
  return page;
}

/** Everything is loaded by now: what the user may not read is not needed any more. */
function becomes(account: number): void {
  process.setgroups!([]);
  process.setgid!(account);
  process.setuid!(account);
}

async function carryOut(order: Order): Promise<Word> {
  if (order.do === "launch") {
    await launch(order);
    return { say: "done", secrets: [] };
  }
  if (window === undefined) throw new BrowserFault("broken", "the browser was not started");
  const secrets = () => window!.secrets();
  switch (order.do) {
    case "open":
      return { say: "done", seen: await window.open(order.url, order.wait), secrets: await secrets() };
    case "press":
      return { say: "done", seen: await window.press(order.selector, order.wait), secrets: await secrets() };
    case "fill":
      await window.fill(order.selector, order.value, order.timeoutMs);
      return { say: "done", secrets: [] };
    case "setCookie":
      await window.setCookie(order);
      return { say: "done", secrets: [] };
    case "cookies":
      return { say: "done", cookies: await window.cookies(order.url), secrets: [] };
  }
}

process.on("message", (order: Order) => {
  carryOut(order).then(say, (error: unknown) => {
    const fault = error instanceof BrowserFault ? error : new BrowserFault("broken", messageOf(error));
    say({ say: "failed", fault: fault.told() });
  });
});
// The server is gone, or has enough: the browser ends with its pipe.
process.once("disconnect", () => process.exit(0));

const messageOf = (error: unknown) =>
  (error instanceof Error ? error.message : String(error)).slice(0, 2_000);
