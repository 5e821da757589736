import { isAscii, isUtf8 } from "node:buffer";
import iconv from "iconv-lite";
import { pieces } from "./chunks.ts";
import { Fault } from "./problems.ts";

/** Encodings that meter files come in. `windows-1252` also reads ISO-8859-1 (it only adds printable signs). */
export const encodings = [
  "utf-8",
  "utf-16le",
  "utf-16be",
  "windows-1252",
  "iso-8859-1",
  "iso-8859-15",
] as const;
export type Encoding = (typeof encodings)[number];

/** Longest line or quoted cell, in characters. */
export const lineLengthMax = 1_000_000;

/** Encoding of a file as far as its head tells. */
export interface EncodingFound {
  encoding: Encoding;
  /** Bytes of the byte-order mark, 0 without one. */
  markBytes: number;
  /** True when the head is plain ASCII, so that later bytes may still show another encoding. */
  open: boolean;
}

/**
 * Finds the encoding: byte-order mark, else UTF-16 by the zero bytes of Latin letters, else UTF-8 when the head is
 * valid, else Windows-1252. Statistical detectors were left out: between UTF-8 and Windows-1252 validity decides
 * better, and a wrong guess between single-byte code pages would only change names.
 */
export function detectEncoding(head: Uint8Array): EncodingFound {
  if (head[0] === 0xef && head[1] === 0xbb && head[2] === 0xbf) return found("utf-8", 3);
  if (head[0] === 0xff && head[1] === 0xfe) return found("utf-16le", 2);
  if (head[0] === 0xfe && head[1] === 0xff) return found("utf-16be", 2);
  const wide = wideEncoding(head);
  if (wide !== undefined) return found(wide, 0);
  if (isAscii(head)) return { encoding: "utf-8", markBytes: 0, open: true };
  const whole = head.subarray(0, head.length - incompleteTail(head));
  return found(isUtf8(whole) ? "utf-8" : "windows-1252", 0);
}

function found(encoding: Encoding, markBytes: number): EncodingFound {
  return { encoding, markBytes, open: false };
}

/** UTF-16 without a mark: digits and letters leave every other byte zero. */
function wideEncoding(head: Uint8Array): "utf-16le" | "utf-16be" | undefined {
  const pairs = Math.min(head.length, 4096) >> 1;
  if (pairs < 2) return undefined;
  let first = 0;
  let second = 0;
  for (let i = 0; i < pairs * 2; i += 2) {
    if (head[i] === 0) first++;
    if (head[i + 1] === 0) second++;
  }
  if (second > pairs * 0.6 && first < pairs * 0.05) return "utf-16le";
  if (first > pairs * 0.6 && second < pairs * 0.05) return "utf-16be";
  return undefined;
}

/** Bytes at the end that begin a UTF-8 character and lack its rest: 0 to 3. */
function incompleteTail(bytes: Uint8Array): number {
  for (let back = 1; back <= 3 && back <= bytes.length; back++) {
    const byte = bytes[bytes.length - back]!;
    if (byte < 0x80) return 0;
    if (byte >= 0xc0) {
      const length = byte >= 0xf0 ? 4 : byte >= 0xe0 ? 3 : 2;
      return back < length ? back : 0;
    }
  }
  return 0;
}

/** What `texts` was told, and what it found out on the way. */
export interface TextOptions {
  /** Overrides detection. */
  encoding?: Encoding | undefined;
  /** Called once, when the first bytes that are not ASCII settle the encoding, or at the first piece. */
  onEncoding?: (encoding: Encoding) => void;
  /** Called once when NUL characters are left out. */
  onNul?: () => void;
}

/**
 * The file as text, piece by piece, without byte-order mark and NUL characters. A piece never cuts a character.
 * @throws Fault when the bytes are not text in the detected or stated encoding
 */
export async function* texts(
  source: AsyncIterable<Uint8Array>,
  options: TextOptions = {},
): AsyncGenerator<string, void, undefined> {
  const decoder = new Decoder(options);
  let nulTold = false;
  for await (const text of decoded(source, decoder)) {
    if (!text.includes("\0")) {
      if (text !== "") yield text;
      continue;
    }
    if (!nulTold) options.onNul?.();
    nulTold = true;
    const kept = text.replaceAll("\0", "");
    if (kept !== "") yield kept;
  }
}

