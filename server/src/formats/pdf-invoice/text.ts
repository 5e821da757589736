import { openPdf, type Pdf } from "../pdf.ts";
import { Fault } from "../problems.ts";

/** A run of words without a wide gap, as a person would see one cell or phrase. Points from the left edge. */
export interface Chunk {
  text: string;
  x0: number;
  x1: number;
  words: Word[];
}

/** One word and where it stands; inside a run its place follows from the usual widths of letters. */
export interface Word {
  text: string;
  x0: number;
  x1: number;
}

/** What stands on one height of a page, from left to right. */
export interface Line {
  /** From 1. */
  page: number;
  /** Points from the upper edge of the page to the foot of the letters. */
  y: number;
  /** Height of the letters in points. */
  size: number;
  /** All chunks, with a blank between them. */
  text: string;
  chunks: Chunk[];
}

/** A page of text: sizes in points (1/72 inch). */
export interface Page {
  number: number;
  width: number;
  height: number;
  /** From top to bottom. */
  lines: Line[];
}

/** Bounds of a document; one that goes beyond is refused. */
export const pdfLimits = { pagesMax: 200, itemsMax: 200_000, charactersMax: 2_000_000 };

/**
 * The text of a PDF with the place of every word. Reads what is written as text; there is no recognition of letters
 * in pictures. The document's scripts, forms and attachments are not looked at.
 * @throws Fault when it cannot be opened, has no text, or goes beyond the limits
 * @throws Problem `unavailable` when the optional package is not installed
 */
export async function readPdf(bytes: Uint8Array): Promise<Page[]> {
  const pdf = await openPdf(bytes);
  try {
    const { numPages } = pdf;
    if (numPages > pdfLimits.pagesMax) {
      throw new Fault(
        `The PDF has ${numPages} pages, more than ${pdfLimits.pagesMax}. Split it into one file per invoice.`,
      );
    }
    const reader = new PageReader();
    const pages: Page[] = [];
    for (let number = 1; number <= numPages; number++) pages.push(await reader.read(pdf, number));
    reader.mustHaveText(numPages);
    return pages;
  } finally {
    await pdf.loadingTask.destroy();
  }
}

/** A piece of text as the PDF library hands it out. */
interface Piece {
  text: string;
  x0: number;
  x1: number;
  y: number;
  size: number;
}

class PageReader {
  #items = 0;
  #characters = 0;
  #unreadable = 0;

  async read(pdf: Pdf, number: number): Promise<Page> {
    try {
      const page = await pdf.getPage(number);
      const { width, height, transform } = page.getViewport({ scale: 1 });
      const pieces: Piece[] = [];
      const chunks = page.streamTextContent({}).getReader();
      for (;;) {
        const { done, value } = await chunks.read();
        if (done) break;
        for (const item of value.items) this.#take(item, { pieces, transform });
      }
      page.cleanup();
      return { number, width, height, lines: linesOf(pieces, number) };
    } catch (error) {
      if (error instanceof Fault) throw error;
      const { message } = error as Error;
      throw new Fault(`Page ${number} of the PDF is damaged (${message.slice(0, 200)}).`);
    }
  }

  #take(
    item: { str?: string; width?: number; transform?: number[] },
    { pieces, transform }: { pieces: Piece[]; transform: number[] },
  ): void {
    if (item.str === undefined || item.transform === undefined) return;
    this.#items += 1;
    this.#characters += item.str.length;
    if (this.#items > pdfLimits.itemsMax || this.#characters > pdfLimits.charactersMax) {
      throw new Fault("The PDF holds more text than an invoice does. Split it into one file per invoice.");
    }
    const text = item.str
      .normalize("NFC")
      .replace(/[\p{Cc}\s]+/gu, " ")
      .trim();
    if (text === "") return;
    for (const sign of text) if (/[\p{Co}\ufffd]/u.test(sign)) this.#unreadable += 1;
    const [a, b, c, d, e, f] = multiplied(transform, item.transform);
    const size = Math.hypot(c, d);
    // Text that stands on its side or head, such as an archive number in the margin, is on no line.
    const isUpright = Math.abs(b) <= 0.05 * a && a > 0 && size > 0;
    const x1 = e + (item.width ?? 0);
    // A damaged font may have widths that are no numbers.
    if (isUpright && [e, x1, f].every(Number.isFinite)) pieces.push({ text, x0: e, x1, y: f, size });
  }

  mustHaveText(pages: number): void {
    if (this.#characters < 20 * Math.min(pages, 2)) {
      throw new Fault(
        "The PDF holds a picture of an invoice and no text. Ask the sender for the original PDF or an e-invoice.",
      );
    }
    if (this.#unreadable * 5 > this.#characters) {
      throw new Fault(
        "The fonts of the PDF do not say which letters they draw. Ask the sender for another PDF or an e-invoice.",
      );
    }
  }
}

