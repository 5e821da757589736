import type { Deps } from "../platform/deps.ts";
import { Problem } from "../platform/problem.ts";
import { granuleEnd } from "../platform/time/granule.ts";
import { type Batch, ingestIn, qualities, type Stored, type ValueQuality } from "../series/series.ts";
import type { Claimed } from "./claim.ts";
import { type Connector, type Delivery, ProviderFailure } from "./connector.ts";
import { advance, type Question } from "./cursor.ts";
import { holds } from "./settle.ts";
import type { CollectedSource } from "./source.ts";

/** What a run collects, and for whom. */
export interface Collecting {
  connector: Connector;
  claimed: Claimed;
  sources: ReadonlyMap<string, CollectedSource>;
  questions: readonly Question[];
}

/**
 * Stores one delivery, with the cursor that it moves, in one transaction: repeated, it changes nothing. Values that are
 * not the meter's holder's, that belong to granules that are not over, and of meters that nobody asked for are left
 * out. Returns what was stored, `null` when there was nothing to store.
 *
 * @throws ProviderFailure `changed` when the values cannot be what the provider means
 */
export async function store(
  { db, clock }: Pick<Deps, "db" | "clock">,
  { connector, claimed, sources, questions }: Collecting,
  delivery: Delivery,
): Promise<Stored | null> {
  const source = sources.get(delivery.key);
  if (source === undefined) return null;
  const { key, metric, granularity } = delivery;
  const asked = questions.filter(
    (each) => each.key === key && each.metric === metric && each.granularity === granularity,
  );
  const first = asked.find(({ reason }) => reason === "new") ?? asked[0];
  if (first === undefined) return null;
  if (delivery.starts.length !== delivery.values.length) {
    throw new ProviderFailure("changed", `${key}: as many starts as values are needed`);
  }
  const now = clock.now();
  const { batch, end } = batchOf(delivery, { claimed, source, now });
  if (batch.runs[0]!.starts.length === 0) return null;
  try {
    return await db.transaction(async (tx) => {
      if (!(await holds(tx, claimed))) return null;
      const [stored] = await ingestIn(tx, [batch], now);
      if (end !== null) {
        const series = { sourceId: source.id, metric, granularity };
        const usualLatenessMs = connector.latenessHours * 3_600_000;
        await advance(tx, [{ series, asked: first.from, end, usualLatenessMs }]);
      }
      return stored!;
    });
  } catch (error) {
    if (!(error instanceof Problem) || error.code !== "invalid") throw error;
    throw new ProviderFailure("changed", `${key}: ${error.message}`, { cause: error });
  }
}

function batchOf(
  delivery: Delivery,
  { claimed, source, now }: { claimed: Claimed; source: CollectedSource; now: number },
): { batch: Batch; end: number | null } {
  const { metric, granularity, document } = delivery;
  const { id, part, timezone } = source.meter;
  const from = source.from ?? Number.NEGATIVE_INFINITY;
  const to = Math.min(source.to ?? Number.POSITIVE_INFINITY, now);
  const endOf = (start: number) => granuleEnd(granularity, timezone, start);
  const kept = delivery.starts.flatMap((start, i) => (start >= from && endOf(start) <= to ? [i] : []));
  const filled = kept.filter((i) => delivery.values[i] !== null).map((i) => delivery.starts[i]!);
  const run = {
    meter: { id, part, timezone },
    metric,
    granularity,
    starts: kept.map((i) => delivery.starts[i]!),
    values: kept.map((i) => delivery.values[i] ?? Number.NaN),
    quality: qualityOf(delivery, kept),
  };
  const origin = {
    source: storable(`${claimed.provider}/${claimed.id}/${document.id}`).slice(0, 500),
    rank: source.rank,
    ...(document.version === undefined ? {} : { version: document.version }),
  };
  const last = filled.reduce((latest, start) => Math.max(latest, start), Number.NEGATIVE_INFINITY);
  return { batch: { document: origin, runs: [run] }, end: filled.length === 0 ? null : endOf(last) };
}

/** Text of a provider as the database takes it. */
const storable = (text: string) => text.toWellFormed().replaceAll("\0", "");

function qualityOf({ quality = "measured" }: Delivery, kept: readonly number[]): ValueQuality | Uint8Array {
  if (typeof quality === "string") return quality;
  return Uint8Array.from(kept, (i) => Math.max(0, qualities.indexOf(quality[i] ?? "unknown")));
}
