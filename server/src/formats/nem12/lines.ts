import { Fault } from "../problems.ts";

const lineLengthMax = 1_000_000;

/**
 * Cuts pieces of bytes into lines. MDFF files are ASCII; bytes beyond it only occur in free text and
 * are read as Latin-1, one character each, so that no byte is lost.
 */
export class Lines {
  #rest = "";
  /** Number of lines handed out. */
  count = 0;

  /**
   * The lines that end in this piece, without their line ends.
   * @throws Fault for a line of more than 1,000,000 characters and for UTF-16
   */
  write(piece: Uint8Array): string[] {
    const text = Buffer.from(piece.buffer, piece.byteOffset, piece.byteLength).toString("latin1");
    const lines = (this.#rest + text).split("\n");
    if (this.count === 0 && (lines[0]!.startsWith("\u00ff\u00fe") || lines[0]!.startsWith("\u00fe\u00ff"))) {
      throw new Fault('The file is saved as "Unicode" (UTF-16). Save it as plain CSV.', { line: 1 });
    }
    this.#rest = lines.pop()!;
    this.#check(this.#rest, lines.length + 1);
    for (let i = 0; i < lines.length; i++) {
      const line = lines[i]!;
      this.#check(line, i + 1);
      if (line.endsWith("\r")) lines[i] = line.slice(0, -1);
    }
    if (this.count === 0 && lines.length > 0) lines[0] = withoutMark(lines[0]!);
    this.count += lines.length;
    return lines;
  }

  /** The last line when the file does not end with a line end. */
  end(): string[] {
    if (this.#rest === "") return [];
    const line = this.count === 0 ? withoutMark(this.#rest) : this.#rest;
    this.#rest = "";
    this.count += 1;
    return [line.endsWith("\r") ? line.slice(0, -1) : line];
  }

  #check(line: string, ahead: number): void {
    if (line.length <= lineLengthMax) return;
    const message = `The line is longer than ${lineLengthMax} characters: this is no meter data file.`;
    throw new Fault(message, { line: this.count + ahead });
  }
}

/** Text, read as Latin-1, without the byte order mark of UTF-8. */
export function withoutMark(text: string): string {
  return text.startsWith("\u00ef\u00bb\u00bf") ? text.slice(3) : text;
}

/** Fields of a line; quotes around a field are taken off. */
export function fieldsOf(line: string): string[] {
  if (!line.includes('"')) return line.split(",");
  const fields: string[] = [];
  let at = 0;
  while (at <= line.length) {
    if (line[at] !== '"') {
      const comma = line.indexOf(",", at);
      const end = comma < 0 ? line.length : comma;
      fields.push(line.slice(at, end));
      at = end + 1;
      continue;
    }
    let field = "";
    let from = at + 1;
    for (;;) {
      const quote = line.indexOf('"', from);
      if (quote < 0) {
        fields.push(field + line.slice(from));
        return fields;
      }
      field += line.slice(from, quote);
      from = quote + 1;
      if (line[from] !== '"') break;
      field += '"';
      from += 1;
    }
    fields.push(field);
    const comma = line.indexOf(",", from);
    if (comma < 0) return fields;
    at = comma + 1;
  }
  return fields;
}
