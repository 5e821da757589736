import { createHash } from "node:crypto";
import { mkdir, open, readdir, rename, rm, stat } from "node:fs/promises";
import { join } from "node:path";
import type { Readable } from "node:stream";
import { plainFileName } from "../platform/http/parts.ts";
import { isId } from "../platform/id.ts";
import { Problem } from "../platform/problem.ts";

const folderOf = (dataDir: string) => join(dataDir, "invoices");

/** Where the document of an invoice is kept. */
export function fileOf(dataDir: string, invoiceId: string): string {
  return join(folderOf(dataDir), invoiceId);
}

/** A document as it came. */
export interface TakenFile {
  name: string;
  bytes: number;
  /** Hexadecimal. */
  sha256: string;
}

/** Keeps a document under an id; it survives a loss of power. @throws Problem `too_large` */
export async function keepFile(
  path: { dataDir: string; invoiceId: string },
  { name, stream, bytesMax }: { name: string; stream: Readable; bytesMax: number },
): Promise<TakenFile> {
  const folder = folderOf(path.dataDir);
  await mkdir(folder, { recursive: true, mode: 0o700 });
  const hash = createHash("sha256");
  let bytes = 0;
  const file = await open(join(folder, path.invoiceId), "wx", 0o600);
  try {
    for await (const chunk of stream as AsyncIterable<Buffer>) {
      bytes += chunk.length;
      if (bytes > bytesMax)
        throw new Problem("too_large", `An invoice may have ${bytesMax} bytes. Split the document.`);
      hash.update(chunk);
      await file.writeFile(chunk);
    }
    await file.sync();
  } finally {
    await file.close();
  }
  await syncFolder(folder);
  return { name: plainFileName(name), bytes, sha256: hash.digest("hex") };
}

/** The same content came again under another id: the file takes the place of its equal. */
export async function moveFile(dataDir: string, { from, to }: { from: string; to: string }): Promise<void> {
  await rename(fileOf(dataDir, from), fileOf(dataDir, to));
  await syncFolder(folderOf(dataDir));
}

/** Removes the document of an invoice; nothing when there is none. */
export async function discardFile(dataDir: string, invoiceId: string): Promise<void> {
  await rm(fileOf(dataDir, invoiceId), { force: true });
}

async function syncFolder(folder: string): Promise<void> {
  const handle = await open(folder, "r");
  try {
    await handle.sync();
  } finally {
    await handle.close();
  }
}

/** Ids of documents that nobody has touched since `before` (epoch milliseconds). */
export async function filesBefore(dataDir: string, before: number): Promise<string[]> {
  const names = await readdir(folderOf(dataDir)).catch(() => []);
  const found: string[] = [];
  for (const name of names.filter(isId)) {
    const about = await stat(fileOf(dataDir, name)).catch(() => undefined);
    if (about !== undefined && about.mtimeMs < before) found.push(name);
  }
  return found;
}
