import { Readable } from "node:stream";
import type { Deps } from "../platform/deps.ts";
import { newId } from "../platform/id.ts";
import { Reader } from "./reader.ts";
import { type ReadingOptions, readingTask } from "./task.ts";
import { discardFiles, fileOf, folderOf, Upload } from "./upload.ts";

/** A file that lies on this machine, whole. */
export interface ReceivedFile {
  bytes: number;
  /** Hexadecimal. */
  sha256: string;
  /** Begins to read it on a thread. `received`: when it came first, epoch milliseconds. */
  open(options: ReadingOptions, received: number): Reader;
}

/**
 * Takes in a file that somebody sends, and lets `work` read it; nothing of it is left afterwards, also when the server
 * ends meanwhile (`tidy-uploads`).
 * @throws Problem `too_large` when it is larger than an upload may be, and what the content throws
 */
export async function receiveFile<Out>(
  { clock, settings }: Pick<Deps, "clock" | "settings">,
  { name, content, signal }: { name: string; content: AsyncIterable<Uint8Array>; signal: AbortSignal },
  work: (file: ReceivedFile) => Promise<Out>,
): Promise<Out> {
  const folderId = newId(clock.now());
  const upload = new Upload(folderOf(settings.dataDir, folderId), settings.uploadBytesMax);
  const readers: Reader[] = [];
  try {
    await upload.take(name, Readable.from(content, { signal }));
    const { bytes, sha256, name: plainName } = upload.files[0]!;
    const files = [{ name: plainName, bytes, path: fileOf(settings.dataDir, folderId, 0) }];
    const spoolPath = fileOf(settings.dataDir, folderId, 1);
    return await work({
      bytes,
      sha256,
      open(options, received) {
        const task = readingTask(settings, { files, spoolPath, options, received });
        const reader = new Reader(task, { signal, progress: () => undefined });
        readers.push(reader);
        return reader;
      },
    });
  } finally {
    for (const reader of readers) await reader.close();
    await discardFiles(settings.dataDir, folderId);
  }
}
