import { pieces } from "./chunks.ts";
import { Fault } from "./problems.ts";
import { type XmlElement, type XmlHandler, XmlReader } from "./xml.ts";

/** Elements of one document: a collective invoice of 20,000 rows has about a million. */
const nodesMax = 1_500_000;
/** Invoices carry their picture as Base64 in one text: this much is a PDF of 22 MB. */
const nodeLengthMax = 30_000_000;
/** Elements with such pictures; their text is not kept. */
const binary = new Set(["EmbeddedDocumentBinaryObject", "AttachmentBinaryObject", "BinaryObject"]);

/** An element with everything in it. Names are those without prefix; namespaces are not looked at. */
export class XmlNode {
  readonly name: string;
  readonly namespace: string;
  /** 1-based line of its start tag's end. */
  readonly line: number;
  readonly children: XmlNode[] = [];
  readonly #attribute: (name: string) => string | undefined;
  #texts: string[] | undefined;

  constructor({ name, namespace, attribute }: XmlElement, line: number) {
    this.name = name;
    this.namespace = namespace;
    this.line = line;
    this.#attribute = attribute;
  }

  /** Its own text, in one line: runs of white space become one space. */
  get text(): string {
    return (this.#texts ?? []).join("").replace(/\s+/gu, " ").trim();
  }

  addText(text: string): void {
    if (this.#texts === undefined) this.#texts = [text];
    else this.#texts.push(text);
  }

  /** Trimmed value of an attribute without namespace; undefined also when it is empty. */
  attribute(name: string): string | undefined {
    return this.#attribute(name)?.trim() || undefined;
  }

  /** The first element at the end of a path of names. */
  at(...path: readonly string[]): XmlNode | undefined {
    const [name, ...rest] = path;
    if (name === undefined) return this;
    for (const child of this.children) {
      const found = child.name === name ? child.at(...rest) : undefined;
      if (found !== undefined) return found;
    }
    return undefined;
  }

  /** All elements at the end of a path of names, in the order of the document. */
  all(...path: readonly string[]): XmlNode[] {
    let nodes: XmlNode[] = [this];
    for (const name of path) nodes = nodes.flatMap((node) => node.children.filter((c) => c.name === name));
    return nodes;
  }

  /** Text at the end of a path; undefined when there is no such element or it is empty. */
  textAt(...path: readonly string[]): string | undefined {
    for (const node of this.all(...path)) if (node.text !== "") return node.text;
    return undefined;
  }
}

class Builder implements XmlHandler {
  root: XmlNode | undefined;
  readonly #open: XmlNode[] = [];
  #count = 0;

  open(element: XmlElement, line: number): void {
    this.#count += 1;
    if (this.#count > nodesMax) {
      throw new Fault(`The document has more than ${nodesMax} elements. Split it.`, { line });
    }
    const node = new XmlNode(element, line);
    this.#open.at(-1)?.children.push(node);
    this.root ??= node;
    this.#open.push(node);
  }

  text(text: string): void {
    const node = this.#open.at(-1);
    if (node !== undefined && !binary.has(node.name)) node.addText(text);
  }

  close(): void {
    this.#open.pop();
  }
}

/**
 * Reads a document whole, with the guards of `XmlReader`; lets the event loop turn between pieces.
 * @throws Fault with its line when the XML is damaged, has a document type or goes beyond a limit
 */
export async function readXmlTree(bytes: Uint8Array): Promise<XmlNode> {
  const builder = new Builder();
  const reader = new XmlReader(builder, { nodeLengthMax });
  async function* source(): AsyncGenerator<Uint8Array, void, undefined> {
    yield bytes;
  }
  for await (const piece of pieces(source())) reader.write(piece);
  reader.end();
  if (builder.root === undefined) throw new Fault("The document has no element.", { line: 1 });
  return builder.root;
}

/** The document itself: without the header of Peppol (SBDH) in which it was sent. */
export function documentIn(root: XmlNode): XmlNode {
  if (root.name !== "StandardBusinessDocument") return root;
  return root.children.find(({ name }) => name !== "StandardBusinessDocumentHeader") ?? root;
}

/** The beginning of a document as Latin letters, without the zero bytes of UTF-16; undefined when it is no XML. */
export function xmlHead(head: Uint8Array): string | undefined {
  const text = Buffer.from(head.filter((byte) => byte !== 0)).toString("latin1");
  return /^[\u00ef\u00bb\u00bf\u00ff\u00fe\s]*</.test(text.slice(0, 1_000)) ? text : undefined;
}
