import { execFileSync } from "node:child_process";
import { createServer, type IncomingMessage, type ServerResponse } from "node:http";
import type { AddressInfo } from "node:net";
import { testSettings } from "../../../../test/harness/api.ts";
import { testBrowser } from "../../../../test/harness/browser.ts";
import type { BrowserSettings } from "../../platform/deps.ts";
import { makeEgress } from "../../platform/egress/egress.ts";
import type { Browser } from "../connector.ts";
import type { TraceLine } from "../http.ts";
import { makeScrubber, type Scrubber } from "../scrub.ts";
import { makeBrowsers } from "./browsers.ts";
import { processTree } from "./process-tree.ts";
import { openVisitBrowser } from "./visit-browser.ts";

/** Why there is no browser on this machine to test with; `undefined` when there is one. */
export const noBrowser = makeBrowsers(testSettings.browser, () => 0).missing();

/** Pages by their path; others are not there. */
export type Pages = Record<string, (request: IncomingMessage, response: ServerResponse) => void>;

/** A server of pages on this machine. */
export async function serve(pages: Pages): Promise<{ url: string; host: string; close(): Promise<void> }> {
  const server = createServer((request, response) => {
    response.setHeader("content-type", "text/html; charset=utf-8");
    const page = pages[URL.parse(request.url ?? "", "http://x")?.pathname ?? ""];
    if (page === undefined) response.writeHead(404).end("<p>not there</p>");
    else page(request, response);
  });
  server.listen(0, "127.0.0.1");
  await new Promise((resolve) => server.once("listening", resolve));
  const host = `127.0.0.1:${(server.address() as AddressInfo).port}`;
  return {
    url: `http://${host}`,
    host,
    async close() {
      server.closeAllConnections();
      await new Promise((resolve) => server.close(resolve));
    },
  };
}

/** The browser of a visit that a test makes. */
export interface TestVisit {
  browser: Browser;
  trace: TraceLine[];
  scrubber: Scrubber;
  /** Seconds that a busy provider was left alone. */
  waited: number[];
  end: AbortController;
  close(): Promise<void>;
}

/** Opens a browser that may go to these hosts. */
export function testVisit(
  hosts: readonly string[],
  { allow = ["127.0.0.0/8"], ...limits }: Partial<BrowserSettings> & { allow?: string[] } = {},
): TestVisit {
  const egress = makeEgress({ allow });
  const scrubber = makeScrubber();
  const trace: TraceLine[] = [];
  const waited: number[] = [];
  const end = new AbortController();
  const { browser, close } = openVisitBrowser({
    browsers: makeBrowsers({ ...testBrowser(), ...limits }, () => 0),
    egress,
    connector: {
      name: "tested",
      browser: { hosts: () => hosts, locale: "sv-SE", timezone: "Europe/Stockholm" },
    },
    settings: {},
    scrubber,
    now: () => 0,
    signal: end.signal,
    slot: async () => undefined,
    wait: async (seconds) => void waited.push(seconds),
    trace: (line) => trace.push(line),
  });
  return {
    browser,
    trace,
    scrubber,
    waited,
    end,
    async close() {
      await close();
      await egress.close();
    },
  };
}

/** Browsers that this process holds: their own process, and that of Chromium. */
export function heldBrowsers(): { host: number; chromium: number | undefined }[] {
  const childrenOf = (pid: number) =>
    execFileSync("ps", ["-o", "pid=,args=", "--ppid", String(pid)], { encoding: "utf8" })
      .split("\n")
      .flatMap((line) => {
        const [, id, args] = /^\s*(\d+)\s+(.*)$/.exec(line) ?? [];
        return id === undefined ? [] : [{ pid: Number(id), args: args ?? "" }];
      });
  const hosts = childrenOf(process.pid).filter(({ args }) => args.includes("browser/host.ts"));
  return hosts.map(({ pid }) => {
    const [child] = processTree(pid).filter((each) => each.pid !== pid);
    return { host: pid, chromium: child?.pid };
  });
}

/** Started by itself: a server with a browser that somebody kills. */
if (import.meta.main) {
  await testVisit(["utility.example"]).browser.cookie("none", "http://utility.example/");
  process.send?.("started");
}
