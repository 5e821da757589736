import { xmlHead } from "../xml-tree.ts";

/** One Finvoice message of a file. */
interface Message {
  content: Uint8Array;
  /** Lines of the file before it. */
  linesBefore: number;
}

const declaration = Buffer.from("<?xml");
const rootElement = /<(\w+:)?Finvoice[\s>]/;
const rootEnd = Buffer.from("Finvoice>");
/** Bytes in which the root of a message shows: after its declaration, references to style sheets and comments. */
const headBytes = 64 * 1024;

/** Is there a Finvoice message in this beginning of a file? */
export function hasMessage(head: Uint8Array): boolean {
  return rootElement.test(xmlHead(head) ?? "");
}

/**
 * The Finvoice messages of a file. Files of banks are no single XML document: each message follows the SOAP
 * envelope that says where it goes, and starts with an XML declaration of its own.
 */
export function* messagesIn(bytes: Uint8Array): Generator<Message, void, undefined> {
  const file = Buffer.from(bytes.buffer, bytes.byteOffset, bytes.length);
  const starts = startsIn(file);
  let linesBefore = 0;
  let counted = 0;
  for (const [at, from] of starts.entries()) {
    const content = file.subarray(from, starts[at + 1] ?? file.length);
    if (!hasMessage(content.subarray(0, headBytes))) continue;
    linesBefore += newlines(file.subarray(counted, from));
    counted = from;
    yield { content: withoutNextEnvelope(content), linesBefore };
  }
}

function startsIn(file: Buffer): number[] {
  const starts: number[] = [];
  for (let at = file.indexOf(declaration); at >= 0; at = file.indexOf(declaration, at + 1)) {
    // <?xml-stylesheet …?> belongs to the message that it stands in.
    if (file[at + declaration.length] !== 0x2d) starts.push(at);
  }
  // UTF-16, and files without a declaration.
  return starts.length === 0 ? [0] : starts;
}

/** Up to the end of the message; all when it has none, so that the reader of XML says what is wrong. */
function withoutNextEnvelope(content: Buffer): Buffer {
  const end = content.lastIndexOf(rootEnd);
  return end < 0 ? content : content.subarray(0, end + rootEnd.length);
}

function newlines(bytes: Buffer): number {
  let count = 0;
  for (let at = bytes.indexOf(10); at >= 0; at = bytes.indexOf(10, at + 1)) count += 1;
  return count;
}
