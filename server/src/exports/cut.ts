import { rename } from "node:fs/promises";
import { accountRefs } from "../accounts/accounts.ts";
import { metersById } from "../meters/meters.ts";
import type { Db } from "../platform/db.ts";
import type { Deps } from "../platform/deps.ts";
import { metrics } from "../series/series.ts";
import { type Cut, nextCut, type StreamRun } from "../streams/streams.ts";
import type { Export } from "./export.ts";
import { exportFormatNamed } from "./formats/all.ts";
import type { ExportFormat, ExportMeter, ExportRun } from "./formats/format.ts";
import { folderOf, noteMeters, partOf } from "./spool.ts";
import { type BatchWriter, openWriter } from "./writer.ts";
import type { MadeFile } from "./writing.ts";

/** Values drawn from the stream at once. */
const valuesAtOnce = 50_000;
/** Values drawn for one batch at most, those that the format leaves out included: bounds the time of a step. */
const valuesDrawnMax = 5_000_000;

/** A batch of the stream as files. */
export interface MadeCut {
  files: MadeFile[];
  /** Offset of the stream behind the batch. */
  offset: number;
}

/**
 * Writes what the stream has after `after` into files: until nothing is new, the format's limit is reached, or
 * `upTo` is passed (when a batch is made again). `null` when nothing is new.
 */
export async function makeCut(
  deps: Deps,
  of: Export,
  { after, upTo, signal }: { after: number | null; upTo: number | null; signal: AbortSignal },
): Promise<MadeCut | null> {
  const format = exportFormatNamed(of.format)!;
  const files = new CutFiles(deps, of, format);
  try {
    let offset = after;
    let drawn = 0;
    while (files.rows < format.rowsMax && drawn < valuesDrawnMax) {
      signal.throwIfAborted();
      const limit = Math.min(valuesAtOnce, format.rowsMax);
      const cut: Cut | null = await nextCut(deps, { id: of.streamId }, { after: offset, limit });
      if (cut === null) break;
      await files.add(cut.runs);
      drawn += cut.count;
      offset = cut.offset;
      if (upTo !== null && offset >= upTo) break;
    }
    const made = await files.finish();
    return offset === null || offset === after ? null : { files: made, offset };
  } catch (error) {
    await files.abandon();
    throw error;
  }
}

/** The files of a batch that is being made. */
class CutFiles {
  rows = 0;
  readonly #deps: Deps;
  readonly #of: Export;
  readonly #format: ExportFormat;
  readonly #params: unknown;
  readonly #roots = new Set<string>();
  readonly #meters = new Map<string, ExportMeter>();
  #writer: BatchWriter | undefined;

  constructor(deps: Deps, of: Export, format: ExportFormat) {
    this.#deps = deps;
    this.#of = of;
    this.#format = format;
    this.#params = format.params.parse(of.params ?? {});
  }

  async add(runs: readonly StreamRun[]): Promise<void> {
    const wanted = runs.filter(({ metric }) => this.#format.accepts(metric, this.#params));
    await this.#lookUp(wanted.map(({ meterId }) => meterId));
    // A meter that was taken away between two statements is missing; its values are nobody's to see.
    const readable = wanted.filter(({ meterId }) => this.#meters.has(meterId));
    if (readable.length === 0) return;
    this.#writer ??= await openWriter({
      format: this.#of.format,
      params: this.#of.params,
      now: this.#deps.clock.now(),
      folder: this.#folder,
    });
    await this.#writer.write(readable.map((run) => exportRunOf(run, this.#meters.get(run.meterId)!)));
    for (const { rootId, starts } of readable) {
      this.rows += starts.length;
      this.#roots.add(rootId);
    }
  }

  /** Closes the files, and notes whose values they hold. */
  async finish(): Promise<MadeFile[]> {
    const made = (await this.#writer?.finish()) ?? [];
    for (const { id } of made) {
      const path = `${this.#folder}/${id}`;
      await noteMeters(path, [...this.#roots].sort());
      await rename(partOf(path), path);
    }
    return made;
  }

  async abandon(): Promise<void> {
    await this.#writer?.abandon();
  }

  get #folder(): string {
    return folderOf(this.#deps.settings.dataDir, this.#of.id);
  }

  async #lookUp(meterIds: readonly string[]): Promise<void> {
    const unknown = [...new Set(meterIds)].filter((id) => !this.#meters.has(id));
    for (const meter of await exportMeters(this.#deps.db, this.#of.accountId, unknown))
      this.#meters.set(meter.id, meter);
  }
}

function exportRunOf(run: StreamRun, meter: ExportMeter): ExportRun {
  const { metric, currency, granularity, starts, values, updated, pushedAt } = run;
  const unit = metrics.get(metric)?.unit ?? "";
  return { meter, metric, unit, currency, granularity, starts, values, updated, pushedAt };
}

/** Meters of the account as files show them. */
async function exportMeters(db: Db, accountId: string, ids: readonly string[]): Promise<ExportMeter[]> {
  if (ids.length === 0) return [];
  const meters = (await metersById(db, ids)).filter(
    (meter) => meter.holder_id === accountId && !meter.revoked,
  );
  const providers = await accountRefs(
    db,
    meters.map((meter) => meter.root_holder_id),
  );
  return meters.map((meter) => {
    const provider = providers.get(meter.root_holder_id);
    return {
      id: meter.id,
      ean: meter.ean,
      name: meter.name,
      type: meter.type,
      providerId: provider?._id ?? "",
      providerName: provider?.name ?? "",
      address: meter.address,
      location: meter.location,
      tags: meter.tags,
      timezone: meter.timezone,
      representation: meter.representation,
    };
  });
}