async function* decoded(
  source: AsyncIterable<Uint8Array>,
  decoder: Decoder,
): AsyncGenerator<string, void, undefined> {
  for await (const piece of pieces(source)) yield decoder.decode(piece);
  yield decoder.end();
}

class Decoder {
  readonly #options: TextOptions;
  #encoding: Encoding | undefined;
  #open = false;
  #tail: Uint8Array = new Uint8Array(0);
  #stream: { write(bytes: Buffer): string; end(): string | undefined } | undefined;

  constructor(options: TextOptions) {
    this.#options = options;
  }

  decode(piece: Uint8Array): string {
    let bytes =
      this.#tail.length === 0 ? Buffer.from(piece.buffer, piece.byteOffset, piece.length) : undefined;
    bytes ??= Buffer.concat([this.#tail, piece]);
    this.#tail = bytes.subarray(0, 0);
    if (this.#encoding === undefined) {
      // Four bytes settle any mark; a shorter first piece waits for the next.
      if (bytes.length < 4) return this.#wait(bytes);
      bytes = this.#start(bytes);
    }
    if (this.#stream !== undefined) return this.#single(this.#stream.write(bytes));
    return this.#utf8(bytes, false);
  }

  end(): string {
    let bytes = Buffer.from(this.#tail);
    this.#tail = bytes.subarray(0, 0);
    if (this.#encoding === undefined) bytes = Buffer.from(this.#start(bytes));
    if (this.#stream !== undefined) {
      return this.#single(this.#stream.write(bytes) + (this.#stream.end() ?? ""));
    }
    return bytes.length === 0 ? "" : this.#utf8(bytes, true);
  }

  #wait(bytes: Buffer): string {
    this.#tail = Buffer.from(bytes);
    return "";
  }

  #start(bytes: Buffer): Buffer {
    const detected = detectEncoding(bytes);
    const told = this.#options.encoding;
    this.#encoding = told ?? detected.encoding;
    this.#open = told === undefined && detected.open;
    if (!this.#open) this.#options.onEncoding?.(this.#encoding);
    if (this.#encoding !== "utf-8") this.#stream = iconv.getDecoder(this.#encoding, { stripBOM: false });
    return detected.encoding === this.#encoding ? bytes.subarray(detected.markBytes) : bytes;
  }

  #utf8(bytes: Buffer, last: boolean): string {
    if (isAscii(bytes)) return bytes.toString("latin1");
    const tail = last ? 0 : incompleteTail(bytes);
    const whole = bytes.subarray(0, bytes.length - tail);
    if (isUtf8(whole)) {
      if (this.#open && !isAscii(whole)) this.#settle("utf-8");
      this.#tail = Buffer.from(bytes.subarray(bytes.length - tail));
      return whole.toString("utf8");
    }
    if (!this.#open || hasUtf8Character(bytes)) {
      throw new Fault(
        "The file is not valid UTF-8 from here on: it is damaged or mixes encodings. Save it again as UTF-8, " +
          "or state the encoding.",
      );
    }
    this.#settle("windows-1252");
    this.#stream = iconv.getDecoder("windows-1252", { stripBOM: false });
    return this.#single(this.#stream.write(bytes));
  }

  #settle(encoding: Encoding): void {
    this.#open = false;
    this.#encoding = encoding;
    this.#options.onEncoding?.(encoding);
  }

  /** Refuses what no text in a single-byte code page holds: the file is binary, compressed or encrypted. */
  #single(text: string): string {
    if (text.includes("\ufffd")) {
      throw new Fault(
        `The bytes here are not text in ${this.#encoding}: the file is damaged, compressed or in another encoding. ` +
          "Save it again as UTF-8, or state the encoding.",
      );
    }
    return text;
  }
}

/** Is there at least one complete character of several bytes in `bytes`? */
function hasUtf8Character(bytes: Uint8Array): boolean {
  for (let i = 0; i < bytes.length; i++) {
    const byte = bytes[i]!;
    if (byte < 0xc2 || byte > 0xf4) continue;
    const length = byte >= 0xf0 ? 4 : byte >= 0xe0 ? 3 : 2;
    if (i + length <= bytes.length && isUtf8(bytes.subarray(i, i + length))) return true;
  }
  return false;
}

/**
 * A copy of `text` that does not keep the piece alive that it was cut from. For texts that are kept for long
 * (meter numbers in a map): the engine's slices hold their whole parent, 64 KiB each.
 */
export function detached(text: string): string {
  return Buffer.from(text, "utf16le").toString("utf16le");
}
