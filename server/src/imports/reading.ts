import { open } from "node:fs/promises";
import type { FileSource } from "../formats/format.ts";
import { formatTimestamp } from "../platform/time/timestamp.ts";
import { type Gathered, gather } from "./gather.ts";
import { Granules } from "./granules.ts";
import {
  batchValuesMax,
  type KnownMeter,
  type News,
  type PlacedRun,
  type ReadingTask,
  type Report,
} from "./messages.ts";
import { MeterBook } from "./meter-book.ts";
import { ProblemBook } from "./problem-book.ts";
import { type Conflict, type Settled, settle } from "./settle.ts";
import { Spool, type SpooledColumns } from "./spool.ts";

/** More rows of one series than that are no meter data: 19 years of 5 minutes. */
const seriesValuesMax = 2_000_000;
/** Progress is told each time so many bytes were read. */
const progressBytes = 4 * 1024 * 1024;

/** Reads the files of one import. Runs on a thread of its own: it takes the time that it needs. */
export class Reading {
  readonly #task: ReadingTask;
  readonly #tell: (news: News) => void;
  readonly #spool: Spool;
  readonly #book: MeterBook;
  readonly #problems = new ProblemBook();
  #gathered: Gathered = { files: [], values: 0, readings: 0 };
  #bytes = 0;
  #toldBytes = 0;
  /** The series that was settled last: a long one fills several batches. */
  #last: { series: number; settled: Settled } | undefined;

  constructor(task: ReadingTask, tell: (news: News) => void) {
    this.#task = task;
    this.#tell = tell;
    this.#spool = new Spool(task.spoolPath);
    this.#book = new MeterBook({ meter: task.meter, accountZone: task.accountZone });
  }

