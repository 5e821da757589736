import { readdirSync, readFileSync } from "node:fs";
import { databasePid } from "../../test/harness/process.ts";

/** Ends the embedded database of a data folder as a loss of power would: all its processes, at once. */
export function killDatabase(dataDir: string): void {
  const postmaster = databasePid(dataDir);
  if (postmaster === undefined) return;
  for (const pid of [postmaster, ...childrenOf(postmaster)]) killHard(pid);
}

/** Ends a browser below a process at once; false when there is none. */
export function killBrowser(root: number): boolean {
  const waiting = [root];
  for (let pid = waiting.pop(); pid !== undefined; pid = waiting.pop()) {
    const children = childrenOf(pid);
    waiting.push(...children);
    // Chromium's helpers have a type; the one without is the browser itself.
    const browser = children.find((child) => isBrowser(commandOf(child)));
    if (browser === undefined) continue;
    killHard(browser);
    return true;
  }
  return false;
}

const isBrowser = (command: string) => /chrom/i.test(command) && !command.includes("--type=");

function commandOf(pid: number): string {
  try {
    return readFileSync(`/proc/${pid}/cmdline`, "utf8");
  } catch {
    return "";
  }
}

/** Processes that a process has started. */
function childrenOf(parent: number): number[] {
  return readdirSync("/proc")
    .filter((name) => /^\d{1,10}$/.test(name))
    .filter((name) => {
      try {
        // The name of the program may hold blanks and brackets; what follows its last bracket does not.
        const fields = readFileSync(`/proc/${name}/stat`, "utf8").split(") ").at(-1)!.split(" ");
        return Number(fields[1]) === parent;
      } catch {
        return false;
      }
    })
    .map(Number);
}

function killHard(pid: number): void {
  try {
    process.kill(pid, "SIGKILL");
  } catch {
    // It has ended by itself.
  }
}
