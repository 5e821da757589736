import { createReadStream, createWriteStream } from "node:fs";
import { open, rename, rm } from "node:fs/promises";
import { dirname } from "node:path";
import { pipeline as connect, Readable } from "node:stream";
import { pipeline } from "node:stream/promises";
import { createGunzip, createGzip } from "node:zlib";
import { Problem } from "./problem.ts";

/** One file of an archive. Large content is spread over many, so that each fits in memory. */
export interface ArchiveEntry {
  /** Path of at most 100 ASCII characters. */
  name: string;
  data: Buffer;
}

const blockBytes = 512;
const entryBytesMax = 64 * 1024 * 1024;

/**
 * Writes a compressed tar file (ustar, gzip), which `tar tzf` can list. The file has its name only once it is whole
 * and on disk, and only its owner may read it.
 */
export async function writeArchive(path: string, entries: AsyncIterable<ArchiveEntry>): Promise<void> {
  const unfinished = `${path}.unfinished`;
  try {
    const file = createWriteStream(unfinished, { mode: 0o600, flush: true });
    await pipeline(Readable.from(tarOf(entries)), createGzip({ level: 4 }), file);
    await rename(unfinished, path);
    await syncFolder(dirname(path));
  } catch (error) {
    await rm(unfinished, { force: true });
    throw error;
  }
}

async function syncFolder(path: string): Promise<void> {
  const folder = await open(path, "r");
  await folder.sync();
  await folder.close();
}

async function* tarOf(entries: AsyncIterable<ArchiveEntry>): AsyncGenerator<Buffer> {
  for await (const { name, data } of entries) {
    yield headerOf(name, data.length);
    yield data;
    const rest = data.length % blockBytes;
    if (rest > 0) yield Buffer.alloc(blockBytes - rest);
  }
  yield Buffer.alloc(2 * blockBytes);
}

/** Header block of a plain file: POSIX.1-1988 "ustar". */
function headerOf(name: string, bytes: number): Buffer {
  const header = Buffer.alloc(blockBytes);
  const octal = (value: number, at: number, length: number) =>
    header.write(`${value.toString(8).padStart(length - 1, "0")}\0`, at, "ascii");
  header.write(name, 0, 100, "ascii");
  octal(0o600, 100, 8);
  octal(0, 108, 8);
  octal(0, 116, 8);
  octal(bytes, 124, 12);
  octal(0, 136, 12);
  header.write("        0", 148, "ascii");
  header.write("ustar\x0000", 257, "ascii");
  octal(
    header.reduce((sum, byte) => sum + byte, 0),
    148,
    7,
  );
  return header;
}

/** Reads what `writeArchive` wrote, one entry at a time. Throws a `Problem` when it is cut short or damaged. */
export async function* readArchive(path: string): AsyncGenerator<ArchiveEntry> {
  const unpacked = createGunzip();
  // A failure to read arrives where the bytes are awaited.
  connect(createReadStream(path), unpacked, () => undefined);
  const reader = new ByteReader(unpacked);
  try {
    for (;;) {
      const header = await reader.take(blockBytes);
      if (header.every((byte) => byte === 0)) return;
      const bytes = checkedSize(header);
      const name = header.toString("ascii", 0, 100).replace(/\0.*$/s, "");
      const data = await reader.take(bytes);
      await reader.take((blockBytes - (bytes % blockBytes)) % blockBytes);
      yield { name, data };
    }
  } catch (error) {
    if (error instanceof Problem) throw error;
    const { code, message } = error as NodeJS.ErrnoException;
    if (code !== undefined && !code.startsWith("Z_"))
      throw new Problem("invalid", `${path} cannot be read: ${message}`);
    throw damaged(path, message);
  } finally {
    reader.close();
  }
}

function damaged(path: string, why: string): Problem {
  return new Problem("invalid", `${path} is no backup, or it is damaged (${why}). Use another copy of it.`);
}

function checkedSize(header: Buffer): number {
  const stated = Number.parseInt(header.toString("ascii", 148, 154), 8);
  const sum = header.reduce((all, byte, at) => all + (at >= 148 && at < 156 ? 32 : byte), 0);
  const bytes = Number.parseInt(header.toString("ascii", 124, 135), 8);
  if (stated !== sum || !(bytes <= entryBytesMax)) throw new Error("a header is wrong");
  return bytes;
}

/** Takes exact numbers of bytes from a stream. */
class ByteReader {
  readonly #stream: Readable;
  readonly #chunks: AsyncIterator<Buffer>;
  #rest: Buffer = Buffer.alloc(0);

  constructor(stream: Readable) {
    this.#stream = stream;
    this.#chunks = stream[Symbol.asyncIterator]();
  }

  async take(bytes: number): Promise<Buffer> {
    const parts: Buffer[] = [];
    let missing = bytes;
    while (missing > 0) {
      if (this.#rest.length === 0) {
        const next = await this.#chunks.next();
        if (next.done === true) throw new Error("it ends too early");
        this.#rest = next.value;
      }
      const part = this.#rest.subarray(0, missing);
      this.#rest = this.#rest.subarray(part.length);
      missing -= part.length;
      parts.push(part);
    }
    return parts.length === 1 ? parts[0]! : Buffer.concat(parts);
  }

  close(): void {
    this.#stream.destroy();
  }
}
