import yauzl from "yauzl";
import { pieces } from "../chunks.ts";
import type { Row } from "../csv.ts";
import { Fault } from "../problems.ts";
import { type XmlElement, type XmlHandler, XmlReader } from "../xml.ts";
import { isDateFormat, serialText } from "./excel-date.ts";

/** Limits of a workbook. A sheet of a year of quarter-hours for ten meters is about 20 MB of XML. */
export const workbookLimits = {
  compressedBytes: 50_000_000,
  expandedBytes: 50_000_000,
  entries: 1000,
  rows: 1_048_576,
  columns: 1024,
} as const;

/** Does a file begin like a zip archive, as workbooks do? */
export function isZip(head: Uint8Array): boolean {
  return head[0] === 0x50 && head[1] === 0x4b && head[2] === 0x03 && head[3] === 0x04;
}

/**
 * The rows of the one visible sheet, or of the one that is named. Own reader, because the common libraries hold the whole
 * sheet in memory, crash on cells without an address (which the standard allows) or round long numbers.
 * @throws Fault
 */
export async function* workbookRows(
  source: AsyncIterable<Uint8Array>,
  sheet: string | undefined,
): AsyncGenerator<Row[], void, undefined> {
  const archive = await Archive.open(await gathered(source));
  const book = await structureOf(archive);
  const chosen = chosenSheet(book.sheets, sheet);
  const shared = archive.has("xl/sharedStrings.xml") ? await sharedStrings(archive) : [];
  const dateStyles = archive.has("xl/styles.xml") ? await dateStylesOf(archive) : [];
  const reader = new SheetReader({ shared, dateStyles, since1904: book.since1904 });
  const parser = new XmlReader(reader);
  for await (const piece of archive.read(chosen)) {
    parser.write(piece);
    const rows = reader.take();
    if (rows.length > 0) yield rows;
  }
  parser.end();
  yield reader.take();
}

async function gathered(source: AsyncIterable<Uint8Array>): Promise<Buffer> {
  const parts: Uint8Array[] = [];
  let size = 0;
  for await (const piece of pieces(source)) {
    size += piece.length;
    if (size > workbookLimits.compressedBytes) throw new Fault(tooLarge("is"));
    parts.push(piece);
  }
  return Buffer.concat(parts);
}

function tooLarge(how: string): string {
  return `The workbook ${how} larger than ${workbookLimits.expandedBytes / 1e6} MB. Save the sheet as CSV, or split it.`;
}

/** The entries of a zip archive, expanded within one common limit. */
class Archive {
  readonly #zip: yauzl.ZipFile;
  readonly #entries: Map<string, yauzl.Entry>;
  #expanded = 0;

  private constructor(zip: yauzl.ZipFile, entries: Map<string, yauzl.Entry>) {
    this.#zip = zip;
    this.#entries = entries;
  }

  static async open(bytes: Buffer): Promise<Archive> {
    const damaged = (cause: unknown): Fault =>
      new Fault(
        `The workbook is damaged: ${cause instanceof Error ? cause.message.slice(0, 200) : "unknown"}.`,
      );
    const zip = await new Promise<yauzl.ZipFile>((resolve, reject) => {
      yauzl.fromBuffer(bytes, { lazyEntries: true, validateEntrySizes: true }, (error, file) =>
        error === null && file !== undefined ? resolve(file) : reject(damaged(error)),
      );
    });
    if (zip.entryCount > workbookLimits.entries) throw new Fault("The workbook has too many parts.");
    const entries = new Map<string, yauzl.Entry>();
    await new Promise<void>((resolve, reject) => {
      zip.on("entry", (entry: yauzl.Entry) => {
        entries.set(entry.fileName, entry);
        zip.readEntry();
      });
      zip.on("end", () => resolve());
      zip.on("error", (error) => reject(damaged(error)));
      zip.readEntry();
    });
    return new Archive(zip, entries);
  }

  has(name: string): boolean {
    return this.#entries.has(name);
  }

