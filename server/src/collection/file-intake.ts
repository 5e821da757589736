import { accountById } from "../accounts/accounts.ts";
import {
  type FileProblem,
  type KnownMeter,
  mappingByName,
  type PlannedMeter,
  type ReceivedFile,
  type Report,
  TooMuchMemory,
  type ValueRun,
} from "../imports/imports.ts";
import { rootMeters } from "../meters/meters.ts";
import { any, type Db, sql, type Tx } from "../platform/db.ts";
import type { Deps } from "../platform/deps.ts";
import type { Granularity } from "../platform/granularity.ts";
import { granuleEnd } from "../platform/time/granule.ts";
import { type Batch, ingestIn, nothingStored } from "../series/series.ts";
import { type Claimed, LostConnection } from "./claim.ts";
import type { Connector, FoundMeter, SentFile } from "./connector.ts";
import { type Arrival, advance, type Cursor, cursorsOf, learnLateness, seriesKey } from "./cursor.ts";
import { takeIn } from "./intake.ts";
import { resolveFileIssues } from "./issue.ts";
import { endFile, type KnownFile } from "./received-file.ts";
import { holds } from "./settle.ts";
import { type CollectedSource, type Source, sourceColumns, sourcesToReceive } from "./source.ts";

/** A file that was received, and whose it is. */
export interface FileToRead {
  connector: Connector;
  claimed: Claimed;
  file: SentFile;
  known: KnownFile;
  content: ReceivedFile;
}

/** What came of a file. */
export interface FileRead {
  fate: "stored" | "refused";
  counts: Record<string, number>;
}

/**
 * Reads a file whole, and then stores what it holds, or refuses it whole. Its meters are found meters of the connection
 * like those of any provider; values are stored of those in the inbox too, because the file does not come again, and
 * not of those that were put away. Repeated, it changes nothing.
 */
export async function readSentFile(deps: Deps, reading: FileToRead): Promise<FileRead> {
  const { db, clock } = deps;
  const { claimed, file, known, content } = reading;
  const account = await accountById(db, claimed.accountId);
  const { mapping: mappingName, ...options } = file.reading;
  const mapping = mappingName === undefined ? undefined : await mappingByName(db, account, mappingName);
  if (mappingName !== undefined && mapping === undefined) {
    const message = `There is no saved mapping "${mappingName}". Save it under this name, or change the connection.`;
    return refuse(deps, reading, [wholeFile(message)]);
  }
  const told = {
    ...options,
    ...(mapping === undefined ? {} : { mapping }),
    account_timezone: account.timezone,
  };
  const reader = content.open(told, known.received);
  const connection = claimed;
  let report: Report;
  try {
    const planned = await reader.meters();
    const found = planned.map((meter) => foundOf(meter, []));
    report = await reader.report(await lookUp(db, { connection, found, now: clock.now() }));
  } catch (error) {
    if (!(error instanceof TooMuchMemory)) throw error;
    return refuse(deps, reading, [wholeFile(error.message)]);
  }
  if (report.counts.error > 0) return refuse(deps, reading, report.problems);
  const storing = await begin(deps, reading, report);
  for (let number = 0; ; number++) {
    const runs = await reader.batch(number);
    if (runs === null) return finish(deps, storing);
    await store(deps, storing, runs);
  }
}

/** A problem of a file as a whole. */
export const wholeFile = (message: string): FileProblem => ({
  severity: "error",
  file: null,
  line: null,
  field: null,
  message,
});

/** Writes down why nothing of a file is stored. */
export async function refuse(
  { db, clock }: Pick<Deps, "db" | "clock">,
  { claimed, known }: Pick<FileToRead, "claimed" | "known">,
  problems: readonly FileProblem[],
  status: "refused" | "unread" = "refused",
): Promise<FileRead> {
  const now = clock.now();
  // Errors first: they are what somebody has to put right.
  const ordered = problems.toSorted(
    (a, b) => Number(b.severity === "error") - Number(a.severity === "error"),
  );
  await db.transaction(async (tx) => {
    await hold(tx, claimed);
    await endFile(tx, known.id, {
      status,
      formats: [],
      counts: {},
      problems: ordered,
      leftOut: [],
      now,
    });
  });
  return { fate: "refused", counts: {} };
}

