import { z } from "zod";
import { timezoneOf } from "../accounts/accounts.ts";
import { type Queryable, sql } from "../platform/db.ts";
import { type Endpoint, endpoint, Message, Page } from "../platform/http/endpoint.ts";
import { fieldsOf, fold, readList } from "../platform/http/filter.ts";
import { formatTimestamp, id, parseTimestamp, timestampText } from "../platform/http/schema.ts";
import { type FieldErrors, invalid, Problem } from "../platform/problem.ts";
import { parsePeriods, periodIn } from "../platform/time/period.ts";
import { isZone, latest } from "../platform/time/zone.ts";
import { decimalText } from "./component.ts";
import { markModels } from "./due.ts";
import { sendCalculation } from "./jobs.ts";
import { Money } from "./money.ts";
import {
  insertSeries,
  ownSeries,
  type PriceSeries,
  pricesBetween,
  seriesColumns,
  stepMs,
  writePrices,
} from "./price-series.ts";

const granularityNames = ["hour", "15min"] as const;
/** More than a year of quarters. */
const pricesMax = 40_000;

const seriesView = z.object({
  _id: z.string(),
  name: z.string(),
  currency: z.string(),
  granularity: z.enum(granularityNames),
  first: timestampText().nullable().describe("Start of the first price"),
  last: timestampText().nullable().describe("Start of the last price"),
  created: timestampText(),
  updated: timestampText(),
});

const view = (series: PriceSeries): z.output<typeof seriesView> => ({
  _id: series.id,
  name: series.name,
  currency: series.currency,
  granularity: series.granularity,
  first: series.first === null ? null : formatTimestamp(series.first),
  last: series.last === null ? null : formatTimestamp(series.last),
  created: formatTimestamp(series.created),
  updated: formatTimestamp(series.updated),
});

const oneSeries = z.object({ id: id() });
const name = z.string().trim().min(1).max(200);

const fields = fieldsOf({
  _id: { kind: "id", column: sql`s.id` },
  name: { kind: "text-contains", column: sql`s.search`, sort: sql`s.name` },
  currency: { kind: "text-exact", column: sql`s.currency` },
  granularity: { kind: "enum", column: sql`s.granularity`, values: granularityNames },
  created: { kind: "timestamp", column: sql`s.created` },
  updated: { kind: "timestamp", column: sql`s.updated` },
});

const list = endpoint({
  method: "GET",
  path: "/price_series",
  access: "basic",
  summary: "Price series of the account",
  filters: () => true,
  reply: z.array(seriesView),
  list: true,
  async handle({ who, search, ignored }, { db, settings }) {
    const { where, orderBy, skip, limit } = readList(search, { fields, ignored, pageMax: settings.pageMax });
    const of = sql`from price_series s where s.account_id = ${who.accountId}${where}`;
    const { count } = await db.one<{ count: number }>(sql`select count(*) as count ${of}`);
    const rows = await db.rows<PriceSeries>(
      sql`select ${seriesColumns} ${of} order by ${orderBy} offset ${skip} limit ${limit}`,
    );
    return new Page(rows.map(view), { count, skip, limit });
  },
});

const read = endpoint({
  method: "GET",
  path: "/price_series/:id",
  access: "basic",
  summary: "One price series",
  ids: { id: "price_series" },
  params: oneSeries,
  reply: seriesView,
  handle: async ({ who, params }, { db }) => view(await ownSeries(db, who.accountId, params.id)),
});

const create = endpoint({
  method: "POST",
  path: "/price_series",
  access: "write_meters",
  summary: "Creates a price series, such as the spot prices of an area",
  body: z.object({
    name,
    currency: z.string().regex(/^[A-Z]{3}$/, "must be three letters such as SEK"),
    granularity: z.enum(granularityNames).default("hour"),
  }),
  reply: seriesView,
  async handle({ who, body }, { db, clock }) {
    const made = await db.transaction((tx) => insertSeries(tx, who.accountId, { ...body, now: clock.now() }));
    return view(await ownSeries(db, who.accountId, made));
  },
});

const change = endpoint({
  method: "PUT",
  path: "/price_series/:id",
  access: "write_meters",
  summary: "Renames a price series",
  ids: { id: "price_series" },
  params: oneSeries,
  body: z.object({ name }).partial(),
  reply: seriesView,
  async handle({ who, params, body }, { db, clock }) {
    const series = await ownSeries(db, who.accountId, params.id);
    const renamed = body.name ?? series.name;
    await db.run(sql`
      update price_series set name = ${renamed}, search = ${fold(renamed)}, updated = ${new Date(clock.now())}
      where id = ${series.id}`);
    return view(await ownSeries(db, who.accountId, params.id));
  },
});

/** Models whose spot components name a series; they are the account's own. */
async function modelsWith(db: Queryable, series: Pick<PriceSeries, "id" | "account_id">): Promise<string[]> {
  const named = JSON.stringify([{ series: series.id }]);
  const rows = await db.rows<{ id: string }>(sql`
    select id from price_model where account_id = ${series.account_id} and components @> ${named}::jsonb`);
  return rows.map((row) => row.id);
}

const remove = endpoint({
  method: "DELETE",
  path: "/price_series/:id",
  access: "write_meters",
  summary: "Deletes a price series that no price model names, with its prices",
  ids: { id: "price_series" },
  params: oneSeries,
  reply: z.undefined(),
  async handle({ who, params }, { db }) {
    await db.transaction(async (tx) => {
      const series = await ownSeries(tx, who.accountId, params.id);
      // Whoever makes a model that names it waits, or was waited for.
      await tx.run(sql`select id from price_series where id = ${series.id} for update`);
      const models = await modelsWith(tx, series);
      if (models.length > 0)
        throw new Problem(
          "conflict",
          `The price model ${models[0]} names this series; change or delete it first`,
        );
      await tx.run(sql`delete from price_series where id = ${series.id}`);
    });
    return new Message("Deleted price series.");
  },
});

