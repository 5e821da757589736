import { z } from "zod";
import { accountById, managerOf } from "../accounts/accounts.ts";
import { ownMeter } from "../meters/meters.ts";
import type { Queryable, Tx } from "../platform/db.ts";
import { type Caller, type Endpoint, endpoint, Message, Page } from "../platform/http/endpoint.ts";
import { readPaging } from "../platform/http/filter.ts";
import { formatTimestamp, id, timestampText } from "../platform/http/schema.ts";
import { invalid, Problem } from "../platform/problem.ts";
import { beginCalculation } from "./begin.ts";
import {
  type CalculatedMetric,
  type MetricFields,
  metricOf,
  metricsOfMeters,
  removeMetric,
  saveMetric,
} from "./calculated-metric.ts";
import { decimalText, modelKeys, paramName } from "./component.ts";
import { daysText, readDays } from "./days.ts";
import { follow, markDue, monthsOf } from "./due.ts";
import { sendCalculation } from "./jobs.ts";
import { checkParams, holdModel, type PriceModel } from "./model.ts";

const metricView = z.object({
  _id: z.string(),
  metric_model: z.string().describe("Id of the price model"),
  key: z.enum(modelKeys),
  period: z.string(),
  params: z.record(z.string(), z.number()),
  currency: z.string().nullable().describe("Null: that of the price model"),
  created: timestampText(),
  updated: timestampText(),
});

const view = (metric: CalculatedMetric): z.output<typeof metricView> => ({
  _id: metric.id,
  metric_model: metric.model_id,
  key: metric.key,
  period: daysText({ from: metric.from_day, to: metric.to_day }),
  params: Object.fromEntries(Object.entries(metric.params).map(([name, text]) => [name, Number(text)])),
  currency: metric.currency,
  created: formatTimestamp(metric.created),
  updated: formatTimestamp(metric.updated),
});

const metricBody = z.object({
  metric_model: id().meta({ description: "Id of a price model." }),
  period: z
    .string()
    .max(20)
    .meta({ description: "`YYYYMMDD-[YYYYMMDD]`, days in the zone of the meter, the last included." }),
  params: z
    .record(paramName, decimalText)
    .default({})
    .meta({ description: "What the price model asks for." }),
  currency: z
    .string()
    .regex(/^[A-Z]{3}$/, "must be three letters such as SEK")
    .nullable()
    .optional()
    .meta({ description: "For built-in price models; that of the holder's account when absent." }),
});

/** What is set of a root meter: its own facts, and who may set it. */
interface Target {
  rootId: string;
  part: number;
  timezone: string;
  type: PriceModel["applicable_types"][number];
  rootHolderId: string;
}

/**
 * The root meter behind an id of the caller's own reference. Its costs are facts of the root meter that every copy
 * shows, so only the holder of the root, or the account that manages it, reads and writes what they follow from.
 */
async function target(db: Queryable, who: Caller, meterId: string): Promise<Target> {
  const meter = await ownMeter(db, who.accountId, meterId);
  const { root_holder_id: holder } = meter;
  if (holder !== who.accountId && (await managerOf(db, holder)) !== who.accountId)
    throw new Problem(
      "forbidden",
      "Costs of a meter are calculated for the holder of its root meter; ask them, or calculate without storing: POST /price_models/{id}/calculate",
    );
  const { root_id: rootId, part, timezone, type } = meter;
  return { rootId, part, timezone, type, rootHolderId: holder };
}

/** Checks what a caller sends against the model, which the transaction holds from here on. */
async function fieldsOf(
  tx: Tx,
  who: Caller,
  {
    meter,
    sent,
  }: { meter: Target; sent: Omit<z.output<typeof metricBody>, "currency"> & { currency: string | null } },
): Promise<MetricFields> {
  const model = await holdModel(tx, who.accountId, { id: sent.metric_model });
  if (!model.applicable_types.includes(meter.type))
    throw invalid(
      "metric_model",
      `is for ${model.applicable_types.join(", ")}, this meter is of type ${meter.type}; choose another price model`,
    );
  checkParams(model, sent.params);
  if (model.currency !== null && sent.currency !== null && sent.currency !== model.currency)
    throw invalid("currency", `the price model is in ${model.currency}; leave it out`);
  const days = readDays("period", sent.period);
  const currency =
    model.currency === null ? (sent.currency ?? (await accountById(tx, meter.rootHolderId)).currency) : null;
  return {
    account_id: who.accountId,
    model_id: model.id,
    key: model.key,
    currency,
    from_day: days.from,
    to_day: days.to,
    params: sent.params,
  };
}

