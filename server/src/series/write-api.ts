import { z } from "zod";
import { type ReadingMeter, resolveForReading } from "../meters/meters.ts";
import type { Deps } from "../platform/deps.ts";
import { granularities } from "../platform/granularity.ts";
import { type Caller, type Endpoint, endpoint, Message, Page } from "../platform/http/endpoint.ts";
import {
  formatTimestamp,
  id,
  timestamp as instant,
  integer,
  parseTimestamp,
} from "../platform/http/schema.ts";
import { type FieldErrors, notFound, Problem } from "../platform/problem.ts";
import { granuleLabel, granuleStarts } from "../platform/time/granule.ts";
import { latest } from "../platform/time/zone.ts";
import { type Batch, qualities, type Run } from "./batch.ts";
import { Deliveries } from "./deliver.ts";
import { revisionsOf } from "./history.ts";
import { recalculateStats } from "./recalculate.ts";

/** More errors than this help nobody. */
const errorsMax = 100;

/** Long lists are checked in one loop: a schema per value costs more than storing it. */
const valueList = z
  .custom<(number | null)[]>(Array.isArray, "must be a list of numbers and nulls")
  .superRefine((values, context) => {
    if (values.length === 0) context.addIssue({ code: "custom", message: "must hold at least one value" });
    const wrong = values.findIndex((value) => value !== null && typeof value !== "number");
    if (wrong < 0) return;
    context.addIssue({ code: "custom", path: [wrong], message: "must be a number or null" });
  })
  .meta({
    type: "array",
    items: { type: ["number", "null"] },
    minItems: 1,
    description: "In the unit of the metric. `null`: nothing is said.",
  });

const runSchema = z
  .object({
    meter: z.string().meta({ description: "Id of the meter; it must be held by the caller's account." }),
    metric: z.string().default("energy"),
    granularity: z.enum(granularities),
    start: z
      .string()
      .optional()
      .meta({ description: "Start of the first value; the others follow without gap." }),
    starts: z.array(z.string()).optional().meta({ description: "One start per value, instead of `start`." }),
    values: valueList,
    null_removes: z.boolean().default(false).meta({ description: "`null` removes what is stored." }),
    quality: z.enum(qualities).default("unknown"),
    currency: z.string().optional(),
  })
  .refine((run) => (run.start === undefined) !== (run.starts === undefined), {
    message: "give either start or starts",
    path: ["start"],
  });

const batchSchema = z.object({
  document: z
    .object({
      source: z.string().min(1).max(200).default("api"),
      version: instant()
        .optional()
        .meta({ description: "When the document was made; the newest document wins." }),
    })
    .prefault({}),
  runs: z.array(runSchema).min(1).max(10_000),
});

const storedReply = z.object({
  added: z.int(),
  replaced: z.int(),
  removed: z.int(),
  unchanged: z.int(),
  older: z.int(),
  derived: z.int(),
});

/** One queue of deliveries per database: small batches of the same part share transactions. */
const deliveries = new WeakMap<Deps["db"], Deliveries>();

function deliveriesOf(db: Deps["db"]): Deliveries {
  let found = deliveries.get(db);
  if (found === undefined) deliveries.set(db, (found = new Deliveries(db)));
  return found;
}

const postBatch = endpoint({
  method: "POST",
  path: "/batches",
  access: "write_meters",
  summary: "Stores values, all or none",
  description:
    "A batch is stored whole or refused whole, with the reason of each value in `errors`. The same batch twice changes nothing; an older document never overwrites a newer one; days and months that follow are computed in the same transaction.",
  ids: { meter: "meter" },
  body: batchSchema,
  bodyBytesMax: 64 * 1024 * 1024,
  reply: storedReply,
  async handle({ body, who }, deps) {
    const runs = await runsOf(body.runs, who, deps);
    const { source, version } = body.document;
    const document = { source, ...(version === undefined ? {} : { version }) };
    return deliveriesOf(deps.db).deliver({ document, runs } satisfies Batch, deps.clock.now());
  },
});

async function runsOf(asked: readonly z.output<typeof runSchema>[], who: Caller, deps: Deps): Promise<Run[]> {
  const ids = [...new Set(asked.map((run) => run.meter))];
  const resolved = await resolveForReading(deps.db, who, ids);
  const meters = new Map<string, ReadingMeter>();
  for (const [i, each] of resolved.entries()) {
    if (each.outcome === "not_found") throw notFound(`meter ${ids[i]}`);
    if (each.meter.id !== each.meter.rootId || each.meter.holderId !== who.accountId) {
      throw new Problem(
        "forbidden",
        `Meter ${ids[i]} is held by another account: only its holder may deliver values (a manager acts for it with X-Subaccount)`,
      );
    }
    meters.set(ids[i]!, each.meter);
  }
  const errors: FieldErrors = {};
  const runs = asked.map((run, i) => runOf(run, meters.get(run.meter)!, { name: `runs[${i}]`, errors }));
  const first = Object.entries(errors)[0];
  if (first !== undefined)
    throw new Problem("invalid", `Nothing was stored. ${first[0]}: ${first[1][0]}`, { errors });
  return runs;
}

