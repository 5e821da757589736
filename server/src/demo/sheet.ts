import { Problem } from "../platform/problem.ts";

type PdfKit = typeof import("pdfkit");
type PdfDocument = InstanceType<PdfKit>;

/** A4 in points. */
const width = 595.28;
const height = 841.89;

/** How a text is set. */
export interface TextStyle {
  size?: number;
  bold?: boolean;
  color?: string;
}

/** Where a column of a table stands. */
export interface SheetColumn {
  title: string;
  /** Left edge of texts, or right edge of numbers. */
  x: number;
  align: "left" | "right";
  /** Texts that are wider go on in the next line. */
  width?: number;
}

/** A document of A4 pages on which texts are placed; what stands on every page is drawn when it ends. */
export class Sheet {
  /** Height of what is written next, from the upper edge. */
  y = 0;
  readonly right = width - 45;
  readonly left = 45;
  readonly #document: PdfDocument;
  readonly #done: Promise<Uint8Array>;

  /** @throws Problem `unavailable` when the optional package is not installed */
  static async open(about: { title: string; issued: string }): Promise<Sheet> {
    let pdfkit: PdfKit;
    try {
      ({ default: pdfkit } = await import("pdfkit"));
    } catch (cause) {
      const message =
        "Printing invoices needs the optional package pdfkit, which is not installed: npm install pdfkit";
      throw new Problem("unavailable", message, { cause });
    }
    return new Sheet(pdfkit, about);
  }

  private constructor(pdfkit: PdfKit, { title, issued }: { title: string; issued: string }) {
    // The same invoice is the same file: the day of printing is that of the invoice.
    const info = { Title: title, CreationDate: new Date(`${issued}T08:00:00Z`) };
    this.#document = new pdfkit({ size: "A4", margin: 0, bufferPages: true, info });
    const chunks: Buffer[] = [];
    this.#done = new Promise((resolve, reject) => {
      this.#document.on("data", (chunk: Buffer) => chunks.push(chunk));
      this.#document.on("end", () => resolve(new Uint8Array(Buffer.concat(chunks))));
      this.#document.on("error", reject);
    });
  }

  /** Is there less than this many points above the foot of the page? */
  isFull(points: number): boolean {
    return this.y + points > height - 80;
  }

  newPage(y: number): void {
    this.#document.addPage();
    this.y = y;
  }

  /** A text whose left edge is at `x`, at the present height unless stated. */
  text(text: string, x: number, { y = this.y, ...style }: TextStyle & { y?: number } = {}): void {
    this.#styled(style).text(text, x, y, { lineBreak: false });
  }

  /** A text whose right edge is at `x`. */
  textRight(text: string, x: number, { y = this.y, ...style }: TextStyle & { y?: number } = {}): void {
    const document = this.#styled(style);
    document.text(text, x - document.widthOfString(text), y, { lineBreak: false });
  }

  /** Lines below each other, the first one at `y`. */
  block(lines: readonly string[], x: number, y: number): void {
    for (const [i, line] of lines.entries()) this.text(line, x, { y: y + 12 * i });
  }

  line({ x0 = this.left, x1 = this.right, color = "#888888", weight = 0.6 } = {}): void {
    this.#document.moveTo(x0, this.y).lineTo(x1, this.y).lineWidth(weight).strokeColor(color).stroke();
  }

  box(
    x: number,
    { y, width: wide, height: high, color }: { y: number; width: number; height: number; color: string },
  ): void {
    this.#document.rect(x, y, wide, high).fillColor(color).fill();
  }

  /** A row of a table; texts wider than their column are wrapped. Answers the lines that it took. */
  row(
    columns: readonly SheetColumn[],
    cells: readonly string[],
    style: TextStyle & { leading?: number } = {},
  ): number {
    const { leading = 11, ...set } = style;
    let lines = 1;
    columns.forEach(({ x, align, width: wide }, i) => {
      const parts = wide === undefined ? [cells[i] ?? ""] : this.wrapped(cells[i] ?? "", wide, set);
      lines = Math.max(lines, parts.length);
      parts.forEach((part, at) => {
        const place = { ...set, y: this.y + at * leading };
        if (align === "right") this.textRight(part, x, place);
        else this.text(part, x, place);
      });
    });
    this.y += lines * leading;
    return lines;
  }

  /** A text in lines that are no wider than stated. */
  wrapped(text: string, wide: number, style: TextStyle = {}): string[] {
    const document = this.#styled(style);
    const lines: string[] = [];
    for (const word of text.split(" ")) {
      const longer = lines.length === 0 ? word : `${lines.at(-1)} ${word}`;
      if (lines.length > 0 && document.widthOfString(longer) <= wide) lines[lines.length - 1] = longer;
      else lines.push(word);
    }
    return lines;
  }

  /** Ends the document after `foot` has drawn on each page. */
  async close(foot: (page: number, pages: number) => void): Promise<Uint8Array> {
    const { start, count } = this.#document.bufferedPageRange();
    for (let i = start; i < start + count; i++) {
      this.#document.switchToPage(i);
      this.y = height - 55;
      foot(i + 1, count);
    }
    this.#document.end();
    return this.#done;
  }

  #styled({ size = 9, bold = false, color = "#1a1a1a" }: TextStyle): PdfDocument {
    return this.#document
      .font(bold ? "Helvetica-Bold" : "Helvetica")
      .fontSize(size)
      .fillColor(color);
  }
}
