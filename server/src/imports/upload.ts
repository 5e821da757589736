import { createHash } from "node:crypto";
import { mkdir, open, readdir, rm, stat } from "node:fs/promises";
import { join } from "node:path";
import type { Readable } from "node:stream";
import { plainFileName } from "../platform/http/parts.ts";
import { isId } from "../platform/id.ts";
import { Problem } from "../platform/problem.ts";
import type { ImportedFile } from "./import.ts";

/** Where the files of an import wait until they are read. */
export function folderOf(dataDir: string, importId: string): string {
  return join(dataDir, "uploads", importId);
}

/** The n-th file of an import. */
export function fileOf(dataDir: string, importId: string, n: number): string {
  return join(folderOf(dataDir, importId), String(n));
}

/** Takes in the files of one upload. What it has taken survives a loss of power once `seal` has answered. */
export class Upload {
  readonly files: ImportedFile[] = [];
  readonly #folder: string;
  readonly #bytesMax: number;
  #bytes = 0;

  constructor(folder: string, bytesMax: number) {
    this.#folder = folder;
    this.#bytesMax = bytesMax;
  }

  /** Writes a file as it comes in. @throws Problem `too_large` when all files together are larger than allowed */
  async take(name: string, stream: Readable): Promise<void> {
    await mkdir(this.#folder, { recursive: true, mode: 0o700 });
    const hash = createHash("sha256");
    let bytes = 0;
    const file = await open(join(this.#folder, String(this.files.length)), "wx", 0o600);
    try {
      for await (const chunk of stream as AsyncIterable<Buffer>) {
        bytes += chunk.length;
        this.#bytes += chunk.length;
        if (this.#bytes > this.#bytesMax) {
          throw new Problem(
            "too_large",
            `An upload may have ${this.#bytesMax} bytes. Pack the files, or split them.`,
          );
        }
        hash.update(chunk);
        await file.writeFile(chunk);
      }
      await file.sync();
    } finally {
      await file.close();
    }
    this.files.push({ name: plainFileName(name), bytes, sha256: hash.digest("hex") });
  }

  /** SHA-256 over the hashes of the files: equal uploads have equal ones. */
  get contentHash(): Buffer {
    const hash = createHash("sha256");
    for (const { sha256 } of this.files) hash.update(sha256, "hex");
    return hash.digest();
  }

  /** Makes the names of the files durable, as their content is. */
  async seal(): Promise<void> {
    for (const folder of [this.#folder, join(this.#folder, "..")]) {
      const handle = await open(folder, "r");
      try {
        await handle.sync();
      } finally {
        await handle.close();
      }
    }
  }
}

/** Removes the files of an import and all that was made of them. */
export async function discardFiles(dataDir: string, importId: string): Promise<void> {
  await rm(folderOf(dataDir, importId), { recursive: true, force: true });
}

/** Ids of the imports that have a folder which nobody has touched since `before` (epoch milliseconds). */
export async function foldersBefore(dataDir: string, before: number): Promise<string[]> {
  const names = await readdir(join(dataDir, "uploads")).catch(() => []);
  const found: string[] = [];
  for (const name of names.filter(isId)) {
    const about = await stat(folderOf(dataDir, name)).catch(() => undefined);
    if (about !== undefined && about.mtimeMs < before) found.push(name);
  }
  return found;
}
