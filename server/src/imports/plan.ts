import { createHash } from "node:crypto";
import { createMeters, type MadeMeter, type NewMeter } from "../meters/meters.ts";
import { type Db, sql, type Tx } from "../platform/db.ts";
import type { Import, Summary } from "./import.ts";
import type { KnownMeter, Report } from "./messages.ts";
import type { PlannedMeter } from "./meter-book.ts";
import type { FileProblem } from "./problem-book.ts";

/** Rows in one statement. */
const rowsAtOnce = 2_000;

/** Thrown to take everything back that a transaction did. */
class TakenBack extends Error {}

/**
 * What is stored of the metering points, and which would be made. They are made and the transaction is taken back:
 * what makes two metering points the same one is known in one place, and a dry run tells what really would happen.
 */
export async function lookUp(
  db: Db,
  about: { import: Import; now: number },
  meters: readonly PlannedMeter[],
): Promise<KnownMeter[]> {
  let known: KnownMeter[] = [];
  try {
    await db.transaction(async (tx) => {
      const made = await make(tx, about, meters);
      known = made.map(({ timezone, created, type }) => ({ timezone, isNew: created, type }));
      throw new TakenBack();
    });
  } catch (error) {
    if (!(error instanceof TakenBack)) throw error;
  }
  return known;
}

async function make(
  tx: Tx,
  { import: { account_id, created_by, options }, now }: { import: Import; now: number },
  meters: readonly PlannedMeter[],
): Promise<MadeMeter[]> {
  const specs = meters.map(
    (meter): NewMeter => ({
      type: meter.type,
      ean: meter.ean,
      channel: meter.channel,
      representation: meter.representation,
      name: meter.name,
      address: meter.address,
      timezone: meter.timezone,
      metrics: [],
      expectedGranularity: meter.granularity,
      box: options.active ? "active" : "inbox",
    }),
  );
  return createMeters(tx, { holderId: account_id, now, actorId: created_by }, specs);
}

/** What the files hold, in numbers. */
export function summaryOf(report: Report, metersCreated: number): Summary {
  const formats = new Set(report.files.map(({ format }) => format).filter((format) => format !== null));
  const { values, missing, duplicates, readings } = report;
  return {
    formats: [...formats],
    meters: report.meters.length,
    meters_created: metersCreated,
    series: report.series.length,
    values,
    missing,
    duplicates,
    readings,
    digest: digestOf(report),
  };
}

/** Of everything that the batches follow from. */
function digestOf({ meters, series }: Report): string {
  const hash = createHash("sha256");
  for (const { meter, metric, granularity, values, first, last } of series) {
    const { ean, channel, representation } = meters[meter]!;
    hash.update(JSON.stringify([ean, channel, representation, metric, granularity, values, first, last]));
  }
  return hash.digest("hex");
}

/** Makes the meters, and writes down with them which they are and what will be stored: an undo knows them. */
export async function beginStoring(
  tx: Tx,
  about: { import: Import; now: number },
  report: Report,
): Promise<void> {
  const { id } = about.import;
  const made = await make(tx, about, report.meters);
  const created = made.filter((meter) => meter.created).length;
  await writeMeters(tx, id, { made, planned: report.meters });
  await writeSeries(tx, id, report, made);
  await writeProblems(tx, id, report);
  await tx.run(sql`
    update import set batches = 0, summary = ${JSON.stringify(summaryOf(report, created))}::jsonb where id = ${id}`);
}

async function writeMeters(
  tx: Tx,
  importId: string,
  { made, planned }: { made: readonly MadeMeter[]; planned: readonly PlannedMeter[] },
): Promise<void> {
  // A second attempt that reads the files differently keeps what is known of meters that the first one made.
  const before = new Set(
    (
      await tx.rows<{ id: string }>(
        sql`select meter_id as id from import_meter where import_id = ${importId} and created`,
      )
    ).map(({ id }) => id),
  );
  await tx.run(sql`delete from import_meter where import_id = ${importId}`);
  const rows = made.map(({ id, part, created }, n) => {
    const { name, address } = planned[n]!;
    return { n, id, part, created: created || before.has(id), name, address };
  });
  for (let from = 0; from < rows.length; from += rowsAtOnce) {
    await tx.run(sql`
      insert into import_meter (import_id, n, meter_id, part, created, name, address)
      select ${importId}, row.n, row.id, row.part, row.created, row.name, row.address
      from jsonb_to_recordset(${JSON.stringify(rows.slice(from, from + rowsAtOnce), storable)}::jsonb)
        as row (n int, id text, part int, created boolean, name text, address text)`);
  }
}

/** Writes down the series; `meters` are the stored ones, in the order of the report, or whether they would be made. */
export async function writeSeries(
  tx: Tx,
  importId: string,
  report: Report,
  meters: readonly { id: string | null; created: boolean }[],
): Promise<void> {
  await tx.run(sql`delete from import_series where import_id = ${importId}`);
  const rows = report.series.map(({ meter, metric, granularity, values, first, last }, n) => {
    const { ean, channel, representation } = report.meters[meter]!;
    const { id, created } = meters[meter]!;
    const iso = (instant: number | null) => (instant === null ? null : new Date(instant).toISOString());
    return {
      n,
      id,
      created,
      ean,
      channel,
      representation,
      metric,
      granularity,
      values,
      first: iso(first),
      last: iso(last),
    };
  });
  for (let from = 0; from < rows.length; from += rowsAtOnce) {
    await tx.run(sql`
      insert into import_series (import_id, n, meter_id, meter_created, ean, channel, representation, metric,
        granularity, values, first, last)
      select ${importId}, row.n, row.id, row.created, row.ean, row.channel, row.representation, row.metric,
        row.granularity, row.values, row.first, row.last
      from jsonb_to_recordset(${JSON.stringify(rows.slice(from, from + rowsAtOnce))}::jsonb)
        as row (n int, id text, created boolean, ean text, channel text, representation text, metric text,
                granularity text, values bigint, first timestamptz, last timestamptz)`);
  }
}

/** Text as the database keeps it: without NUL and half characters. */
function storable(_name: string, value: unknown): unknown {
  return typeof value === "string" ? value.toWellFormed().replaceAll("\0", "") : value;
}

/** Writes down the problems of the files, in place of earlier ones. */
export async function writeProblems(
  tx: Tx,
  importId: string,
  { problems, counts }: { problems: readonly FileProblem[]; counts: Report["counts"] },
): Promise<void> {
  await tx.run(sql`delete from import_problem where import_id = ${importId}`);
  const rows = problems.map((problem, n) => ({ n, ...problem, message: problem.message.slice(0, 2_000) }));
  await tx.run(sql`
    insert into import_problem (import_id, n, severity, file, line, field, message)
    select ${importId}, row.n, row.severity, row.file, row.line, row.field, row.message
    from jsonb_to_recordset(${JSON.stringify(rows, storable)}::jsonb)
      as row (n int, severity text, file text, line bigint, field text, message text)`);
  await tx.run(sql`update import set problems = ${JSON.stringify(counts)}::jsonb where id = ${importId}`);
}
