import { newId } from "../platform/id.ts";
import { exportFormatNamed } from "./formats/all.ts";
import type { ExportFormat, ExportRun, FormatWriter } from "./formats/format.ts";
import { discardFile, partOf } from "./spool.ts";
import { SpoolFile } from "./spool-file.ts";

/** What is to be written. */
export interface WritingTask {
  /** Name of the format. */
  format: string;
  /** As they are stored. */
  params: Record<string, unknown> | null;
  /** When the batch is cut, epoch milliseconds. */
  now: number;
  /** Folder of the export's files. */
  folder: string;
}

/** A file that is whole but still under the name of a part; see `partOf`. */
export interface MadeFile {
  id: string;
  /** `""`, or a path that ends with `/`, to stand before the name at the target. */
  folder: string;
  bytes: number;
  rows: number;
  sha256: string;
}

/** Writes the files of one batch; runs on the thread of the writer. Nothing is opened before the first value. */
export class Writing {
  readonly #task: WritingTask;
  readonly #format: ExportFormat;
  readonly #files: { id: string; folder: string; file: SpoolFile }[] = [];
  #writer: FormatWriter | undefined;

  constructor(task: WritingTask) {
    this.#task = task;
    this.#format = exportFormatNamed(task.format)!;
  }

  /** Writes some runs that the format accepts. */
  async write(runs: readonly ExportRun[]): Promise<void> {
    for (const run of runs) {
      this.#writer ??= await this.#format.open({
        params: this.#format.params.parse(this.#task.params ?? {}),
        now: this.#task.now,
        create: (folder) => this.#create(folder),
      });
      await this.#writer.write(run);
    }
  }

  /** Closes all files; empty when nothing was written. */
  async finish(): Promise<MadeFile[]> {
    await this.#writer?.finish();
    const made: MadeFile[] = [];
    for (const { id, folder, file } of this.#files) {
      const closed = await file.close();
      made.push({ id, folder, rows: file.rows, ...closed });
    }
    return made;
  }

  /** Lets go of everything that was written. */
  async abandon(): Promise<void> {
    for (const { id, file } of this.#files) {
      await file.abandon();
      await discardFile(`${this.#task.folder}/${id}`);
    }
  }

  async #create(folder: string): Promise<SpoolFile> {
    const id = newId(this.#task.now);
    const file = await SpoolFile.create(partOf(`${this.#task.folder}/${id}`));
    this.#files.push({ id, folder, file });
    return file;
  }
}
