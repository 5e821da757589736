import { z } from "zod";
import { type AccountRef, accountRefs, accountRefView } from "../accounts/accounts.ts";
import { meterTypes } from "../meters/meters.ts";
import { type Queryable, sql } from "../platform/db.ts";
import { type Endpoint, endpoint, Message, Page } from "../platform/http/endpoint.ts";
import { fieldsOf, readList } from "../platform/http/filter.ts";
import { formatTimestamp, id, timestampText } from "../platform/http/schema.ts";
import { Problem } from "../platform/problem.ts";
import { lacksParams, usesOf } from "./calculated-metric.ts";
import { componentSchema, modelKeys, paramsOf, showComponents, shownComponent } from "./component.ts";
import { markModels } from "./due.ts";
import { sendCalculation } from "./jobs.ts";
import {
  holdModel,
  insertModel,
  type ModelFields,
  modelColumns,
  modelsOf,
  type PriceModel,
  updateModel,
  visibleModel,
} from "./model.ts";
import { checkModel } from "./model-check.ts";

const modelBody = z.object({
  name: z.string().trim().min(1).max(200),
  key: z.enum(modelKeys).meta({ description: "Kind of contract." }),
  currency: z
    .string()
    .regex(/^[A-Z]{3}$/, "must be three letters such as SEK")
    .meta({ description: "ISO 4217 code of all its prices." }),
  timezone: z
    .string()
    .max(64)
    .nullable()
    .default(null)
    .meta({ description: "Zone of windows and holidays; null: the zone of the meter." }),
  applicable_types: z
    .array(z.enum(meterTypes))
    .min(1)
    .max(20)
    .meta({ description: "Types of meters that it is for." }),
  period: z
    .string()
    .max(20)
    .nullable()
    .default(null)
    .meta({ description: "Days that it has prices for, `YYYYMMDD-[YYYYMMDD]`; null: all." }),
  holidays: z
    .array(z.string().max(8))
    .max(1000)
    .default([])
    .meta({ description: "YYYYMMDD; these days are `holiday` and no weekday." }),
  components: z.array(componentSchema).min(1).max(50),
});

const modelView = z.object({
  _id: z.string(),
  name: z.string(),
  holder: accountRefView.nullable().describe("Null: built in, for every account"),
  group: z.literal("cost"),
  key: z.enum(modelKeys),
  currency: z.string().nullable().describe("Null: each use names its own"),
  timezone: z.string().nullable(),
  applicable_types: z.array(z.enum(meterTypes)),
  period: z.string().nullable(),
  holidays: z.array(z.string()),
  components: z.array(shownComponent),
  params: z.array(z.object({ name: z.string(), unit: z.string() })).describe("What each use must give"),
  created: timestampText(),
  updated: timestampText(),
});

function view(model: PriceModel, holders: ReadonlyMap<string, AccountRef>): z.output<typeof modelView> {
  return {
    _id: model.id,
    name: model.name,
    holder: model.account_id === null ? null : (holders.get(model.account_id) ?? null),
    group: "cost",
    key: model.key,
    currency: model.currency,
    timezone: model.timezone,
    applicable_types: model.applicable_types,
    period: model.period,
    holidays: model.holidays,
    components: showComponents(model.components),
    params: [...paramsOf(model.components)].map(([name, unit]) => ({ name, unit })),
    created: formatTimestamp(model.created),
    updated: formatTimestamp(model.updated),
  };
}

async function shown(db: Queryable, models: readonly PriceModel[]): Promise<z.output<typeof modelView>[]> {
  const holders = await accountRefs(
    db,
    models.flatMap((model) => model.account_id ?? []),
  );
  return models.map((model) => view(model, holders));
}

async function shownOne(db: Queryable, accountId: string, modelId: string) {
  return (await shown(db, [await visibleModel(db, accountId, modelId)]))[0]!;
}

const fields = fieldsOf({
  _id: { kind: "id", column: sql`p.id` },
  name: { kind: "text-contains", column: sql`p.search`, sort: sql`p.name` },
  holder: { kind: "id", column: sql`p.account_id` },
  "holder._id": { kind: "id", column: sql`p.account_id` },
  group: { kind: "enum", column: sql`'cost'`, sort: false },
  key: { kind: "enum", column: sql`p.key`, values: modelKeys },
  currency: { kind: "text-exact", column: sql`p.currency` },
  applicable_types: { kind: "any-of", column: sql`p.applicable_types`, values: meterTypes },
  created: { kind: "timestamp", column: sql`p.created` },
  updated: { kind: "timestamp", column: sql`p.updated` },
});

