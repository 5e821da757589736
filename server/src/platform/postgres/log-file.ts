import {
  closeSync,
  copyFileSync,
  fstatSync,
  openSync,
  readSync,
  renameSync,
  rmSync,
  statSync,
  truncateSync,
} from "node:fs";
import { giveToFolderOwner } from "./account.ts";

/** The log is moved to `<path>.1` when it is larger; there is never more than one old one. */
export const logBytesMax = 10 * 1024 * 1024;

/** Opens the log to append to. */
export function openLog(path: string): number {
  const file = openSync(path, "a", 0o640);
  giveToFolderOwner(path);
  return file;
}

/** Bytes in the log, 0 when there is none. */
export function logSize(path: string): number {
  return statSync(path, { throwIfNoEntry: false })?.size ?? 0;
}

/** Moves a log that grew too large, before a server opens it. */
export function rotateLog(path: string): void {
  if (logSize(path) > logBytesMax) renameSync(path, `${path}.1`);
}

/** Empties a log that grew too large while a server writes it: possible because it only ever appends. */
export function limitLog(path: string): void {
  if (logSize(path) <= logBytesMax) return;
  rmSync(`${path}.1`, { force: true });
  copyFileSync(path, `${path}.1`);
  truncateSync(path, 0);
}

/** Messages after byte `from`, without times; the last 8 KB at most. */
export function logLines(path: string, from: number): string[] {
  const file = openSync(path, "r");
  try {
    const { size } = fstatSync(file);
    const start = Math.max(size < from ? 0 : from, size - 8192);
    const bytes = Buffer.alloc(size - start);
    readSync(file, bytes, 0, bytes.length, start);
    const lines = bytes.toString("utf8").split("\n");
    return lines.map(message).filter((line) => line !== "");
  } finally {
    closeSync(file);
  }
}

/** `2026-11-23 10:00:00.000 UTC [12] FATAL:  …` without what stands before the level. */
function message(line: string): string {
  const end = line.indexOf("] ");
  return (end > 0 && end < 60 ? line.slice(end + 2) : line).trim();
}