  /** Reads everything and tells which metering points it found. */
  async read(): Promise<void> {
    const sources = this.#task.files.map((file) => this.#sourceOf(file));
    this.#gathered = await gather(sources, this.#task.reading, {
      book: this.#book,
      spool: this.#spool,
      problems: this.#problems,
      progress: (values) => {
        if (this.#bytes - this.#toldBytes < progressBytes) return;
        this.#toldBytes = this.#bytes;
        this.#tell({ kind: "progress", bytes: this.#bytes, values });
      },
    });
    this.#tell({ kind: "read", meters: this.#book.meters });
  }

  /** Settles what was read, told what is known of each metering point. */
  report(known: readonly KnownMeter[]): Report {
    let missing = 0;
    let duplicates = 0;
    for (const [number, planned] of this.#book.series.entries()) {
      if (this.#spool.countOf(number) > seriesValuesMax) {
        const { ean } = this.#book.meters[planned.meter]!;
        this.#problems.add(
          "error",
          `More than ${seriesValuesMax} rows of ${planned.metric} of meter ${ean}. Split the upload.`,
        );
        continue;
      }
      const columns = this.#spool.read(number);
      const settled = settle(columns, (conflict) => this.#tellConflict(number, columns, conflict));
      this.#checkZone(number, columns, known[planned.meter]!);
      missing += settled.missing;
      duplicates += settled.duplicates;
      planned.values = settled.starts.length;
      planned.first = settled.starts[0] ?? null;
      planned.last = settled.starts.at(-1) ?? null;
    }
    this.#checkContent(known);
    const { files, values, readings } = this.#gathered;
    const { kept: problems, counts } = this.#problems;
    const { meters, series } = this.#book;
    return { meters, series, files, values, missing, duplicates, readings, problems, counts };
  }

  /**
   * Puts the values of a batch into the memory and answers where; null after the last one. Batches follow from the
   * content alone, so their numbers mean the same in every attempt.
   */
  batch(number: number): PlacedRun[] | null {
    const from = number * batchValuesMax;
    const to = from + batchValuesMax;
    const runs: PlacedRun[] = [];
    let at = 0;
    let placed = 0;
    for (const [series, { values }] of this.#book.series.entries()) {
      if (at >= to) break;
      if (at + values > from) {
        const cut = { from: Math.max(0, from - at), to: Math.min(values, to - at) };
        runs.push(...this.#place(series, cut, placed));
        placed += cut.to - cut.from;
      }
      at += values;
    }
    return runs.length === 0 ? null : runs;
  }

  /** Lets go of the file of what was read. */
  close(): void {
    this.#spool.close();
  }

  /** Values [from, to) of a series, at a place of the memory: a run for each version. */
  #place(series: number, { from, to }: { from: number; to: number }, at: number): PlacedRun[] {
    if (this.#last?.series !== series)
      this.#last = { series, settled: settle(this.#spool.read(series), () => undefined) };
    const { starts, values, versions, qualities } = this.#last.settled;
    const { memory } = this.#task;
    const { granularity } = this.#book.series[series]!;
    const versionsHere = new Set(versions.subarray(from, to));
    const runs: PlacedRun[] = [];
    let next = at;
    for (const version of versionsHere) {
      const first = next;
      for (let i = from; i < to; i++) {
        if (!Object.is(versions[i], version)) continue;
        memory.starts[next] = starts[i]!;
        memory.values[next] = values[i]!;
        memory.qualities[next] = qualities[i]!;
        next++;
      }
      runs.push({
        series,
        granularity,
        version: Number.isNaN(version) ? null : version,
        from: first,
        to: next,
      });
    }
    return runs;
  }

  #tellConflict(series: number, { values, lines, files }: SpooledColumns, { start, rows }: Conflict): void {
    const { meter, metric } = this.#book.series[series]!;
    const place = (row: number) =>
      `line ${lines[row]}${this.#gathered.files.length > 1 ? ` of ${this.#fileName(files[row]!)}` : ""}`;
    const [one, other] = rows;
    this.#problems.add(
      "error",
      `${metric} of meter ${this.#book.meters[meter]!.ean} from ${formatTimestamp(start)} is ${values[one]} in ${place(one)} ` +
        `and ${values[other]} in ${place(other)}, and nothing says which is newer. Remove one of them.`,
      { file: this.#fileName(files[other]!), line: lines[other]! },
    );
  }

  /** A meter that is stored already keeps its zone: what is no granule there cannot be stored. */
  #checkZone(series: number, { starts, lines, files }: SpooledColumns, known: KnownMeter): void {
    const { meter, granularity } = this.#book.series[series]!;
    const planned = this.#book.meters[meter]!;
    if (known.timezone === planned.timezone) return;
    const granules = new Granules(known.timezone);
    const wrong = starts.findIndex((start) => !granules.begins(granularity, start));
    if (wrong === -1) return;
    this.#problems.add(
      "error",
      `Meter ${planned.ean} is stored in the time zone ${known.timezone}, where no ${granularity} begins at ` +
        `${formatTimestamp(starts[wrong]!)}; the file was read in ${planned.timezone}. State the zone of the meter, or change the meter.`,
      { file: this.#fileName(files[wrong]!), line: lines[wrong]! },
    );
  }

  #checkContent(known: readonly KnownMeter[]): void {
    for (const [index, { isNew, type }] of known.entries()) {
      const planned = this.#book.meters[index]!;
      if (isNew || type === planned.type) continue;
      this.#problems.add(
        "warning",
        `Meter ${planned.ean} is stored as ${type}, the file says ${planned.type}. The stored type stays.`,
      );
    }
    if (this.#problems.counts.error > 0 || this.#book.series.some(({ values }) => values > 0)) return;
    const message =
      this.#gathered.readings > 0
        ? "The file holds readings of registers alone; only values of intervals are stored. Upload a file of intervals."
        : "The file holds no values.";
    this.#problems.add("error", message);
  }

  #fileName(number: number): string {
    return this.#gathered.files[number]!.name;
  }

  #sourceOf({ name, path, bytes }: ReadingTask["files"][number]): FileSource {
    const count = (read: number) => void (this.#bytes += read);
    return {
      name,
      size: bytes,
      async *read(from, to) {
        if (to <= from) return;
        const file = await open(path);
        // The end is included.
        for await (const chunk of file.createReadStream({
          start: from,
          end: to - 1,
          highWaterMark: 256 * 1024,
        })) {
          count((chunk as Buffer).length);
          yield chunk as Buffer;
        }
      },
    };
  }
}