/** `/metric_models` is what the contract calls the price models; both answer the same. */
function readEndpoints(resource: "/price_models" | "/metric_models"): Endpoint[] {
  const list = endpoint({
    method: "GET",
    path: resource,
    access: "basic",
    summary: "Price models of the account, and the built-in ones",
    description:
      "`holder=null` keeps the built-in ones, `applicable_types=electricity` those for such meters.",
    filters: () => true,
    reply: z.array(modelView),
    list: true,
    async handle({ who, search, ignored }, { db, settings }) {
      const { where, orderBy, skip, limit } = readList(search, {
        fields,
        ignored,
        pageMax: settings.pageMax,
      });
      const of = sql`${modelsOf(who.accountId)} where true${where}`;
      const { count } = await db.one<{ count: number }>(sql`select count(*) as count ${of}`);
      const rows = await db.rows<PriceModel>(
        sql`select ${modelColumns} ${of} order by ${orderBy} offset ${skip} limit ${limit}`,
      );
      return new Page(await shown(db, rows), { count, skip, limit });
    },
  });
  const read = endpoint({
    method: "GET",
    path: `${resource}/:id`,
    access: "basic",
    summary: "One price model",
    ids: { id: "price_model" },
    params: z.object({ id: id() }),
    reply: modelView,
    handle: ({ who, params }, { db }) => shownOne(db, who.accountId, params.id),
  });
  return [list, read];
}

const create = endpoint({
  method: "POST",
  path: "/price_models",
  access: "write_meters",
  summary: "Creates a price model",
  description: "`docs/price-models.md` describes each kind of component, with examples.",
  ids: { series: "price_series" },
  body: modelBody,
  reply: modelView,
  async handle({ who, body }, { db, clock }) {
    const modelId = await db.transaction(async (tx) => {
      await checkModel(tx, who.accountId, body);
      return insertModel(tx, who.accountId, { fields: body, now: clock.now() });
    });
    return shownOne(db, who.accountId, modelId);
  },
});

const change = endpoint({
  method: "PUT",
  path: "/price_models/:id",
  access: "write_meters",
  summary: "Changes a price model; what the body leaves out stays",
  description: "Costs that are calculated with it follow, also those of the past.",
  ids: { id: "price_model", series: "price_series" },
  params: z.object({ id: id() }),
  body: withoutDefaults(modelBody),
  reply: modelView,
  async handle({ who, params, body }, { db, clock, jobs }) {
    await db.transaction(async (tx) => {
      const now = clock.now();
      const model = await holdModel(tx, who.accountId, { id: params.id, toChange: true });
      // Its own models have a currency.
      const before = { ...model, currency: model.currency! };
      const after: ModelFields = { ...before, ...body };
      await checkModel(tx, who.accountId, after);
      await refuseForUses(tx, model, after);
      await updateModel(tx, model.id, { fields: after, now });
      await markModels(tx, [model.id], { now });
      await sendCalculation(tx, jobs);
    });
    return shownOne(db, who.accountId, params.id);
  },
});

/** All members may be left out, and then stay as they are: no default takes their place. */
function withoutDefaults(body: typeof modelBody) {
  const { timezone, period, holidays } = body.shape;
  return body
    .extend({ timezone: timezone.unwrap(), period: period.unwrap(), holidays: holidays.unwrap() })
    .partial();
}

/** What would leave its uses without a meaning is refused. */
async function refuseForUses(db: Queryable, before: PriceModel, after: ModelFields): Promise<void> {
  if (after.key !== before.key && (await usesOf(db, before.id)) > 0) {
    const message = "cannot change while calculated metrics use the model; create another model";
    throw new Problem("conflict", `key: ${message}`, { errors: { key: [message] } });
  }
  const names = [...paramsOf(after.components).keys()];
  if (names.length > 0 && (await lacksParams(db, before.id, names))) {
    const message = `a calculated metric that uses the model does not give all of its parameters ${names.join(", ")}; give the price here, or create another model`;
    throw new Problem("conflict", `components: ${message}`, { errors: { components: [message] } });
  }
}

const remove = endpoint({
  method: "DELETE",
  path: "/price_models/:id",
  access: "write_meters",
  summary: "Deletes a price model that no calculated metric uses",
  ids: { id: "price_model" },
  params: z.object({ id: id() }),
  reply: z.undefined(),
  async handle({ who, params }, { db }) {
    await db.transaction(async (tx) => {
      const model = await holdModel(tx, who.accountId, { id: params.id, toChange: true });
      const uses = await usesOf(tx, model.id);
      if (uses > 0)
        throw new Problem(
          "conflict",
          `${uses} calculated metrics use this price model; delete them or give them another one first`,
        );
      await tx.run(sql`delete from price_model where id = ${model.id}`);
    });
    return new Message("Deleted price model.");
  },
});

/** Endpoints of price models. */
export const modelEndpoints: Endpoint[] = [
  ...readEndpoints("/price_models"),
  ...readEndpoints("/metric_models"),
  create,
  change,
  remove,
];
