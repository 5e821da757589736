import { z } from "zod";
import { type AccountRef, accountRefs, accountRefView } from "../accounts/accounts.ts";
import { type Queryable, sql } from "../platform/db.ts";
import { granularities } from "../platform/granularity.ts";
import { formatTimestamp, timestampText } from "../platform/http/schema.ts";
import { type Import, statuses } from "./import.ts";

const counts = z.object({ error: z.int(), warning: z.int(), info: z.int() });

/** A problem of a file, as answers show it. */
export const problemView = z.object({
  severity: z.enum(["error", "warning", "info"]),
  file: z.string().nullable().meta({ description: "Null when it concerns the whole import." }),
  line: z.int().nullable().meta({ description: "From 1, in the unpacked file." }),
  field: z.string().nullable(),
  message: z.string(),
});

/** A series of an import, as answers show it. */
export const seriesView = z.object({
  meter_id: z.string().nullable().meta({ description: "Null when nothing was stored." }),
  meter_created: z.boolean().meta({ description: "The import made the meter, or would make it." }),
  ean: z.string(),
  channel: z.string(),
  representation: z.string().nullable(),
  metric: z.string(),
  granularity: z.enum(granularities),
  values: z.int().meta({ description: "Values in the files, each start once, without missing ones." }),
  first: timestampText().nullable().meta({ description: "Start of the first value." }),
  last: timestampText().nullable().meta({ description: "Start of the last value." }),
  added: z.int(),
  replaced: z.int(),
  unchanged: z.int(),
  older: z.int().meta({ description: "Values that lost against a newer document." }),
});

const result = z.object({
  meters: z.int(),
  meters_created: z.int().meta({ description: "In a dry run: meters that would be made." }),
  series: z.int(),
  values: z.int().meta({ description: "Values in the files as printed, missing ones too." }),
  missing: z.int(),
  duplicates: z
    .int()
    .meta({ description: "Rows that said again what another row says, or what a newer one corrects." }),
  readings: z.int().meta({ description: "States of registers; they are not stored." }),
  added: z.int(),
  replaced: z.int(),
  unchanged: z.int(),
  older: z.int(),
});

/** An import, as lists show it. */
export const importView = z.object({
  _id: z.string(),
  account: accountRefView.nullable(),
  created: timestampText(),
  started: timestampText().nullable(),
  finished: timestampText().nullable(),
  status: z.enum(statuses),
  dry_run: z.boolean(),
  source: z.string(),
  files: z.array(z.object({ name: z.string(), bytes: z.int(), sha256: z.string() })),
  same_content_as: z
    .string()
    .nullable()
    .meta({ description: "An earlier import of the account with the same files." }),
  options: z.object({
    timezone: z.string().nullable(),
    unit: z.string().nullable(),
    meter: z.string().nullable(),
    format: z.string().nullable(),
    mapping: z.unknown(),
    mapping_name: z.string().nullable(),
    active: z.boolean(),
  }),
  format: z.string().nullable().meta({ description: "Null until it is known; several with commas." }),
  progress: z.object({
    phase: z.enum(statuses),
    bytes: z.int(),
    bytes_total: z.int(),
    values: z.int().meta({ description: "Values read; while and after storing: values stored." }),
  }),
  problems: counts,
  result: result.nullable().meta({ description: "Null until the files are read." }),
  undone: z
    .object({
      removed: z.int().meta({ description: "Values that were taken away." }),
      restored: z.int().meta({ description: "Values that are again what they had been before." }),
      meters_removed: z.int(),
      meters_kept: z.int().meta({ description: "Meters that the import had made and that stay." }),
    })
    .nullable(),
});

/** Series and problems that a single import shows; the rest has pages of its own. */
export const shownMax = 100;

/** One import. */
export const wholeImportView = importView.extend({
  series: z.array(seriesView).meta({ description: `The first ${shownMax}; see \`/imports/{id}/series\`.` }),
  first_problems: z
    .array(problemView)
    .meta({ description: `The first ${shownMax}; see \`/imports/{id}/problems\`.` }),
});