type Matrix = [number, number, number, number, number, number];

function multiplied(outer: readonly number[], inner: readonly number[]): Matrix {
  const [a, b, c, d, e, f] = outer as Matrix;
  const [p, q, r, s, t, u] = inner as Matrix;
  return [a * p + c * q, b * p + d * q, a * r + c * s, b * r + d * s, a * t + c * u + e, b * t + d * u + f];
}

/** Pieces whose feet are at most this part of the letters' height apart stand on one line. */
const sameLine = 0.35;
/** A gap wider than this part of the letters' height separates chunks. */
const gapMin = 0.6;

function linesOf(pieces: Piece[], page: number): Line[] {
  const sorted = pieces.toSorted((one, two) => one.y - two.y);
  const groups: { y: number; size: number; pieces: Piece[] }[] = [];
  for (const piece of sorted) {
    const last = groups.at(-1);
    if (last !== undefined && piece.y - last.y <= sameLine * Math.min(last.size, piece.size)) {
      last.pieces.push(piece);
      last.size = Math.max(last.size, piece.size);
    } else groups.push({ y: piece.y, size: piece.size, pieces: [piece] });
  }
  return groups.map(({ y, size, pieces: onLine }) => {
    const chunks = chunksOf(onLine.toSorted((one, two) => one.x0 - two.x0));
    return { page, y, size, text: chunks.map(({ text }) => text).join(" "), chunks };
  });
}

function chunksOf(pieces: readonly Piece[]): Chunk[] {
  const chunks: Chunk[] = [];
  for (const piece of pieces) {
    const last = chunks.at(-1);
    const words = wordsOf(piece);
    if (last === undefined || piece.x0 - last.x1 > gapMin * piece.size) {
      chunks.push({ text: piece.text, x0: piece.x0, x1: piece.x1, words });
      continue;
    }
    // Letters of another font may follow without a blank.
    if (piece.x0 - last.x1 < 0.1 * piece.size) {
      const [first, ...rest] = words;
      const word = last.words.at(-1)!;
      last.words[last.words.length - 1] = { ...word, text: word.text + first!.text, x1: first!.x1 };
      last.words.push(...rest);
      last.text += piece.text;
    } else {
      last.words.push(...words);
      last.text += ` ${piece.text}`;
    }
    last.x1 = Math.max(last.x1, piece.x1);
  }
  return chunks;
}

function wordsOf({ text, x0, x1 }: Piece): Word[] {
  const total = widthOf(text);
  const scale = total === 0 ? 0 : (x1 - x0) / total;
  const words: Word[] = [];
  let at = 0;
  for (const part of text.split(" ")) {
    const from = x0 + widthOf(text.slice(0, at)) * scale;
    if (part !== "") words.push({ text: part, x0: from, x1: from + widthOf(part) * scale });
    at += part.length + 1;
  }
  return words;
}

/** Usual width of a text in units of its height: only the proportions matter. */
function widthOf(text: string): number {
  let width = 0;
  for (const sign of text) {
    if (/[\s.,:;'|!iljtfI()[\]/-]/.test(sign)) width += 0.28;
    else if (/[A-ZÅÄÖØÆÜmwMW%@€]/.test(sign)) width += 0.72;
    else width += 0.556;
  }
  return width;
}
