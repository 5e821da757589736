import { Readable } from "node:stream";
import { createGunzip } from "node:zlib";
import yauzl from "yauzl";
import { Fault } from "./problems.ts";

/** A file as its holder offers it: any part of it can be read. The readers of formats do no I/O themselves. */
export interface FileSource {
  /** Name without folder, as the user knows it. */
  name: string;
  /** Bytes. */
  size: number;
  /** Bytes [from, to) as a stream; may be called again, also while another stream is open. */
  read(from: number, to: number): AsyncIterable<Uint8Array>;
}

/** One file after unpacking. */
export interface ContainedFile {
  /** `archive.zip/entry.csv` for an entry, the plain name otherwise. */
  name: string;
  /** Read once. Throws a `Fault` when the packing is damaged or goes beyond a limit. */
  content: AsyncIterable<Uint8Array>;
}

/** Bounds of unpacking. */
export interface UnpackLimits {
  /** Bytes of all unpacked files together. */
  expandedBytesMax: number;
}

/** Unless stated otherwise: a year of quarter-hours of 20,000 meters as text. */
export const expandedBytesMaxDefault = 4 * 1024 ** 3;
const ratioMax = 100;
/** Below this the ratio says nothing: a short file of zeros packs better than 100:1. */
const ratioFromBytes = 1_000_000;
const entriesMax = 1_000;
/** A zip inside a container has to be held in memory, because its table of contents is at its end. */
const innerZipBytesMax = 64 * 1024 ** 2;

/** What has been unpacked of one uploaded file, over all entries and levels. */
class Budget {
  #packed: number;
  #limits: UnpackLimits;
  #expanded = 0;

  constructor(packedBytes: number, limits: UnpackLimits) {
    this.#packed = Math.max(1, packedBytes);
    this.#limits = limits;
  }

  /** Refuses what says of itself that it is too large, before a byte of it is unpacked. */
  declare(expandedBytes: number): void {
    this.#expanded += expandedBytes;
    this.#check();
  }

  /** Passes content on and counts it. */
  async *counted(
    content: AsyncIterable<Uint8Array>,
    name: string,
  ): AsyncGenerator<Uint8Array, void, undefined> {
    try {
      for await (const chunk of content) {
        this.#expanded += chunk.length;
        this.#check();
        yield chunk;
      }
    } catch (reason) {
      throw asFault(reason, name);
    }
  }

  #check(): void {
    if (this.#expanded > this.#limits.expandedBytesMax) {
      const gigabytes = (this.#limits.expandedBytesMax / 1024 ** 3).toFixed(1);
      throw new Fault(`Unpacked, the file is larger than ${gigabytes} GB. Split it.`);
    }
    if (this.#expanded > ratioFromBytes && this.#expanded > ratioMax * this.#packed) {
      throw new Fault(
        `The file unpacks to more than ${ratioMax} times its size, as no meter data does. Send it unpacked.`,
      );
    }
  }
}

/**
 * The files in `source`: itself when it is not packed, the content of a gzip, the entries of a zip.
 * A container may hold containers, but these no further ones. Workbooks (.xlsx) are zips and stay
 * whole.
 * @throws Fault when the container cannot be read
 */
export async function* unpack(
  source: FileSource,
  limits: UnpackLimits,
): AsyncGenerator<ContainedFile, void, undefined> {
  const at: Level = { level: 0, budget: new Budget(source.size, limits) };
  const kind = kindOf(await firstBytes(source.read(0, Math.min(4, source.size))));
  if (kind === "plain") yield { name: source.name, content: source.read(0, source.size) };
  else if (kind === "zip") yield* unzip(source, at);
  else {
    const name = source.name.replace(/\.gz$/i, "");
    yield* inside({ name, content: at.budget.counted(gunzip(source), source.name) }, at);
  }
}

interface Level {
  /** Containers that the file at hand has already been taken out of, besides the first. */
  level: number;
  budget: Budget;
}

