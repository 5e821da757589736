import { execFileSync } from "node:child_process";
import { readFileSync } from "node:fs";

/** What the operating system knows about a process that is alive. */
export interface ProcessFacts {
  /** When it began, in the system's own unit: together with the pid it names one process, however pids are reused. */
  started: string;
  /** Program and arguments, separated by blanks. Empty when the system does not show them. */
  command: string;
}

/** Facts about process `pid`; `undefined` when there is none, or only a zombie that nobody collected. */
export function processFacts(pid: number): ProcessFacts | undefined {
  if (!Number.isSafeInteger(pid) || pid <= 0) return undefined;
  return process.platform === "linux" ? linuxFacts(pid) : psFacts(pid);
}

/** Does the pid answer to signals, a zombie or a stranger's process included? PostgreSQL asks exactly this. */
export function pidTaken(pid: number): boolean {
  try {
    process.kill(pid, 0);
    return true;
  } catch (error) {
    return (error as NodeJS.ErrnoException).code === "EPERM";
  }
}

function linuxFacts(pid: number): ProcessFacts | undefined {
  let stat: string;
  let command: string;
  try {
    stat = readFileSync(`/proc/${pid}/stat`, "latin1");
    command = readFileSync(`/proc/${pid}/cmdline`, "utf8").replaceAll("\0", " ").trim();
  } catch {
    return undefined;
  }
  // The name in parentheses may hold blanks and parentheses; field 3 (state) follows the last one. See proc(5).
  const fields = stat.slice(stat.lastIndexOf(")") + 2).split(" ");
  const [state, started] = [fields[0], fields[19]];
  if (started === undefined || state === "Z" || state === "X") return undefined;
  return { started, command };
}

function psFacts(pid: number): ProcessFacts | undefined {
  try {
    const ask = (column: string) =>
      execFileSync("ps", ["-ww", "-o", `${column}=`, "-p", String(pid)], {
        encoding: "utf8",
        stdio: "pipe",
      }).trim();
    if (ask("state").startsWith("Z")) return undefined;
    return { started: ask("lstart"), command: ask("command") };
  } catch {
    return undefined;
  }
}