/** Another worker has taken the connection: what it stores is not ours to touch. */
async function hold(tx: Tx, claimed: Claimed): Promise<void> {
  if (!(await holds(tx, claimed))) throw new LostConnection();
}

/** A meter as a file shows it: ean, register and direction make it the same one. */
function foundOf(
  { ean, channel, representation, type, name, address, timezone }: PlannedMeter,
  metrics: FoundMeter["metrics"],
): FoundMeter {
  const direction = representation === "sensor" ? null : representation;
  return {
    key: [ean, channel, representation ?? ""].join(" ").trim(),
    ean,
    channel,
    type,
    name,
    timezone,
    metrics,
    ...(address === null ? {} : { address }),
    ...(direction === null ? {} : { representation: direction as NonNullable<FoundMeter["representation"]> }),
  };
}

/** Thrown to take everything back that a transaction did. */
class TakenBack extends Error {}

interface Looking {
  connection: Claimed;
  found: readonly FoundMeter[];
  now: number;
}

/**
 * What is stored of meters, and which would be made: they are taken in and the transaction is taken back, because what
 * makes two meters the same one is known in one place.
 */
async function lookUp(db: Db, looking: Looking): Promise<KnownMeter[]> {
  let known: KnownMeter[] = [];
  try {
    await db.transaction(async (tx) => {
      const { created } = await takeIn(tx, { ...looking, isPart: true });
      const sources = await sourcesByKey(tx, looking.connection.id, looking.found);
      const roots = await rootMeters(tx, [...new Set([...sources.values()].map(({ meterId }) => meterId))]);
      const byId = new Map(roots.map((root) => [root.id, root]));
      known = looking.found.map(({ key }) => {
        const { timezone, type, id } = byId.get(sources.get(key)!.meterId)!;
        return { timezone, type, isNew: created.includes(id) };
      });
      throw new TakenBack();
    });
  } catch (error) {
    if (!(error instanceof TakenBack)) throw error;
  }
  return known;
}

async function sourcesByKey(
  db: Db | Tx,
  connectionId: string,
  found: readonly FoundMeter[],
): Promise<Map<string, Source>> {
  const keys = found.map(({ key }) => key);
  const rows = await db.rows<Source>(sql`
    select ${sourceColumns} from meter_source where connection_id = ${connectionId} and key = ${any(keys)}`);
  return new Map(rows.map((source) => [source.key, source]));
}

interface Storing extends FileToRead {
  report: Report;
  /** By the number of the meter in the report; null for those that were put away. */
  sources: readonly (CollectedSource | null)[];
  keys: readonly string[];
  cursors: Map<string, Cursor>;
  counts: Record<string, number>;
}

/** Takes the meters in; from here on the file is stored. */
async function begin(
  { db, clock }: Pick<Deps, "db" | "clock">,
  reading: FileToRead,
  report: Report,
): Promise<Storing> {
  const { claimed } = reading;
  const now = clock.now();
  const metrics = report.meters.map((): Map<string, Set<Granularity>> => new Map());
  for (const { meter, metric, granularity } of report.series) {
    metrics[meter]!.set(metric, (metrics[meter]!.get(metric) ?? new Set()).add(granularity));
  }
  return db.transaction(async (tx) => {
    await hold(tx, claimed);
    const plain = report.meters.map((meter) => foundOf(meter, []));
    const before = await sourcesByKey(tx, claimed.id, plain);
    const found = plain.map((meter, n) => ({
      ...meter,
      metrics: joined(before.get(meter.key)?.found.metrics ?? [], metrics[n]!),
    }));
    const { created } = await takeIn(tx, { connection: claimed, found, isPart: true, now });
    const keys = found.map(({ key }) => key);
    const byKey = new Map(
      (await sourcesToReceive(tx, claimed.id, keys)).map((source) => [source.key, source]),
    );
    const sources = keys.map((key) => byKey.get(key) ?? null);
    const cursors = await cursorsOf(
      tx,
      sources.flatMap((source) => source?.id ?? []),
    );
    const { values, missing, duplicates } = report;
    const counts = {
      meters: keys.length,
      meters_new: created.length,
      values,
      missing,
      duplicates,
      ...nothingStored(),
    };
    return { ...reading, report, sources, keys, cursors, counts };
  });
}

