import { constants, inflateRawSync } from "node:zlib";
import { Fault } from "./problems.ts";

/** Bounds that hold before the PDF library sees a file, which would unpack whatever it holds. */
const bytesMax = 20_000_000;
const streamExpandedMax = 64_000_000;
const expandedMax = 256_000_000;
const streamsMax = 50_000;
/** Header and dictionary of an object lie within this many bytes before its content. */
const dictionaryBytesMax = 8_192;

/**
 * Refuses what no invoice needs and what could exhaust memory: too many bytes, protection by a password, streams
 * that unpack to more than an invoice holds, outdated or doubled packing.
 * @throws Fault
 */
export function guardPdf(bytes: Uint8Array): void {
  if (bytes.length > bytesMax) {
    const size = (bytes.length / 1e6).toFixed(1);
    throw new Fault(
      `The PDF has ${size} MB, more than ${bytesMax / 1e6} MB. Split it into one file per invoice.`,
    );
  }
  const file = Buffer.from(bytes.buffer, bytes.byteOffset, bytes.length);
  if (!file.subarray(0, 1024).includes("%PDF-"))
    throw new Fault("The file is no PDF: it does not begin as one.");
  // Packed parts of a protected file cannot be looked into here, so that one is refused even with an empty password.
  if (encrypted.test(file.toString("latin1"))) {
    throw new Fault(
      "The PDF is protected by a password. Save or print it as a PDF without one and upload that.",
    );
  }
  let expanded = 0;
  let count = 0;
  for (let at = file.indexOf("stream"); at >= 0; at = file.indexOf("stream", at + 6)) {
    if (file.toString("latin1", Math.max(0, at - 3), at) === "end") continue;
    if (++count > streamsMax)
      throw new Fault("The PDF has more parts than an invoice has. Print it to a new PDF.");
    expanded += expandedBytes(file, at);
    if (expanded > expandedMax) throw tooLarge();
  }
}

function tooLarge(): Fault {
  const message = `The PDF unpacks to more than ${expandedMax / 1e6} MB: it holds more than an invoice.`;
  return new Fault(`${message} Print the pages of the invoice to a new PDF.`);
}

/** Signs of a name may be written as `#` and their code. */
function named(name: string): string {
  const signs = [...name].map((sign) => `(?:${sign}|#${sign.charCodeAt(0).toString(16)})`);
  return `/${signs.join("")}(?![A-Za-z0-9#])`;
}

const encrypted = new RegExp(`${named("Encrypt")}\\s*(?:\\d+\\s+\\d+\\s+R|<<)`, "i");
const flate = new RegExp(`${named("FlateDecode")}|${named("Fl")}`, "g");
const base85 = new RegExp(`${named("ASCII85Decode")}|${named("A85")}`);
const odd = new RegExp(
  ["LZWDecode", "LZW", "RunLengthDecode", "RL", "ASCIIHexDecode", "AHx", "Crypt"].map(named).join("|"),
);
const elsewhere = new RegExp(`${named("Filter")}\\s*\\d+\\s+\\d+\\s+R`);

function expandedBytes(file: Buffer, at: number): number {
  const before = file.toString("latin1", Math.max(0, at - dictionaryBytesMax), at);
  const object = before.lastIndexOf("obj");
  const dictionary = object < 0 ? "" : before.slice(object);
  const packings = dictionary.match(flate)?.length ?? 0;
  if (odd.test(dictionary) || elsewhere.test(dictionary) || packings > 1) {
    throw new Fault("The PDF is packed in an unusual way, which is not read. Print it to a new PDF.");
  }
  let from = at + 6;
  if (file[from] === 13) from += 1;
  if (file[from] === 10) from += 1;
  const content = file.subarray(from);
  if (packings === 1 && base85.test(dictionary)) return inflated(decoded85(content));
  return inflated(content);
}

/** Bytes that the content unpacks to; 0 when it is not packed. */
function inflated(content: Buffer): number {
  const [first = 0, second = 0] = content;
  if ((first & 15) !== 8 || (first * 256 + second) % 31 !== 0) return 0;
  try {
    // As the library does it: without regard to the checksum, and as far as the content goes.
    const options = { maxOutputLength: streamExpandedMax, finishFlush: constants.Z_SYNC_FLUSH };
    return inflateRawSync(content.subarray(2), options).length;
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === "ERR_BUFFER_TOO_LARGE") throw tooLarge();
    // Damaged somewhere below the bound: the worst is assumed.
    return streamExpandedMax;
  }
}

/** Bytes of a text of base 85, as far as its end mark. */
function decoded85(content: Buffer): Buffer {
  const out: number[] = [];
  let group: number[] = [];
  const flush = (count: number): void => {
    const value = group.reduce((sum, digit) => sum * 85 + digit, 0);
    for (let i = 0; i < count; i++) out.push(Math.floor(value / 256 ** (3 - i)) % 256);
    group = [];
  };
  for (const code of content) {
    if (code === 126) break;
    if (code === 122 && group.length === 0) out.push(0, 0, 0, 0);
    else if (code >= 33 && code <= 117 && group.push(code - 33) === 5) flush(4);
  }
  const left = group.length;
  if (left > 1) {
    while (group.length < 5) group.push(84);
    flush(left - 1);
  }
  return Buffer.from(out);
}
