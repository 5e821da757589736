import { accessSync, constants } from "node:fs";
import type { BrowserSettings } from "../../platform/deps.ts";
import { userAgent } from "../http.ts";
import { BrowserFault } from "./fault.ts";
import { BrowserProcess, type ProcessOptions } from "./process.ts";
import { busyUsers } from "./process-tree.ts";
import type { Launch } from "./protocol.ts";

/** The browsers of this server process: which, and how many at once. */
export interface Browsers {
  /** Why there is no program to start, with the remedy; `undefined` when there is one. */
  missing(): string | undefined;
  /** The same, or why it did not start the last time. */
  trouble(): string | undefined;
  /**
   * Starts a browser, when there is room for one more.
   * @throws BrowserFault `broken` with the remedy when it does not start
   */
  start(options: StartOptions): Promise<BrowserProcess>;
}

export interface StartOptions extends Pick<ProcessOptions, "signal" | "exchanged"> {
  setup: Pick<Launch, "proxy" | "locale" | "timezone">;
}

/** Where packages put Chromium and Chrome. */
const usualPlaces = [
  "/usr/bin/chromium",
  "/usr/bin/chromium-browser",
  "/usr/bin/google-chrome-stable",
  "/usr/bin/google-chrome",
];
/**
 * As root, every browser runs as a user of its own without a name, of those that systemd gives to services for as long
 * as they run: it owns nothing, and one customer's browser cannot look into that of another.
 */
const firstAccount = 61_184;
const accounts = 4_000;
/** Servers that start together look for users so far from each other. */
const apart = 97;
/** A browser that did not start may have been put right after so long. */
const troubleMs = 600_000;

const remedy =
  "Install it (Debian and Ubuntu: apt-get install chromium), or name one by METERTREE_CHROMIUM_PATH.";

/** Browsers as the settings say. `now` is asked for the time, epoch ms. */
export function makeBrowsers(settings: BrowserSettings, now: () => number): Browsers {
  const places = makePlaces(settings.atOnce);
  let started = 0;
  let failure: { message: string; at: number } | undefined;
  const missing = () => {
    if (executableOf(settings.path) !== undefined) return undefined;
    return settings.path === null
      ? `This server has no browser. ${remedy}`
      : `${settings.path} is no program that this server can start. ${remedy}`;
  };
  return {
    missing,
    trouble() {
      const isRecent = failure !== undefined && now() - failure.at < troubleMs;
      return missing() ?? (isRecent ? failure?.message : undefined);
    },
    async start({ signal, exchanged, setup }) {
      const executable = executableOf(settings.path);
      if (executable === undefined) throw new BrowserFault("broken", missing() ?? remedy);
      const leave = await places.enter(signal);
      try {
        const isRoot = process.geteuid?.() === 0;
        const account = isRoot ? freeAccount(process.pid * apart + started++, busyUsers()) : null;
        const launch = { ...setup, executable, hasSandbox: settings.sandbox, account, agent: userAgent };
        const memoryBytesMax = settings.memoryBytesMax;
        const browser = await BrowserProcess.start({ launch, memoryBytesMax, signal, exchanged });
        failure = undefined;
        void browser.gone.then(leave);
        return browser;
      } catch (error) {
        leave();
        if (!(error instanceof BrowserFault) || signal.aborted) throw error;
        const message = troubleOf(error.message);
        failure = { message, at: now() };
        throw new BrowserFault("broken", message);
      }
    },
  };
}

/**
 * A user for one more browser, the `number`th or one behind it that no process runs as: other servers of this machine have
 * browsers too.
 * @throws BrowserFault when all are taken
 */
export function freeAccount(number: number, busy: ReadonlySet<number>): number {
  for (let tried = number; tried < number + accounts; tried++) {
    const account = firstAccount + (tried % accounts);
    if (!busy.has(account)) return account;
  }
  throw new BrowserFault("broken", "every user for browsers has a process");
}

function executableOf(path: string | null): string | undefined {
  return (path === null ? usualPlaces : [path]).find((each) => {
    try {
      accessSync(each, constants.X_OK);
      return true;
    } catch {
      return false;
    }
  });
}

/** What the browser said last before it ended is in the message, after much else. */
function troubleOf(message: string): string {
  const said = message.split("\n").findLast((line) => line.includes("[err]")) ?? message.split("\n")[0]!;
  const text = `The browser of this server does not start: ${said.replace(/^.*\[err\] */, "").slice(0, 300)}.`;
  return /sandbox|namespace/i.test(message.replace(/<launching>.*/, ""))
    ? `${text} Its sandbox needs user namespaces: allow them to programs without rights, or set ` +
        "METERTREE_CHROMIUM_SANDBOX=false where something else shuts this server in."
    : text;
}

/** Room for so many at once; others wait in line. */
function makePlaces(count: number): { enter(signal: AbortSignal): Promise<() => void> } {
  let free = count;
  const line: (() => void)[] = [];
  return {
    async enter(signal) {
      if (free > 0) free--;
      else {
        await new Promise<void>((resolve, reject) => {
          line.push(resolve);
          signal.addEventListener("abort", () => {
            const at = line.indexOf(resolve);
            if (at >= 0) line.splice(at, 1);
            reject(signal.reason);
          });
        });
      }
      let isIn = true;
      return () => {
        if (!isIn) return;
        isIn = false;
        const next = line.shift();
        if (next === undefined) free++;
        else next();
      };
    },
  };
}