  /** The bytes of an entry, piece by piece. */
  async *read(name: string): AsyncGenerator<Uint8Array, void, undefined> {
    const entry = this.#entries.get(name);
    if (entry === undefined) throw new Fault(`The workbook lacks its part ${name}: it is damaged.`);
    if (entry.isEncrypted()) throw new Fault("The workbook is protected by a password. Save it without one.");
    const stream = await new Promise<AsyncIterable<Buffer>>((resolve, reject) => {
      this.#zip.openReadStream(entry, (error, opened) =>
        error === null && opened !== undefined
          ? resolve(opened)
          : reject(new Fault("The workbook is damaged.")),
      );
    });
    try {
      for await (const piece of pieces(stream)) {
        this.#expanded += piece.length;
        if (this.#expanded > workbookLimits.expandedBytes) throw new Fault(tooLarge("is, expanded,"));
        yield piece;
      }
    } catch (cause) {
      if (cause instanceof Fault) throw cause;
      throw new Fault(`The workbook is damaged in ${name}.`);
    }
  }
}

async function parsePart(archive: Archive, name: string, handler: Partial<XmlHandler>): Promise<void> {
  const parser = new XmlReader({ open: nothing, close: nothing, text: nothing, ...handler });
  for await (const piece of archive.read(name)) parser.write(piece);
  parser.end();
}

const nothing = (): void => {};

interface Sheet {
  name: string;
  path: string;
  visible: boolean;
}

/** The sheets of a workbook, and whether its days count from 1904. */
async function structureOf(archive: Archive): Promise<{ sheets: Sheet[]; since1904: boolean }> {
  const targets = new Map<string, string>();
  await parsePart(archive, "xl/_rels/workbook.xml.rels", {
    open: ({ name, attribute }) => {
      if (name === "Relationship") targets.set(attribute("Id") ?? "", attribute("Target") ?? "");
    },
  });
  const sheets: Sheet[] = [];
  let since1904 = false;
  await parsePart(archive, "xl/workbook.xml", {
    open: ({ name, attribute }) => {
      if (name === "workbookPr")
        since1904 = attribute("date1904") === "1" || attribute("date1904") === "true";
      if (name !== "sheet") return;
      // Every writer names the prefix r; the standard lets it be another, then the usual file name is tried.
      const target = targets.get(attribute("r:id") ?? "") ?? `worksheets/sheet${sheets.length + 1}.xml`;
      const path = target.startsWith("/") ? target.slice(1) : `xl/${target}`;
      const state = attribute("state");
      sheets.push({
        name: attribute("name") ?? "",
        path,
        visible: state === undefined || state === "visible",
      });
    },
  });
  return { sheets: sheets.filter((sheet) => archive.has(sheet.path)), since1904 };
}

/** The path of the sheet that is named, or of the only visible one. */
function chosenSheet(sheets: Sheet[], wanted: string | undefined): string {
  const names = sheets.map((sheet) => `"${sheet.name}"`).join(", ");
  if (wanted !== undefined) {
    const found = sheets.find((sheet) => sheet.name === wanted);
    if (found === undefined)
      throw new Fault(`There is no sheet "${wanted}", only ${names}.`, { field: "sheet" });
    return found.path;
  }
  const visible = sheets.filter((sheet) => sheet.visible);
  if (visible.length > 1) {
    throw new Fault(`The workbook has several sheets. State "sheet" in the mapping: one of ${names}.`, {
      field: "sheet",
    });
  }
  const only = visible[0] ?? sheets[0];
  if (only === undefined) throw new Fault("The workbook has no sheets.");
  return only.path;
}

async function sharedStrings(archive: Archive): Promise<string[]> {
  const strings: string[] = [];
  let current: string | undefined;
  let inText = false;
  let phonetic = false;
  await parsePart(archive, "xl/sharedStrings.xml", {
    open: ({ name }) => {
      if (name === "si") current = "";
      else if (name === "t") inText = true;
      else if (name === "rPh") phonetic = true;
    },
    close: ({ name }) => {
      if (name === "si") strings.push(current ?? "");
      else if (name === "t") inText = false;
      else if (name === "rPh") phonetic = false;
    },
    text: (text) => {
      if (inText && !phonetic && current !== undefined) current += text;
    },
  });
  return strings;
}

