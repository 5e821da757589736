import { TextDecoder } from "node:util";
import { type SaxesAttributeNS, SaxesParser } from "saxes";
import { Fault } from "./problems.ts";

const depthMax = 64;
const attributesMax = 256;
/** Longest text, comment or tag unless stated; the parser keeps it in memory until it ends and handles it in one go. */
const nodeLengthMaxDefault = 1_000_000;
const documentType = "<!doctype";
/** Bytes looked at to find the encoding: a byte order mark and the XML declaration fit. */
const sniffBytes = 256;

/** An element that opens. */
export interface XmlElement {
  /** Name without prefix. */
  name: string;
  /** Namespace URI, `""` when none. */
  namespace: string;
  /** Value of an attribute without namespace. */
  attribute(name: string): string | undefined;
}

/** Is told what the document holds, in its order. */
export interface XmlHandler {
  open(element: XmlElement, line: number): void;
  text(text: string): void;
  close(element: XmlElement, line: number): void;
}

/**
 * Reads XML from pieces of bytes, guarded: a document type is refused before the parser sees it (no
 * entities, so neither external files nor exponential growth), depth, attributes and the size of
 * one node are limited. Every defect throws a `Fault` with its line.
 */
export class XmlReader {
  #parser = new SaxesParser({ xmlns: true, position: true });
  #depth = 0;
  #sniffed: Uint8Array = new Uint8Array(0);
  #decoder: TextDecoder | undefined;
  #tail = "";
  #sinceNode = 0;
  readonly #nodeLengthMax: number;

  /** @param limits.nodeLengthMax characters that one text, comment or tag may have */
  constructor(handler: XmlHandler, { nodeLengthMax = nodeLengthMaxDefault } = {}) {
    this.#nodeLengthMax = nodeLengthMax;
    const parser = this.#parser;
    // Few handlers: with nine of them V8 kept the parser as a dictionary, which was four times slower.
    parser.on("error", (error) => {
      throw new Fault(
        `The XML is damaged: ${withoutPosition(error.message)}. Ask the sender for the file again.`,
        this.#here(),
      );
    });
    parser.on("opentag", (tag) => {
      this.#sinceNode = 0;
      this.#depth += 1;
      if (this.#depth > depthMax) {
        throw new Fault(`Elements are nested more than ${depthMax} levels deep.`, this.#here());
      }
      const attributes = tag.attributes as Record<string, SaxesAttributeNS>;
      if (Object.keys(attributes).length > attributesMax) {
        throw new Fault(`An element has more than ${attributesMax} attributes.`, this.#here());
      }
      const attribute = (name: string) => attributes[name]?.value;
      handler.open({ name: tag.local, namespace: tag.uri, attribute }, parser.line);
    });
    parser.on("closetag", (tag) => {
      this.#sinceNode = 0;
      this.#depth -= 1;
      handler.close({ name: tag.local, namespace: tag.uri, attribute: noAttribute }, parser.line);
    });
    parser.on("text", (text) => {
      this.#sinceNode = 0;
      handler.text(text);
    });
    parser.on("cdata", (text) => {
      this.#sinceNode = 0;
      handler.text(text);
    });
  }

  /** Line that the parser has reached. */
  get line(): number {
    return this.#parser.line;
  }

  /**
   * Reads the next piece, at most 64 KiB.
   * @throws Fault when the document is damaged or goes beyond a limit
   */
  write(piece: Uint8Array): void {
    if (this.#decoder === undefined) {
      this.#sniffed = Buffer.concat([this.#sniffed, piece]);
      if (this.#sniffed.length < sniffBytes) return;
      piece = this.#startDecoding();
    }
    this.#parse(piece, true);
  }

  /**
   * Ends the document.
   * @throws Fault when elements are still open
   */
  end(): void {
    if (this.#decoder === undefined) this.#parse(this.#startDecoding(), true);
    this.#parse(new Uint8Array(0), false);
    this.#parser.close();
  }

  #startDecoding(): Uint8Array {
    const sniffed = this.#sniffed;
    this.#sniffed = new Uint8Array(0);
    const label = encodingOf(sniffed);
    try {
      this.#decoder = new TextDecoder(label, { fatal: true });
    } catch {
      throw new Fault(`The XML declares the unknown encoding "${label}". Save it as UTF-8.`, { line: 1 });
    }
    return sniffed;
  }

  #parse(piece: Uint8Array, more: boolean): void {
    let text: string;
    try {
      text = this.#decoder!.decode(piece, { stream: more });
    } catch {
      throw new Fault(
        `After this line come bytes that are no ${this.#decoder!.encoding} text. Save the file as UTF-8.`,
        this.#here(),
      );
    }
    if (text === "") return;
    this.#refuseDocumentType(text);
    // Counted before parsing: an element or text that ends in this piece sets it back.
    this.#sinceNode += text.length;
    this.#parser.write(text);
    if (this.#sinceNode > this.#nodeLengthMax) {
      throw new Fault(
        `A single text, comment or tag is longer than ${this.#nodeLengthMax} characters.`,
        this.#here(),
      );
    }
  }

  #refuseDocumentType(text: string): void {
    const seam = this.#tail + text;
    for (let at = seam.indexOf("<!"); at >= 0; at = seam.indexOf("<!", at + 2)) {
      const word = seam.slice(at, at + documentType.length).toLowerCase();
      if (word !== documentType && !word.startsWith("<!entity")) continue;
      const line = this.#parser.line + newlines(text.slice(0, Math.max(0, at - this.#tail.length)));
      throw new Fault("The XML has a document type (<!DOCTYPE>), which is not accepted. Remove it.", {
        line,
      });
    }
    this.#tail = seam.slice(-documentType.length + 1);
  }

  #here(): { line: number } {
    return { line: this.#parser.line };
  }
}

const noAttribute = () => undefined;

function newlines(text: string): number {
  let count = 0;
  for (let at = text.indexOf("\n"); at >= 0; at = text.indexOf("\n", at + 1)) count += 1;
  return count;
}

/** saxes writes `line:column: message`; the line is told apart from the message. */
function withoutPosition(message: string): string {
  return message
    .replace(/^\d+:\d+: /, "")
    .replace(/\.$/, "")
    .slice(0, 200);
}

/** By byte order mark, else by the declaration, else UTF-8. */
function encodingOf(head: Uint8Array): string {
  const [a, b] = head;
  if (a === 0xff && b === 0xfe) return "utf-16le";
  if (a === 0xfe && b === 0xff) return "utf-16be";
  if (a === 0x3c && b === 0) return "utf-16le";
  if (a === 0 && b === 0x3c) return "utf-16be";
  const text = Buffer.from(head.subarray(0, sniffBytes)).toString("latin1");
  const declared = /^(?:\u00ef\u00bb\u00bf)?<\?xml[^>]*?\sencoding\s*=\s*["']([A-Za-z0-9._-]{1,40})["']/.exec(
    text,
  );
  const label = declared?.[1]?.toLowerCase() ?? "utf-8";
  // A file that reads as ASCII so far is no UTF-16, whatever it declares.
  return label.startsWith("utf-16") ? "utf-8" : label;
}