const onMeter = z.object({ id: id() });
const oneMetric = z.object({ id: id(), calculated_metric_id: id() });
const ids = { id: "meter", calculated_metric_id: "calculated_metric" } as const;

const list = endpoint({
  method: "GET",
  path: "/meters/:id/calculated_metrics",
  access: "basic",
  summary: "How the costs of a meter are calculated, in the order of time",
  ids: { id: "meter" },
  params: onMeter,
  reply: z.array(metricView),
  list: true,
  async handle({ who, params, search }, { db, settings }) {
    const { rootId } = await target(db, who, params.id);
    const metrics = await metricsOfMeters(db, [rootId]);
    const { skip, limit } = readPaging(search, settings.pageMax);
    return new Page(metrics.slice(skip, skip + limit).map(view), { count: metrics.length, skip, limit });
  },
});

const read = endpoint({
  method: "GET",
  path: "/meters/:id/calculated_metrics/:calculated_metric_id",
  access: "basic",
  summary: "How the costs of a meter are calculated for some time",
  ids,
  params: oneMetric,
  reply: metricView,
  async handle({ who, params }, { db }) {
    const { rootId } = await target(db, who, params.id);
    return view(await metricOf(db, rootId, params.calculated_metric_id));
  },
});

const create = endpoint({
  method: "POST",
  path: "/meters/:id/calculated_metrics",
  access: "write_meters",
  summary: "Calculates the costs of a meter with a price model from now on, and for the past",
  description:
    "Costs appear in `/costs` per month, as soon as the month has ended and its consumption is known. Delivered costs and those of invoices go before calculated ones. Periods of one kind of contract must not overlap.",
  ids: { id: "meter", metric_model: "price_model" },
  params: onMeter,
  body: metricBody,
  reply: metricView,
  async handle({ who, params, body }, { db, clock, jobs }) {
    return db.transaction(async (tx) => {
      const now = clock.now();
      const meter = await target(tx, who, params.id);
      const sent = { ...body, currency: body.currency ?? null };
      const fields = await fieldsOf(tx, who, { meter, sent });
      const made = await beginCalculation(tx, jobs, { meter, fields, now });
      return view(await metricOf(tx, meter.rootId, made));
    });
  },
});

const change = endpoint({
  method: "PUT",
  path: "/meters/:id/calculated_metrics/:calculated_metric_id",
  access: "write_meters",
  summary: "Changes how costs are calculated; what the body leaves out stays. Costs of the past follow",
  ids: { ...ids, metric_model: "price_model" },
  params: oneMetric,
  body: metricBody.extend({ params: metricBody.shape.params.unwrap() }).partial(),
  reply: metricView,
  async handle({ who, params, body }, { db, clock, jobs }) {
    return db.transaction(async (tx) => {
      const now = clock.now();
      const meter = await target(tx, who, params.id);
      // The model is held before the meter, as everywhere: so the metric is read again when both are held.
      const seen = await metricOf(tx, meter.rootId, params.calculated_metric_id);
      const sent = {
        metric_model: body.metric_model ?? seen.model_id,
        period: body.period ?? daysText({ from: seen.from_day, to: seen.to_day }),
        params: body.params ?? seen.params,
        currency: body.currency === undefined ? seen.currency : body.currency,
      };
      const fields = await fieldsOf(tx, who, { meter, sent });
      await follow(tx, meter, now);
      const before = await metricOf(tx, meter.rootId, seen.id);
      await saveMetric(tx, meter.rootId, { id: before.id, fields, now });
      const due = [monthsOf(before, now), monthsOf(fields, now)];
      await markDue(
        tx,
        due.map((months) => ({ meterId: meter.rootId, ...months })),
      );
      await sendCalculation(tx, jobs);
      return view(await metricOf(tx, meter.rootId, before.id));
    });
  },
});

const remove = endpoint({
  method: "DELETE",
  path: "/meters/:id/calculated_metrics/:calculated_metric_id",
  access: "write_meters",
  summary: "Ends a calculation; the costs that follow from it are taken back",
  ids,
  params: oneMetric,
  reply: z.undefined(),
  async handle({ who, params }, { db, clock, jobs }) {
    await db.transaction(async (tx) => {
      const now = clock.now();
      const meter = await target(tx, who, params.id);
      await follow(tx, meter, now);
      const metric = await metricOf(tx, meter.rootId, params.calculated_metric_id);
      await removeMetric(tx, metric.id);
      await markDue(tx, [{ meterId: meter.rootId, ...monthsOf(metric, now) }]);
      await sendCalculation(tx, jobs);
    });
    return new Message("Deleted calculated metric.");
  },
});

/** Endpoints of calculated metrics. */
export const metricEndpoints: Endpoint[] = [list, read, create, change, remove];