const pricesBody = z
  .object({
    start: z
      .string()
      .optional()
      .meta({ description: "Start of the first price; the others follow without gap." }),
    starts: z
      .array(z.string())
      .max(pricesMax)
      .optional()
      .meta({ description: "One start per price instead." }),
    prices: z
      .array(decimalText.nullable())
      .min(1)
      .max(pricesMax)
      .meta({ description: "Excl. VAT; null removes a price." }),
    per: z.enum(["kWh", "MWh"]).default("kWh").meta({ description: "Prices per MWh are divided by 1000." }),
  })
  .refine((body) => (body.start === undefined) !== (body.starts === undefined), {
    message: "give either start or starts",
    path: ["start"],
  });

const upload = endpoint({
  method: "POST",
  path: "/price_series/:id/prices",
  access: "write_meters",
  summary: "Stores prices, all or none; the same prices again change nothing",
  description: "Costs that are calculated with them follow.",
  ids: { id: "price_series" },
  params: oneSeries,
  body: pricesBody,
  bodyBytesMax: 4 * 1024 * 1024,
  reply: z.object({ added: z.int(), replaced: z.int(), removed: z.int(), unchanged: z.int() }),
  async handle({ who, params, body }, { db, clock, jobs }) {
    const series = await ownSeries(db, who.accountId, params.id);
    const starts = startsOf(body, stepMs[series.granularity]);
    const prices = body.prices.map((price) =>
      price === null || body.per === "kWh" ? price : new Money(price).div(1000).toFixed(),
    );
    return db.transaction(async (tx) => {
      const { changed, ...counts } = await writePrices(tx, series.id, { starts, prices });
      if (changed !== null) {
        await markModels(tx, await modelsWith(tx, series), { now: clock.now(), ...changed });
        await sendCalculation(tx, jobs);
      }
      return counts;
    });
  },
});

/** Starts of uploaded prices, epoch ms. @throws Problem that names the first wrong ones */
function startsOf(body: z.output<typeof pricesBody>, step: number): number[] {
  const errors: FieldErrors = {};
  const read = (text: string, field: string) => {
    const at = parseTimestamp(text);
    if (at === undefined || at < 0 || at >= latest)
      errors[field] = [`"${text.slice(0, 40)}" is not an instant such as 2026-03-29T00:00:00+0100`];
    else if (at % step !== 0)
      errors[field] = [`no price begins at "${text.slice(0, 40)}": they last ${step / 60_000} minutes`];
    return at ?? Number.NaN;
  };
  let starts: number[];
  if (body.starts === undefined) {
    const first = read(body.start!, "start");
    starts = body.prices.map((_, i) => first + i * step);
    if (starts.at(-1)! >= latest) errors.start ??= ["the last price lies beyond 2099"];
  } else {
    if (body.starts.length !== body.prices.length)
      throw invalid("starts", `${body.starts.length} starts for ${body.prices.length} prices`);
    starts = body.starts.map((text, i) => read(text, `starts.${i}`));
    const seen = new Set<number>();
    for (const [i, start] of starts.entries()) {
      if (seen.has(start)) errors[`starts.${i}`] ??= ["stands here twice"];
      seen.add(start);
    }
  }
  const wrong = Object.entries(errors).slice(0, 100);
  if (wrong.length > 0)
    throw new Problem("invalid", `Nothing was stored. ${wrong[0]![0]}: ${wrong[0]![1][0]}`, {
      errors: Object.fromEntries(wrong),
    });
  return starts;
}

const readPrices = endpoint({
  method: "GET",
  path: "/price_series/:id/prices/:period",
  access: "basic",
  summary: "Prices of a period per kWh, null where none is known",
  ids: { id: "price_series" },
  params: z.object({
    id: id(),
    period: z.string().meta({ example: "2026", description: "START or START-END; several joined by +" }),
  }),
  query: z.object({
    timezone: z
      .string()
      .optional()
      .meta({ description: "Zone of the period; that of the account when absent." }),
  }),
  reply: z.array(
    z.object({
      start_date: timestampText(),
      end_date: timestampText(),
      price: z.array(z.number().nullable()),
    }),
  ),
  async handle({ who, params, query }, { db, clock, settings }) {
    const series = await ownSeries(db, who.accountId, params.id);
    if (query.timezone !== undefined && !isZone(query.timezone))
      throw invalid("timezone", "is not a time zone; write an IANA name such as Europe/Stockholm");
    const zone = query.timezone ?? (await timezoneOf(db, who.accountId));
    const step = stepMs[series.granularity];
    const periods = parsePeriods(params.period).map((text) => periodIn(zone, text, clock.now()));
    const spans = periods.map(({ from, to }) => ({ from, first: Math.ceil(from / step) * step, to }));
    const count = spans.reduce((sum, { first, to }) => sum + Math.max(0, Math.ceil((to - first) / step)), 0);
    if (count > settings.valuesMax)
      throw invalid(
        "period",
        `asks for ${count} prices, at most ${settings.valuesMax} are given at once; split it`,
      );
    return Promise.all(
      spans.map(async ({ from, first, to }) => {
        const known = await pricesBetween(db, series.id, { from, to });
        const price: (number | null)[] = [];
        for (let at = first; at < to; at += step) {
          const text = known.get(at);
          price.push(text === undefined ? null : Number(text));
        }
        return { start_date: formatTimestamp(from), end_date: formatTimestamp(to - 1000), price };
      }),
    );
  },
});

/** Endpoints of price series. */
export const seriesEndpoints: Endpoint[] = [list, read, create, change, upload, readPrices, remove];