function runOf(
  asked: z.output<typeof runSchema>,
  meter: ReadingMeter,
  at: { name: string; errors: FieldErrors },
): Run {
  const zone = meter.timezone;
  const all =
    asked.starts === undefined ? following(asked, zone, at) : startsOf(asked.starts, asked.values.length, at);
  const kept = [...asked.values.keys()].filter((i) => asked.values[i] !== null || asked.null_removes);
  return {
    meter: { id: meter.rootId, part: meter.part, timezone: zone },
    metric: asked.metric,
    granularity: asked.granularity,
    starts: kept.map((i) => all[i] ?? Number.NaN),
    values: kept.map((i) => asked.values[i] ?? Number.NaN),
    quality: asked.quality,
    where: (index) => `${at.name}.values[${kept[index]}]`,
    ...(asked.currency === undefined ? {} : { currency: asked.currency }),
  };
}

function startsOf(
  texts: readonly string[],
  count: number,
  { name, errors }: { name: string; errors: FieldErrors },
): number[] {
  if (texts.length !== count) errors[`${name}.starts`] = [`${texts.length} starts for ${count} values`];
  const starts: number[] = [];
  for (const [i, text] of texts.entries()) {
    const start = startOf(text, `${name}.starts[${i}]`, errors);
    if (Number.isNaN(start) && Object.keys(errors).length >= errorsMax) break;
    starts.push(start);
  }
  return starts;
}

function following(
  asked: z.output<typeof runSchema>,
  zone: string,
  at: { name: string; errors: FieldErrors },
): number[] {
  const { granularity, values } = asked;
  const from = startOf(asked.start!, `${at.name}.start`, at.errors);
  if (Number.isNaN(from)) return values.map(() => Number.NaN);
  // Long enough for that many granules, also where a change of the clock makes some longer.
  const longest = {
    month: 31,
    day: 1.1,
    hour: 1 / 23,
    "30min": 1 / 47,
    "15min": 1 / 95,
    "10min": 1 / 143,
    "5min": 1 / 287,
  };
  const to = from + Math.ceil((values.length + 2) * longest[granularity] * 86_400_000) + 86_400_000;
  const starts = granuleStarts(granularity, zone, { from: from + 1, to: Math.min(to, latest) });
  // A calendar day that the zone skipped begins with the next one.
  return [from, ...starts.filter((start, i) => start !== starts[i + 1])].slice(0, values.length);
}

function startOf(text: string, field: string, errors: FieldErrors): number {
  const start = parseTimestamp(text);
  if (start === undefined)
    errors[field] = [`"${text.slice(0, 40)}" is not an instant such as 2026-03-29T00:00:00+0100`];
  return start ?? Number.NaN;
}

const revisionReply = z.object({
  metric: z.string(),
  currency: z.string().nullable(),
  granularity: z.enum(granularities),
  period: z.string(),
  start_date: z.string(),
  old_value: z.number(),
  old_origin: z.string(),
  old_quality: z.string(),
  old_document: z.string(),
  value: z.number().nullable(),
  document: z.string(),
  replaced: z.string(),
});

const getRevisions = endpoint({
  method: "GET",
  path: "/meters/:id/revisions",
  access: "basic",
  summary: "Values of a meter that were replaced or removed, newest first",
  ids: { id: "meter" },
  params: z.object({ id: z.string() }),
  query: z.object({
    metric: z.string().optional(),
    granularity: z.enum(granularities).optional(),
    skip: integer({ min: 0 }).default(0),
    offset: integer({ min: 0 }).optional(),
    limit: integer({ min: 1 }).default(50),
  }),
  reply: z.array(revisionReply),
  list: true,
  async handle({ params, query, who }, deps) {
    const meter = await readableMeter(params.id, who, deps);
    const skip = query.offset ?? query.skip;
    const limit = Math.min(query.limit, deps.settings.pageMax);
    const { metric, granularity } = query;
    const { count, revisions } = await revisionsOf(deps.db, {
      part: meter.part,
      rootId: meter.rootId,
      timezone: meter.timezone,
      skip,
      limit,
      ...(metric === undefined ? {} : { metric }),
      ...(granularity === undefined ? {} : { granularity }),
    });
    const data = revisions.map((revision) => ({
      metric: revision.metric,
      currency: revision.currency === "" ? null : revision.currency,
      granularity: revision.granularity,
      period: granuleLabel(revision.granularity, meter.timezone, revision.start),
      start_date: formatTimestamp(revision.start),
      old_value: revision.old.value,
      old_origin: revision.old.origin,
      old_quality: revision.old.quality,
      old_document: revision.old.document,
      value: revision.value,
      document: revision.document,
      replaced: formatTimestamp(revision.replacedAt),
    }));
    return new Page(data, { count, skip, limit });
  },
});

async function readableMeter(askedId: string, who: Caller, deps: Deps): Promise<ReadingMeter> {
  const [found] = await resolveForReading(deps.db, who, [askedId]);
  if (found === undefined || found.outcome === "not_found") throw notFound(`meter ${askedId}`);
  if (found.outcome === "forbidden") throw new Problem("forbidden", found.reason);
  return found.meter;
}

const recalculate = endpoint({
  method: "PUT",
  path: "/meters/:id/stats_recalc",
  access: "write_meters",
  summary: "Computes the statistics of a meter again from its stored values",
  ids: { id: "meter" },
  params: z.object({ id: id() }),
  reply: z.unknown(),
  async handle({ params, who }, deps) {
    const meter = await readableMeter(params.id, who, deps);
    await recalculateStats(
      deps.db,
      { id: meter.rootId, part: meter.part, timezone: meter.timezone },
      deps.clock.now(),
    );
    return new Message("Recalculated statistics.");
  },
});

/** Endpoints that store values and show what became of them. */
export const writeEndpoints: Endpoint[] = [postBatch, getRevisions, recalculate];