/** The metrics of a meter, those of earlier files too. */
function joined(
  before: FoundMeter["metrics"],
  more: ReadonlyMap<string, ReadonlySet<Granularity>>,
): FoundMeter["metrics"] {
  const all = new Map(before.map(({ metric, granularities }) => [metric, new Set(granularities)]));
  for (const [metric, granularities] of more) {
    all.set(metric, new Set([...(all.get(metric) ?? []), ...granularities]));
  }
  return [...all].map(([metric, granularities]) => ({ metric, granularities: [...granularities] }));
}

/** Stores a batch of values with the cursors that they move, in one transaction. */
async function store(
  { db, clock }: Pick<Deps, "db" | "clock">,
  storing: Storing,
  runs: readonly ValueRun[],
): Promise<void> {
  const { claimed, connector, counts } = storing;
  const batches: Batch[] = [];
  const arrivals = new Map<string, Arrival>();
  const usualLatenessMs = connector.latenessHours * 3_600_000;
  for (const run of runs) {
    const { meter: n, metric } = storing.report.series[run.series]!;
    const source = storing.sources[n];
    if (source === null || source === undefined) continue;
    const kept = withinBounds(run, source);
    const [first, last] = [kept.starts[0], kept.starts.at(-1)];
    if (first === undefined || last === undefined) continue;
    batches.push(batchOf(storing, kept, source));
    const series = { sourceId: source.id, metric, granularity: run.granularity };
    const end = granuleEnd(run.granularity, source.meter.timezone, last);
    const other = arrivals.get(seriesKey(series));
    arrivals.set(seriesKey(series), {
      series,
      asked: Math.min(first, other?.asked ?? first),
      end: Math.max(end, other?.end ?? end),
      usualLatenessMs,
    });
  }
  if (batches.length === 0) return;
  await db.transaction(async (tx) => {
    await hold(tx, claimed);
    const stored = await ingestIn(tx, batches, clock.now());
    await advance(tx, [...arrivals.values()]);
    for (const each of stored) {
      for (const [name, count] of Object.entries(each)) counts[name] = (counts[name] ?? 0) + count;
    }
  });
}

/** Values of the time in which the meter is its holder's. */
function withinBounds(run: ValueRun, { from, to, meter }: CollectedSource): ValueRun {
  if (from === null && to === null) return run;
  const isTheirs = (start: number) =>
    start >= (from ?? Number.NEGATIVE_INFINITY) &&
    (to === null || granuleEnd(run.granularity, meter.timezone, start) <= to);
  const kept = Uint32Array.from(run.starts.keys()).filter((i) => isTheirs(run.starts[i]!));
  return {
    ...run,
    starts: Float64Array.from(kept, (i) => run.starts[i]!),
    values: Float64Array.from(kept, (i) => run.values[i]!),
    qualities: Uint8Array.from(kept, (i) => run.qualities[i]!),
  };
}

function batchOf({ claimed, file, known, report }: Storing, run: ValueRun, source: CollectedSource): Batch {
  const { starts, values, qualities, granularity } = run;
  const { id, part, timezone } = source.meter;
  return {
    document: {
      source: `${claimed.provider}/${claimed.id}/${file.place}`
        .toWellFormed()
        .replaceAll("\0", "")
        .slice(0, 500),
      version: run.version ?? known.received,
      rank: source.rank,
    },
    runs: [
      {
        meter: { id, part, timezone },
        metric: report.series[run.series]!.metric,
        granularity,
        starts,
        values,
        quality: qualities,
      },
    ],
  };
}

async function finish({ db, clock }: Pick<Deps, "db" | "clock">, storing: Storing): Promise<FileRead> {
  const { claimed, known, report, sources, keys, cursors, counts } = storing;
  const now = clock.now();
  const leftOut = keys.filter((_, n) => sources[n] === null);
  const formats = [...new Set(report.files.flatMap(({ format }) => format ?? []))];
  await db.transaction(async (tx) => {
    await hold(tx, claimed);
    await learnLateness(tx, cursors, now);
    await endFile(tx, known.id, {
      status: "stored",
      formats,
      counts,
      problems: report.problems,
      leftOut,
      now,
    });
    await resolveFileIssues(tx, [known.id], now);
  });
  return { fate: "stored", counts };
}
