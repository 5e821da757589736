import { readdir, readFile, rename, rm, stat, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { isId } from "../platform/id.ts";

/**
 * Files of exports on disk: `exports/<export>/<run>` is what is delivered, and `<run>.meters` beside it names the root
 * meters whose values it holds, so that rights can be looked at again.
 */
const root = (dataDir: string) => join(dataDir, "exports");

/** The folder of all files of an export. */
export function folderOf(dataDir: string, exportId: string): string {
  return join(root(dataDir), exportId);
}

/** The file of a run. */
export function fileOf(dataDir: string, exportId: string, runId: string): string {
  return join(folderOf(dataDir, exportId), runId);
}

const metersFile = (path: string) => `${path}.meters`;
/** Where a file lies until it is whole. */
export const partOf = (path: string) => `${path}.part`;

/** Notes which root meters a file holds values of. */
export async function noteMeters(path: string, rootIds: readonly string[]): Promise<void> {
  await writeFile(metersFile(path), rootIds.join("\n"), { mode: 0o600, flush: true });
}

/** Root meters in a file that is whole on disk; `undefined` when the file, or a part of it, is gone. */
export async function metersIn(path: string, bytes: number): Promise<string[] | undefined> {
  const about = await stat(path).catch(() => undefined);
  if (about?.size !== bytes) return undefined;
  const text = await readFile(metersFile(path), "utf8").catch(() => undefined);
  return text?.split("\n").filter(isId);
}

/** Puts a file, with the note beside it, in the place of another. */
export async function replaceFile(from: string, to: string): Promise<void> {
  await rename(metersFile(from), metersFile(to));
  await rename(from, to);
}

/** Removes the file of a run and all that lies beside it. */
export async function discardFile(path: string): Promise<void> {
  await rm(path, { force: true });
  await rm(metersFile(path), { force: true });
  await rm(partOf(path), { force: true });
}

/** Removes all files of an export. */
export async function discardFolder(dataDir: string, exportId: string): Promise<void> {
  await rm(folderOf(dataDir, exportId), { recursive: true, force: true });
}

/** Ids of the exports that have a folder. */
export async function folders(dataDir: string): Promise<string[]> {
  const names = await readdir(root(dataDir)).catch(() => []);
  return names.filter(isId);
}

/** Ids of the runs that have a file in the folder of an export which nobody has touched since `before` (epoch ms). */
export async function filesBefore(dataDir: string, exportId: string, before: number): Promise<string[]> {
  const folder = folderOf(dataDir, exportId);
  const names = await readdir(folder).catch(() => []);
  const found = new Set<string>();
  for (const name of names) {
    const id = name.replace(/\.(meters|part)$/, "");
    const about = await stat(join(folder, name)).catch(() => undefined);
    if (isId(id) && about !== undefined && about.mtimeMs < before) found.add(id);
  }
  return [...found];
}