/** A file taken out of a container, which may be one itself. */
async function* inside(
  file: ContainedFile,
  { level, budget }: Level,
): AsyncGenerator<ContainedFile, void, undefined> {
  const { head, all, close } = await peekBytes(file.content, 4);
  const kind = kindOf(head);
  try {
    if (kind === "plain") yield { name: file.name, content: all };
    else if (level > 0) throw tooDeep(file.name);
    else if (kind === "gzip") {
      const content = budget.counted(pipe(Readable.from(all), createGunzip()), file.name);
      yield* inside({ name: file.name.replace(/\.gz$/i, ""), content }, { level: level + 1, budget });
    } else yield* unzip(await held(file.name, all), { level: level + 1, budget });
  } finally {
    await close();
  }
}

async function held(name: string, content: AsyncIterable<Uint8Array>): Promise<FileSource> {
  const chunks: Uint8Array[] = [];
  let size = 0;
  for await (const chunk of content) {
    size += chunk.length;
    if (size > innerZipBytesMax) {
      throw new Fault(`The archive ${name} inside the archive is larger than 64 MB. Send it by itself.`);
    }
    chunks.push(chunk);
  }
  return memoryFile(name, Buffer.concat(chunks, size));
}

/** A file that is held in memory. */
export function memoryFile(name: string, bytes: Uint8Array): FileSource {
  return {
    name,
    size: bytes.length,
    async *read(from, to) {
      if (to > from) yield bytes.subarray(from, to);
    },
  };
}

async function* unzip(
  source: FileSource,
  { level, budget }: Level,
): AsyncGenerator<ContainedFile, void, undefined> {
  const zip = await openZip(source);
  try {
    if (zip.entryCount > entriesMax) {
      throw new Fault(`The archive holds ${zip.entryCount} files, more than ${entriesMax}. Split it.`);
    }
    const entries = await entriesOf(zip, source.name);
    if (entries.some((entry) => entry.fileName === "[Content_Types].xml")) {
      budget.declare(entries.reduce((sum, { uncompressedSize }) => sum + uncompressedSize, 0));
      yield { name: source.name, content: source.read(0, source.size) };
      return;
    }
    const files = entries.filter(({ fileName }) => !isNoise(fileName));
    if (files.length === 0) throw new Fault("The archive is empty.");
    for (const entry of files) {
      const name = `${source.name}/${entry.fileName}`;
      yield* inside({ name, content: budget.counted(entryContent(zip, entry), name) }, { level, budget });
    }
  } finally {
    zip.close();
  }
}

async function openZip(source: FileSource): Promise<yauzl.ZipFile> {
  try {
    // The reader answers for its own end; yauzl closes nothing on its own accord.
    return await yauzl.fromRandomAccessReaderPromise(new PartReader(source), source.size, {
      lazyEntries: true,
      autoClose: false,
    });
  } catch (reason) {
    throw asFault(reason, source.name);
  }
}

async function entriesOf(zip: yauzl.ZipFile, name: string): Promise<yauzl.Entry[]> {
  const entries: yauzl.Entry[] = [];
  try {
    for await (const entry of zip.eachEntry()) {
      entries.push(entry);
      if (entries.length > entriesMax)
        throw new Fault(`The archive holds more than ${entriesMax} files. Split it.`);
    }
  } catch (reason) {
    throw asFault(reason, name);
  }
  return entries;
}

async function* entryContent(
  zip: yauzl.ZipFile,
  entry: yauzl.Entry,
): AsyncGenerator<Uint8Array, void, undefined> {
  if (entry.isEncrypted()) {
    throw new Fault(`The file ${entry.fileName} in the archive is encrypted. Send it without a password.`);
  }
  if (!entry.canDecodeFileData()) {
    throw new Fault(
      `The file ${entry.fileName} is packed by method ${entry.compressionMethod}, which is not read. Pack it as an ordinary zip.`,
    );
  }
  const stream = await zip.openReadStreamPromise(entry);
  try {
    yield* stream;
  } finally {
    stream.destroy();
  }
}