interface More {
  id: string;
  same_content_as: string | null;
  added: number;
  replaced: number;
  unchanged: number;
  older: number;
}

/** Imports as answers show them, in order. */
export async function showImports(
  db: Queryable,
  imports: readonly Import[],
): Promise<z.output<typeof importView>[]> {
  const ids = imports.map(({ id }) => id);
  const more = await db.rows<More>(sql`
    select i.id, (select o.id from import o where o.account_id = i.account_id and o.content_hash = i.content_hash
                  and o.status = 'completed' and not o.dry_run and (o.created, o.id) < (i.created, i.id)
                  order by o.created desc, o.id desc limit 1) as same_content_as,
      coalesce(sum(s.added), 0)::int8 as added, coalesce(sum(s.replaced), 0)::int8 as replaced,
      coalesce(sum(s.unchanged), 0)::int8 as unchanged, coalesce(sum(s.older), 0)::int8 as older
    from import i left join import_series s on s.import_id = i.id where i.id = any(${ids}::text[]) group by i.id`);
  const byId = new Map(more.map((row) => [row.id, row]));
  const accounts = await accountRefs(
    db,
    imports.map((each) => each.account_id),
  );
  return imports.map((each) => view(each, byId.get(each.id)!, accounts.get(each.account_id) ?? null));
}

const instant = (at: number | null) => (at === null ? null : formatTimestamp(at));
const unread = new Set(["waiting", "reading"]);

function view(each: Import, more: More, account: AccountRef | null): z.output<typeof importView> {
  const { options, progress, summary, undone } = each;
  return {
    _id: each.id,
    account,
    created: formatTimestamp(each.created),
    started: instant(each.started),
    finished: instant(each.finished),
    status: each.status,
    dry_run: each.dry_run,
    source: each.source,
    files: each.files,
    same_content_as: more.same_content_as,
    options: {
      timezone: options.timezone ?? null,
      unit: options.unit ?? null,
      meter: options.meter ?? null,
      format: options.format ?? null,
      mapping: options.mapping ?? null,
      mapping_name: options.mapping_name ?? null,
      active: options.active,
    },
    format: summary === null || summary.formats.length === 0 ? null : summary.formats.join(","),
    progress: {
      phase: progress.phase,
      bytes: unread.has(each.status) ? progress.bytes : each.bytes,
      bytes_total: each.bytes,
      values: progress.values,
    },
    problems: each.problems,
    result: summary === null ? null : resultOf(summary, more),
    undone,
  };
}

function resultOf(summary: NonNullable<Import["summary"]>, more: More): z.output<typeof result> {
  const { meters, meters_created, series, values, missing, duplicates, readings } = summary;
  const { added, replaced, unchanged, older } = more;
  return {
    meters,
    meters_created,
    series,
    values,
    missing,
    duplicates,
    readings,
    added,
    replaced,
    unchanged,
    older,
  };
}

/** A page of the series of an import. */
export async function seriesOf(
  db: Queryable,
  importId: string,
  { skip, limit }: { skip: number; limit: number },
): Promise<z.output<typeof seriesView>[]> {
  const rows = await db.rows<
    z.output<typeof seriesView> & { firstAt: number | null; lastAt: number | null }
  >(sql`
    select meter_id, meter_created, ean, channel, representation, metric, granularity, values, added, replaced,
      unchanged, older, (extract(epoch from first) * 1000)::float8 as "firstAt",
      (extract(epoch from last) * 1000)::float8 as "lastAt"
    from import_series where import_id = ${importId} order by n offset ${skip} limit ${limit}`);
  return rows.map(({ firstAt, lastAt, ...row }) => ({
    ...row,
    first: instant(firstAt),
    last: instant(lastAt),
  }));
}

/** A page of the problems of an import. */
export async function problemsOf(
  db: Queryable,
  importId: string,
  { skip, limit }: { skip: number; limit: number },
): Promise<z.output<typeof problemView>[]> {
  return db.rows(sql`
    select severity, file, line, field, message from import_problem where import_id = ${importId}
    order by array_position(array['error', 'warning', 'info'], severity), n offset ${skip} limit ${limit}`);
}
