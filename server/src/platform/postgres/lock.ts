import { closeSync, openSync, readFileSync, renameSync, rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { DatabaseSync } from "node:sqlite";
import { Problem } from "../problem.ts";
import { giveToFolderOwner } from "./account.ts";
import { processFacts } from "./process.ts";

/** How long a process means to keep a folder: a server until it is stopped, a command until it is done. */
export type LockMode = "serve" | "beside";

/** Who holds a folder. */
export interface LockOwner {
  pid: number;
  /** Start of the process, see {@link processFacts}. */
  started: string;
  mode: LockMode;
  /** When it took the folder, ISO 8601. */
  since: string;
}

/** A folder that is ours until `release`, or until the process ends in whatever way. */
export interface FolderLock {
  release(): void;
}

/**
 * Takes `folder` for this process alone, or returns `undefined` when another process (or an earlier call in this
 * one) has it.
 *
 * The lock is one of the kernel (fcntl, taken through SQLite because Node itself has no such call): it ends with
 * its process even after kill -9, needs no guess whether a pid is alive, and holds between containers that share
 * a volume but do not see each other's processes. The note beside it only tells people, and commands that
 * want to attach, who the holder is.
 */
export function takeFolder(folder: string, owner: { mode: LockMode; now: number }): FolderLock | undefined {
  const path = join(folder, "metertree.lock");
  let lock: DatabaseSync | undefined;
  try {
    touch(path);
    lock = new DatabaseSync(path, { timeout: 0 });
    lock.exec("pragma journal_mode = off; begin exclusive");
    writeNote(folder, {
      pid: process.pid,
      started: processFacts(process.pid)?.started ?? "",
      mode: owner.mode,
      since: new Date(owner.now).toISOString(),
    });
  } catch (error) {
    if (lock?.isOpen) lock.close();
    if ((error as { errcode?: number }).errcode === sqliteBusy) return undefined;
    throw cannotLock(path, error as { errcode?: number; code?: string; message: string });
  }
  const held = lock;
  return {
    release() {
      if (!held.isOpen) return;
      rmSync(notePath(folder), { force: true });
      held.close();
    },
  };
}

// Result codes of SQLite, see sqlite.org/rescode.html.
const sqliteBusy = 5;
const sqliteFull = 13;

function cannotLock(path: string, error: { errcode?: number; code?: string; message: string }): Problem {
  const remedy =
    error.errcode === sqliteFull || error.code === "ENOSPC"
      ? "No space left on device: free space on that disk and start again."
      : "The folder must be writable and on a file system with file locks; if another user started Metertree here before, run it as that user or change the owner of the folder.";
  return new Problem("unavailable", `Cannot lock ${path}: ${error.message}. ${remedy}`, { cause: error });
}

/**
 * Makes the file readable for us alone: whoever may open it could lock us out. An existing file is left alone,
 * because closing it again would end a lock that this process has on it (POSIX).
 */
function touch(path: string): void {
  try {
    closeSync(openSync(path, "wx", 0o600));
    giveToFolderOwner(path);
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== "EEXIST") throw error;
  }
}

/** Who holds a folder that could not be taken; `undefined` while the note is not (yet) that of a live process. */
export function folderOwner(folder: string): LockOwner | undefined {
  try {
    const owner = JSON.parse(readFileSync(notePath(folder), "utf8")) as LockOwner;
    return processFacts(owner.pid)?.started === owner.started ? owner : undefined;
  } catch {
    return undefined;
  }
}

function notePath(folder: string): string {
  return join(folder, "metertree.pid");
}

function writeNote(folder: string, note: LockOwner): void {
  const path = notePath(folder);
  writeFileSync(`${path}.new`, `${JSON.stringify(note)}\n`, { mode: 0o644 });
  giveToFolderOwner(`${path}.new`);
  renameSync(`${path}.new`, path);
}
