import { any, type Queryable, sql, type Tx } from "../platform/db.ts";
import { newId } from "../platform/id.ts";
import { notFound, Problem } from "../platform/problem.ts";
import type { Contract } from "./calculate.ts";
import { bind, type ModelKey } from "./component.ts";
import { type Days, daysText } from "./days.ts";
import type { PriceModel } from "./model.ts";

/** A root meter whose costs are calculated by a model for some days. */
export interface CalculatedMetric {
  id: string;
  /** The root meter. */
  meter_id: string;
  account_id: string;
  model_id: string;
  key: ModelKey;
  /** Of a model that has none. */
  currency: string | null;
  from_day: number;
  to_day: number | null;
  params: Record<string, string>;
  /** Epoch milliseconds. */
  created: number;
  updated: number;
}

/** The columns of `CalculatedMetric`, of its table under the name `c`. */
export const metricColumns = sql`c.id, c.meter_id, c.account_id, c.model_id, c.key, c.currency, c.from_day, c.to_day,
  c.params, (extract(epoch from c.created) * 1000)::float8 as created,
  (extract(epoch from c.updated) * 1000)::float8 as updated`;

/** One of a root meter, or the 404 of the contract. */
export async function metricOf(db: Queryable, rootId: string, id: string): Promise<CalculatedMetric> {
  const found = await db.maybe<CalculatedMetric>(
    sql`select ${metricColumns} from calculated_metric c where c.id = ${id} and c.meter_id = ${rootId}`,
  );
  if (found === undefined) throw notFound(`calculated metric ${id} of meter ${rootId}`);
  return found;
}

/** All of some root meters, in the order of time. */
export async function metricsOfMeters(
  db: Queryable,
  rootIds: readonly string[],
): Promise<CalculatedMetric[]> {
  return db.rows(sql`
    select ${metricColumns} from calculated_metric c where c.meter_id = ${any(rootIds)} order by c.from_day, c.id`);
}

/** Is a model in use? */
export async function usesOf(db: Queryable, modelId: string): Promise<number> {
  const row = await db.one<{ count: number }>(
    sql`select count(*) as count from calculated_metric where model_id = ${modelId}`,
  );
  return row.count;
}

/** Is there a use of a model that lacks one of these parameters? */
export async function lacksParams(
  db: Queryable,
  modelId: string,
  names: readonly string[],
): Promise<boolean> {
  const found = await db.rows(
    sql`select id from calculated_metric where model_id = ${modelId} and not params ?& ${names}::text[] limit 1`,
  );
  return found.length > 0;
}

/** What a caller writes of a calculated metric, resolved. */
export type MetricFields = Pick<
  CalculatedMetric,
  "account_id" | "model_id" | "key" | "currency" | "from_day" | "to_day" | "params"
>;

/**
 * Stores a calculated metric of a root meter that the transaction holds; `id` names the one that is changed.
 * @throws Problem when another one of the same kind of contract holds on one of its days
 */
export async function saveMetric(
  tx: Tx,
  rootId: string,
  { id, fields, now }: { id?: string; fields: MetricFields; now: number },
): Promise<string> {
  await refuseOverlap(tx, rootId, { ...(id === undefined ? {} : { id }), fields });
  const { account_id, model_id, key, currency, from_day, to_day } = fields;
  const params = JSON.stringify(fields.params);
  const at = new Date(now);
  const saved = id ?? newId(now);
  await tx.run(sql`
    insert into calculated_metric (id, meter_id, account_id, model_id, key, currency, from_day, to_day, params, created, updated)
    values (${saved}, ${rootId}, ${account_id}, ${model_id}, ${key}, ${currency}, ${from_day}, ${to_day},
      ${params}::jsonb, ${at}, ${at})
    on conflict (id) do update set account_id = excluded.account_id, model_id = excluded.model_id, key = excluded.key,
      currency = excluded.currency, from_day = excluded.from_day, to_day = excluded.to_day, params = excluded.params,
      updated = excluded.updated`);
  return saved;
}

async function refuseOverlap(
  tx: Tx,
  rootId: string,
  { id, fields }: { id?: string; fields: MetricFields },
): Promise<void> {
  const { key, from_day, to_day } = fields;
  const others = await tx.rows<Pick<CalculatedMetric, "id" | "from_day" | "to_day">>(sql`
    select id, from_day, to_day from calculated_metric
    where meter_id = ${rootId} and key = ${key} and id <> ${id ?? ""}
      and (to_day is null or to_day > ${from_day}) and (${to_day}::int4 is null or from_day < ${to_day}::int4)
    order by from_day limit 1`);
  const [other] = others;
  if (other === undefined) return;
  const days = daysText({ from: other.from_day, to: other.to_day });
  const message = `The periods of ${key} contracts of a meter must not overlap: there is one for ${days}. Give another period, or end that one`;
  throw new Problem("invalid", message, { errors: { calculated_metrics: [message] } });
}

/** Deletes one of a root meter that the transaction holds. */
export async function removeMetric(tx: Tx, id: string): Promise<void> {
  await tx.run(sql`delete from calculated_metric where id = ${id}`);
}

/** A use of a model as calculations take it. */
export function contractOf(
  model: PriceModel,
  use: { params: Readonly<Record<string, string>>; currency: string | null; zone: string; days: Days },
): Contract {
  const currency = model.currency ?? use.currency;
  if (currency === null) throw new Error(`no currency for price model ${model.id}`);
  return { model, components: bind(model.components, use.params), currency, zone: use.zone, days: use.days };
}
