import { createHash } from "node:crypto";
import { type FileHandle, mkdir, open } from "node:fs/promises";
import { dirname } from "node:path";

/** Text is handed to the disk in pieces of this size, in characters. */
const pieceChars = 65_536;

/** What is known of a finished file; the hash in hexadecimal. */
export interface ClosedFile {
  bytes: number;
  sha256: string;
}

/** A file that is being written: counted, hashed and on disk when `close` has answered. */
export class SpoolFile {
  /** Values in the file; the format counts them. */
  rows = 0;
  readonly #handle: FileHandle;
  readonly #hash = createHash("sha256");
  #bytes = 0;
  #text: string[] = [];
  #chars = 0;
  #closed: ClosedFile | undefined;

  private constructor(handle: FileHandle) {
    this.#handle = handle;
  }

  /** Opens a new file; its folder is made when it is absent. */
  static async create(path: string): Promise<SpoolFile> {
    await mkdir(dirname(path), { recursive: true, mode: 0o700 });
    return new SpoolFile(await open(path, "w", 0o600));
  }

  /** Appends text or bytes. */
  async write(piece: string | Uint8Array): Promise<void> {
    if (typeof piece !== "string") {
      await this.#flush();
      return this.#put(piece);
    }
    this.#text.push(piece);
    this.#chars += piece.length;
    if (this.#chars >= pieceChars) await this.#flush();
  }

  /** Finishes the file; it survives a loss of power from here on. Again it only answers again. */
  async close(): Promise<ClosedFile> {
    if (this.#closed !== undefined) return this.#closed;
    await this.#flush();
    await this.#handle.sync();
    await this.#handle.close();
    return (this.#closed = { bytes: this.#bytes, sha256: this.#hash.digest("hex") });
  }

  /** Lets go of a file that will not be finished; nothing when it is closed. */
  async abandon(): Promise<void> {
    await this.#handle.close().catch(() => undefined);
  }

  async #flush(): Promise<void> {
    if (this.#chars === 0) return;
    const text = this.#text.join("");
    this.#text = [];
    this.#chars = 0;
    await this.#put(Buffer.from(text));
  }

  async #put(bytes: Uint8Array): Promise<void> {
    this.#hash.update(bytes);
    this.#bytes += bytes.length;
    await this.#handle.writeFile(bytes);
  }
}
