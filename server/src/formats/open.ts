import { formats } from "./all.ts";
import {
  type ContainedFile,
  expandedBytesMaxDefault,
  type FileSource,
  peekBytes,
  unpack,
} from "./container.ts";
import { chooseFormat } from "./detect.ts";
import type { Item, ReadOptions } from "./item.ts";
import { Problems } from "./problems.ts";

/** Bytes that formats look at to recognise a file. */
const headBytes = 64 * 1024;

/** How files are read. */
export interface OpenOptions extends Omit<ReadOptions, "fileName"> {
  /** Name of the format, when it is not to be recognised. */
  format?: string;
  /** Bytes that a packed file may expand to, 4 GiB unless stated. */
  expandedBytesMax?: number;
}

/** One file, ready to be read. */
export interface OpenedFile {
  /** `archive.zip/entry.csv` for an entry of an archive. */
  name: string;
  /** Name of the format, null when it was not recognised. */
  format: string | null;
  /** Read once and whole, before the next file is asked for. Never throws for bad content. */
  items: AsyncIterable<Item[]>;
}

/**
 * Opens a file, and each file in it when it is an archive. Whatever is wrong with the content comes as a
 * problem among the items; only a failing source throws.
 */
export async function* openFiles(
  source: FileSource,
  options: OpenOptions = {},
): AsyncGenerator<OpenedFile, void, undefined> {
  const { expandedBytesMax = expandedBytesMaxDefault } = options;
  const files = unpack(source, { expandedBytesMax });
  try {
    for (;;) {
      let next: IteratorResult<ContainedFile>;
      try {
        next = await files.next();
      } catch (reason) {
        yield refused(source.name, reason);
        return;
      }
      if (next.done === true) return;
      const { file, close } = await open(next.value, options);
      try {
        yield file;
      } finally {
        await close();
      }
    }
  } finally {
    await files.return();
  }
}

async function open(
  { name, content }: ContainedFile,
  options: OpenOptions,
): Promise<{ file: OpenedFile; close: () => Promise<void> }> {
  let close = async () => {};
  try {
    const peeked = await peekBytes(content, headBytes);
    close = peeked.close;
    const format = chooseFormat(peeked.head, name, { formats: formats(), wanted: options.format });
    const items = guarded(format.read(peeked.all, { ...options, fileName: name }));
    return { file: { name, format: format.name, items }, close };
  } catch (reason) {
    return { file: refused(name, reason), close };
  }
}

/** Tells a fault of the packing, which comes up while the content is read, as a problem. */
async function* guarded(items: AsyncIterable<Item[]>): AsyncGenerator<Item[], void, undefined> {
  const problems = new Problems();
  try {
    yield* items;
  } catch (reason) {
    problems.stop(reason);
    yield problems.end();
  }
}

/** A file that cannot be read: its only item says why. */
function refused(name: string, reason: unknown): OpenedFile {
  const problems = new Problems();
  problems.stop(reason);
  async function* items(): AsyncGenerator<Item[], void, undefined> {
    yield problems.end();
  }
  return { name, format: null, items: items() };
}
