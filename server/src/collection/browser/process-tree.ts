import { readdirSync, readFileSync } from "node:fs";

/** A process of a tree. */
interface Member {
  pid: number;
  /** Memory that it shares with no file, in bytes: what goes when it ends. */
  bytes: number;
}

/** A process and all that came of it, as they are now. Empty where the system does not tell. */
export function processTree(root: number): Member[] {
  const all = readAll();
  const members: Member[] = [];
  const waiting = [root];
  for (let pid = waiting.pop(); pid !== undefined; pid = waiting.pop()) {
    const found = all.get(pid);
    if (found !== undefined) members.push({ pid, bytes: found.bytes });
    for (const [child, { parent }] of all) if (parent === pid) waiting.push(child);
  }
  return members;
}

interface Seen {
  parent: number;
  user: number;
  bytes: number;
}

function readAll(): Map<number, Seen> {
  const all = new Map<number, Seen>();
  for (const name of foldersOf("/proc")) {
    if (!/^\d+$/.test(name)) continue;
    try {
      const status = readFileSync(`/proc/${name}/status`, "utf8");
      const kilobytes = fieldOf(status, "RssAnon") + fieldOf(status, "RssShmem");
      const [parent, user] = [fieldOf(status, "PPid"), fieldOf(status, "Uid")];
      all.set(Number(name), { parent, user, bytes: kilobytes * 1024 });
    } catch {
      // It has ended since.
    }
  }
  return all;
}

/** Ids of all users that have a process. Empty where the system does not tell. */
export const busyUsers = (): Set<number> => new Set([...readAll().values()].map(({ user }) => user));

function foldersOf(path: string): string[] {
  try {
    return readdirSync(path);
  } catch {
    return [];
  }
}

function fieldOf(status: string, name: string): number {
  return Number(new RegExp(`^${name}:\\s+(\\d+)`, "m").exec(status)?.[1] ?? 0);
}

/** Ends a process and all that came of it, at once. */
export function killTree(root: number): void {
  for (const { pid } of processTree(root)) kill(pid);
}

/** Ends the processes whose command line names a folder, at once: what is left when their parent was killed. */
export function killUsersOf(folder: string): void {
  for (const name of foldersOf("/proc")) {
    if (!/^\d+$/.test(name) || Number(name) === process.pid) continue;
    try {
      if (readFileSync(`/proc/${name}/cmdline`, "utf8").includes(folder)) kill(Number(name));
    } catch {
      // It has ended since.
    }
  }
}

function kill(pid: number): void {
  try {
    process.kill(pid, "SIGKILL");
  } catch {
    // It has ended with its parent.
  }
}
