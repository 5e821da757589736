import { Fault } from "./problems.ts";

/** What recognises a file: a format of values or of invoices. */
interface Recogniser {
  name: string;
  detect(head: Uint8Array, fileName: string): number;
}

/** Below this a format only says that it could perhaps read the file. */
const sureFrom = 0.1;
/** Two formats whose certainty differs by less are both possible. */
const ambiguousWithin = 0.05;

/**
 * The format of a file by its first bytes and name, or the format called `wanted`.
 * @param remedy what to do about a file that no format fits
 * @throws Fault when no format or more than one fits
 */
export function chooseFormat<Kind extends Recogniser>(
  head: Uint8Array,
  fileName: string,
  {
    formats,
    wanted,
    remedy = "State its format.",
  }: { formats: readonly Kind[]; wanted?: string | undefined; remedy?: string },
): Kind {
  if (wanted !== undefined) {
    const format = formats.find(({ name }) => name === wanted);
    if (format !== undefined) return format;
    throw new Fault(`There is no format "${wanted}". Formats: ${listed(formats)}.`);
  }
  if (head.length === 0) throw new Fault("The file is empty.");
  const ranked = formats
    .map((format) => ({ format, sure: format.detect(head, fileName) }))
    .filter(({ sure }) => sure >= sureFrom)
    .sort((a, b) => b.sure - a.sure);
  const [first, second] = ranked;
  if (first === undefined) {
    throw new Fault(`The file is in no format that we know (${listed(formats)}). ${remedy}`);
  }
  if (second !== undefined && first.sure - second.sure < ambiguousWithin) {
    const possible = listed([first.format, second.format]);
    throw new Fault(`The file could be in more than one format (${possible}). State its format.`);
  }
  return first.format;
}

const listed = (formats: readonly Recogniser[]) => formats.map(({ name }) => name).join(", ");
