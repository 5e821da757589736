import type { BrowserSettings } from "../../platform/deps.ts";
import { makeBrowsers } from "./browsers.ts";
import { BrowserFault } from "./fault.ts";

/** What came of starting a browser once. */
export interface Attempt {
  /** There is a program to start. */
  isInstalled: boolean;
  /** What is wrong, with the remedy; `undefined` when a browser started. */
  trouble: string | undefined;
}

/** Starts a browser as a run does, and ends it. */
export async function tryBrowser(settings: BrowserSettings): Promise<Attempt> {
  const browsers = makeBrowsers(settings, () => 0);
  const missing = browsers.missing();
  if (missing !== undefined) return { isInstalled: false, trouble: missing };
  try {
    const browser = await browsers.start({
      signal: AbortSignal.timeout(startMs),
      exchanged: () => undefined,
      // It asks for nothing.
      setup: { proxy: { port: 9, username: "", password: "" }, locale: "en", timezone: "UTC" },
    });
    await browser.close();
    return { isInstalled: true, trouble: undefined };
  } catch (error) {
    if (!(error instanceof BrowserFault)) throw error;
    return { isInstalled: true, trouble: error.message };
  }
}

const startMs = 60_000;
