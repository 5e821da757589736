import { chmodSync, chownSync, readFileSync } from "node:fs";
import { mkdtemp, readdir, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { killUsersOf } from "./process-tree.ts";

const prefix = "metertree-browser-";

/**
 * A fresh folder for a browser: its profile, what it downloads, its temporary files. It says by its name whose it is:
 * process id and start of this server.
 */
export async function makeFolder(account: number | null): Promise<string> {
  const { pid } = process;
  const folder = await mkdtemp(join(tmpdir(), `${prefix}${pid}-${beginOf(pid) ?? 0}-`));
  chmodSync(folder, 0o700);
  if (account !== null) chownSync(folder, account, account);
  return folder;
}

/** Removes a folder and ends who uses it; what dying processes still write is waited for. */
export async function removeFolder(folder: string): Promise<void> {
  killUsersOf(folder);
  await rm(folder, { recursive: true, force: true, maxRetries: 5, retryDelay: 100 });
}

/** Removes what servers have left that were killed; returns how many folders. */
export async function sweepFolders(): Promise<number> {
  const names = (await readdir(tmpdir())).filter((name) => name.startsWith(prefix));
  const left = names.filter((name) => {
    const [pid, begin] = name.slice(prefix.length).split("-");
    return beginOf(Number(pid)) !== begin;
  });
  for (const name of left) await removeFolder(join(tmpdir(), name));
  return left.length;
}

/** When a process began, in ticks since the machine did: an id alone is given to others later. */
function beginOf(pid: number): string | undefined {
  try {
    const stat = readFileSync(`/proc/${pid}/stat`, "utf8");
    // The name of the program may hold blanks and brackets.
    return stat.slice(stat.lastIndexOf(")") + 2).split(" ")[19];
  } catch {
    return undefined;
  }
}