/** By number of cell style: does it print a date or time? */
async function dateStylesOf(archive: Archive): Promise<boolean[]> {
  const codes = new Map<number, string>();
  const styles: boolean[] = [];
  let inCellStyles = false;
  await parsePart(archive, "xl/styles.xml", {
    open: ({ name, attribute }) => {
      if (name === "numFmt") codes.set(Number(attribute("numFmtId")), attribute("formatCode") ?? "");
      if (name === "cellXfs") inCellStyles = true;
      if (name === "xf" && inCellStyles) {
        const id = Number(attribute("numFmtId") ?? 0);
        styles.push(isDateFormat(id, codes.get(id)));
      }
    },
    close: ({ name }) => {
      if (name === "cellXfs") inCellStyles = false;
    },
  });
  return styles;
}

interface SheetOptions {
  shared: string[];
  dateStyles: boolean[];
  since1904: boolean;
}

/** Collects the rows of a sheet. Rows and cells may lack their addresses; they then follow the one before. */
class SheetReader implements XmlHandler {
  readonly #options: SheetOptions;
  #rows: Row[] = [];
  #count = 0;
  #line = 0;
  #cells: string[] = [];
  #column = 0;
  #type = "";
  #isDate = false;
  #value = "";
  #reading = false;
  #formula = false;
  #hasValue = false;

  constructor(options: SheetOptions) {
    this.#options = options;
  }

  text(text: string): void {
    if (this.#reading) this.#value += text;
  }

  take(): Row[] {
    const rows = this.#rows;
    this.#rows = [];
    return rows;
  }

  open({ name, attribute }: XmlElement): void {
    if (name === "row") {
      const printed = Number(attribute("r"));
      this.#line = Number.isInteger(printed) && printed > this.#line ? printed : this.#line + 1;
      this.#cells = [];
      this.#column = 0;
      if (++this.#count > workbookLimits.rows)
        throw new Fault(tooLarge("has more rows than a sheet can have and is"));
    } else if (name === "c") {
      const address = columnOf(attribute("r") ?? "");
      if (address !== undefined) this.#column = address;
      if (this.#column >= workbookLimits.columns) {
        throw new Fault(`Row ${this.#line} has more than ${workbookLimits.columns} columns.`);
      }
      this.#type = attribute("t") ?? "n";
      this.#isDate = this.#options.dateStyles[Number(attribute("s") ?? 0)] === true;
      this.#value = "";
      this.#formula = false;
      this.#hasValue = false;
    } else if (name === "v" || name === "t") {
      this.#reading = true;
      this.#hasValue = true;
    } else if (name === "f") this.#formula = true;
  }

  close({ name }: XmlElement): void {
    if (name === "v" || name === "t") this.#reading = false;
    else if (name === "c") {
      while (this.#cells.length < this.#column) this.#cells.push("");
      this.#cells[this.#column] = this.#printed();
      this.#column++;
    } else if (name === "row" && this.#cells.some((cell) => cell !== "")) {
      this.#rows.push({ line: this.#line, cells: this.#cells });
    }
  }

  #printed(): string {
    const value = this.#value;
    if (this.#formula && !this.#hasValue) return "formula without a stored value";
    switch (this.#type) {
      case "s":
        return this.#options.shared[Number(value)] ?? "";
      case "b":
        return value === "1" ? "true" : "false";
      case "n":
        return this.#number(value);
      default:
        return value;
    }
  }

  /** Numbers as their shortest decimal: programs store 0.1 as 0.10000000000000001. */
  #number(value: string): string {
    if (value === "") return "";
    const number = Number(value);
    if (!Number.isFinite(number)) return value;
    if (this.#isDate) return serialText(number, this.#options.since1904) ?? value;
    return String(number);
  }
}

/** Column of an address such as AB12, from 0; undefined when it is none. */
function columnOf(address: string): number | undefined {
  let column = 0;
  let at = 0;
  for (; at < address.length && at < 4; at++) {
    const letter = address.charCodeAt(at) - 64;
    if (letter < 1 || letter > 26) break;
    column = column * 26 + letter;
  }
  return at === 0 ? undefined : column - 1;
}