/** Folders and what desktops leave in archives. */
function isNoise(fileName: string): boolean {
  const name = fileName.slice(fileName.lastIndexOf("/") + 1);
  return name === "" || fileName.startsWith("__MACOSX/") || name === ".DS_Store" || name === "Thumbs.db";
}

/** Lets yauzl read parts of a source. */
class PartReader extends yauzl.RandomAccessReader {
  #source: FileSource;

  constructor(source: FileSource) {
    super();
    this.#source = source;
  }

  override _readStreamForRange(start: number, end: number): Readable {
    return Readable.from(this.#source.read(start, end), { objectMode: false });
  }
}

function gunzip(source: FileSource): AsyncIterable<Uint8Array> {
  return pipe(Readable.from(source.read(0, source.size)), createGunzip());
}

async function* pipe(
  from: Readable,
  through: ReturnType<typeof createGunzip>,
): AsyncGenerator<Uint8Array, void, undefined> {
  from.on("error", (error) => through.destroy(error));
  from.pipe(through);
  try {
    yield* through as AsyncIterable<Uint8Array>;
  } finally {
    from.destroy();
    through.destroy();
  }
}

function kindOf(head: Uint8Array): "zip" | "gzip" | "plain" {
  if (head[0] === 0x1f && head[1] === 0x8b) return "gzip";
  // An archive begins with an entry (3, 4) or, when it is empty, with its end (5, 6).
  const zip = head[0] === 0x50 && head[1] === 0x4b;
  if (zip && ((head[2] === 3 && head[3] === 4) || (head[2] === 5 && head[3] === 6))) return "zip";
  return "plain";
}

async function firstBytes(content: AsyncIterable<Uint8Array>): Promise<Uint8Array> {
  const chunks: Uint8Array[] = [];
  for await (const chunk of content) chunks.push(chunk);
  return Buffer.concat(chunks);
}

/** The beginning of a content. */
export interface Peeked {
  head: Uint8Array;
  /** The whole content, the head included; read once. */
  all: AsyncIterable<Uint8Array>;
  /** Lets go of the content, read or not. */
  close(): Promise<void>;
}

/** The first `length` bytes of a content (fewer when it is shorter), and the whole of it again. */
export async function peekBytes(content: AsyncIterable<Uint8Array>, length: number): Promise<Peeked> {
  const iterator = content[Symbol.asyncIterator]();
  const chunks: Uint8Array[] = [];
  let size = 0;
  let done = false;
  while (size < length) {
    const next = await iterator.next();
    if (next.done === true) {
      done = true;
      break;
    }
    chunks.push(next.value);
    size += next.value.length;
  }
  async function* all(): AsyncGenerator<Uint8Array, void, undefined> {
    try {
      while (chunks.length > 0) yield chunks.shift()!;
      while (!done) {
        const next = await iterator.next();
        if (next.done === true) return;
        yield next.value;
      }
    } finally {
      await close();
    }
  }
  const close = async () => {
    await iterator.return?.();
  };
  return { head: Buffer.concat(chunks).subarray(0, length), all: all(), close };
}

const tooDeep = (name: string) =>
  new Fault(`${name} is an archive inside an archive inside an archive. Unpack it before.`);

/** Errors of zlib and yauzl are the file's fault, unless the source itself failed. */
function asFault(reason: unknown, name: string): unknown {
  if (!(reason instanceof Error) || reason instanceof Fault) return reason;
  const code = (reason as NodeJS.ErrnoException).code ?? "";
  const ours = code !== "" && !code.startsWith("Z_") && !code.startsWith("ERR_Z");
  if (ours) return reason;
  return new Fault(
    `${name} cannot be unpacked: ${reason.message.slice(0, 200)}. Pack it again or send it unpacked.`,
  );
}
