import Tokenizer from "@streamparser/json/tokenizer.js";
import { Fault } from "../problems.ts";

/** Deepest nesting. Meter documents need ten levels; a bomb has a hundred thousand. */
const depthMax = 64;
/** Longest text in a document; also bounds what a broken file can make us hold. */
const tokenBytesMax = 1_000_000;
/** Most members that are kept of one object. */
const membersMax = 200;

/** An object or array that is being read. */
export interface Node {
  /** Name of the member that holds it; elements of an array have the name of the array. */
  name: string;
  parent: Node | undefined;
  array: boolean;
  /** Texts, numbers, booleans and nulls directly inside an object, as read so far. */
  members: Record<string, string | number | boolean | null>;
  /** 1-based line on which it begins. */
  line: number;
}

/**
 * Walks through JSON of any size: hands out each object when it ends, innermost first, and keeps nothing of it.
 */
export class JsonWalk {
  readonly #onObject: (node: Node) => void;
  readonly #tokenizer = new Tokenizer();
  #node: Node | undefined;
  #name: string | undefined;
  #expectName = false;
  #line = 1;
  #bytes: Buffer = Buffer.alloc(0);
  /** Position of `#bytes` in the stream, and up to where its line ends are counted. */
  #base = 0;
  #counted = 0;
  #lastToken = 0;
  #ended = false;

  /** @param onObject called for each object at its end */
  constructor(onObject: (node: Node) => void) {
    this.#onObject = onObject;
    this.#tokenizer.onToken = ({ token, value, offset }) => this.#token(token, value, offset);
    this.#tokenizer.onError = (error) => {
      throw new Fault(`The file is not valid JSON: ${error.message.slice(0, 200)}`, { line: this.#line });
    };
  }

  /** The next piece. @throws Fault */
  write(text: string): void {
    this.#bytes = Buffer.from(text);
    this.#counted = 0;
    this.#tokenizer.write(this.#bytes);
    this.#count(this.#bytes.length);
    this.#base += this.#bytes.length;
    if (this.#base - this.#lastToken > tokenBytesMax) {
      throw new Fault(`A text is longer than ${tokenBytesMax} bytes.`, { line: this.#line });
    }
  }

  /** The end of the file. @throws Fault when the document is cut off */
  end(): void {
    if (!this.#ended) {
      throw new Fault("The file ends in the middle of the document: it is cut off. Fetch it again.", {
        line: this.#line,
      });
    }
  }

  #count(until: number): void {
    for (;;) {
      const at = this.#bytes.indexOf(10, this.#counted);
      if (at === -1 || at >= until) break;
      this.#line++;
      this.#counted = at + 1;
    }
    if (until > this.#counted) this.#counted = until;
  }

  #token(kind: number, value: string | number | boolean | null | undefined, offset: number): void {
    this.#lastToken = offset;
    switch (kind) {
      case 0:
      case 2:
        this.#count(offset - this.#base);
        this.#open(kind === 2);
        break;
      case 1:
      case 3:
        this.#close(kind === 3);
        break;
      case 4:
        this.#expectName = false;
        break;
      case 5:
        this.#expectName = this.#node !== undefined && !this.#node.array;
        break;
      default:
        this.#scalar(value as string | number | boolean | null);
    }
  }

  #open(array: boolean): void {
    if (this.#ended) throw new Fault("Something follows the end of the document.", { line: this.#line });
    const parent = this.#node;
    let depth = 1;
    for (let above = parent; above !== undefined; above = above.parent) depth++;
    if (depth > depthMax)
      throw new Fault(`The document is nested deeper than ${depthMax} levels.`, { line: this.#line });
    const name = (parent?.array ? parent.name : this.#name) ?? "";
    this.#node = { name, parent, array, members: Object.create(null) as Node["members"], line: this.#line };
    this.#expectName = !array;
  }

  #close(array: boolean): void {
    const node = this.#node;
    if (node === undefined || node.array !== array)
      throw new Fault("Brackets do not match.", { line: this.#line });
    this.#node = node.parent;
    this.#expectName = false;
    if (this.#node === undefined) this.#ended = true;
    if (!array) this.#onObject(node);
  }

  #scalar(value: string | number | boolean | null): void {
    const node = this.#node;
    if (node === undefined) throw new Fault("The document must be an object.", { line: this.#line });
    if (node.array) return;
    if (this.#expectName) {
      this.#name = String(value);
      this.#expectName = false;
      return;
    }
    if (this.#name !== undefined && Object.keys(node.members).length < membersMax)
      node.members[this.#name] = value;
  }
}
