import type { MeterType } from "../meters/meters.ts";
import { any, type Queryable, type Sql, sql, type Tx } from "../platform/db.ts";
import { fold } from "../platform/http/filter.ts";
import { newId } from "../platform/id.ts";
import { invalid, notFound, Problem } from "../platform/problem.ts";
import { builtInModels } from "./built-in.ts";
import { type Component, type ModelKey, paramsOf } from "./component.ts";

/** How the costs of a kind of contract follow from consumption. */
export interface PriceModel {
  id: string;
  /** Null: built in. */
  account_id: string | null;
  name: string;
  key: ModelKey;
  /** Null only when built in. */
  currency: string | null;
  /** Zone of windows and holidays; null: the meter's. */
  timezone: string | null;
  applicable_types: MeterType[];
  /** Days that it has prices for, `YYYYMMDD-[YYYYMMDD]`; null: all. */
  period: string | null;
  holidays: string[];
  components: Component[];
  /** Epoch milliseconds. */
  created: number;
  updated: number;
}

/** The columns of `PriceModel`, of `modelsOf` or the table under the name `p`. */
export const modelColumns = sql`p.id, p.account_id, p.name, p.key, p.currency, p.timezone, p.applicable_types, p.period,
  p.holidays, p.components, (extract(epoch from p.created) * 1000)::float8 as created,
  (extract(epoch from p.updated) * 1000)::float8 as updated`;

const builtInRows = JSON.stringify(
  builtInModels.map((model) => ({
    ...model,
    search: fold(model.name),
    created: new Date(model.created).toISOString(),
    updated: new Date(model.updated).toISOString(),
  })),
);

/** What an account sees, as the `from` of a statement: its own models and the built-in ones, under the name `p`. */
export function modelsOf(accountId: string): Sql {
  return sql`from (select * from price_model where account_id = ${accountId}
    union all select * from jsonb_populate_recordset(null::price_model, ${builtInRows}::jsonb)) as p`;
}

/** A model that an account may use: its own or a built-in one; 404 for all others. */
export async function visibleModel(db: Queryable, accountId: string, id: string): Promise<PriceModel> {
  const found = await db.maybe<PriceModel>(
    sql`select ${modelColumns} ${modelsOf(accountId)} where p.id = ${id}`,
  );
  if (found === undefined) throw notFound(`price model ${id} of account ${accountId}`);
  return found;
}

/**
 * A model that an account may use, held until the end of the transaction: it is not changed or deleted meanwhile. With
 * `toChange` it must be the account's own; a built-in one is refused.
 */
export async function holdModel(
  tx: Tx,
  accountId: string,
  { id, toChange = false }: { id: string; toChange?: boolean },
): Promise<PriceModel> {
  const builtIn = builtInModels.find((model) => model.id === id);
  if (builtIn !== undefined) {
    if (!toChange) return builtIn;
    throw new Problem("forbidden", "This price model is built in; create one of your own to change prices");
  }
  const lock = toChange ? sql`for update` : sql`for share`;
  const found = await tx.maybe<PriceModel>(
    sql`select ${modelColumns} from price_model p where p.id = ${id} and p.account_id = ${accountId} ${lock}`,
  );
  if (found === undefined) throw notFound(`price model ${id} of account ${accountId}`);
  return found;
}

/** Models by id, whoever holds them. */
export async function modelsById(db: Queryable, ids: readonly string[]): Promise<Map<string, PriceModel>> {
  const rows = await db.rows<PriceModel>(
    sql`select ${modelColumns} from price_model p where p.id = ${any([...new Set(ids)])}`,
  );
  return new Map([...builtInModels, ...rows].map((model) => [model.id, model]));
}

/** What a caller writes of a model. */
export type ModelFields = Omit<PriceModel, "id" | "account_id" | "created" | "updated">;

/** Stores a new model; returns its id. */
export async function insertModel(
  tx: Tx,
  accountId: string,
  { fields, now }: { fields: ModelFields; now: number },
): Promise<string> {
  const id = newId(now);
  const at = new Date(now);
  await tx.run(sql`
    insert into price_model (id, account_id, name, search, key, currency, timezone, applicable_types, period, holidays,
      components, created, updated)
    values (${id}, ${accountId}, ${fields.name}, ${fold(fields.name)}, ${fields.key}, ${fields.currency},
      ${fields.timezone}, ${fields.applicable_types}, ${fields.period}, ${fields.holidays},
      ${JSON.stringify(fields.components)}::jsonb, ${at}, ${at})`);
  return id;
}

/** Changes a model that the transaction holds. */
export async function updateModel(
  tx: Tx,
  id: string,
  { fields, now }: { fields: ModelFields; now: number },
): Promise<void> {
  await tx.run(sql`
    update price_model set name = ${fields.name}, search = ${fold(fields.name)}, key = ${fields.key},
      currency = ${fields.currency}, timezone = ${fields.timezone}, applicable_types = ${fields.applicable_types},
      period = ${fields.period}, holidays = ${fields.holidays},
      components = ${JSON.stringify(fields.components)}::jsonb, updated = ${new Date(now)}
    where id = ${id}`);
}

/** Refuses parameters that a model does not have, and the lack of those that it has. */
export function checkParams(model: PriceModel, params: Readonly<Record<string, string>>): void {
  const known = paramsOf(model.components);
  for (const [name, unit] of known) {
    if (params[name] === undefined)
      throw invalid(`params.${name}`, `is required: a decimal${unit === "%" ? " in %" : ` per ${unit}`}`);
  }
  for (const name of Object.keys(params)) {
    if (known.has(name)) continue;
    const names = [...known.keys()];
    throw invalid(
      `params.${name}`,
      names.length === 0
        ? "the price model has no parameters; leave it out"
        : `is not a parameter of the price model; it has ${names.join(", ")}`,
    );
  }
}
