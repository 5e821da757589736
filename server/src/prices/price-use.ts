import { z } from "zod";
import { accountById } from "../accounts/accounts.ts";
import { type ReadingMeter, resolveForReading } from "../meters/meters.ts";
import type { Queryable } from "../platform/db.ts";
import type { Deps } from "../platform/deps.ts";
import type { Caller } from "../platform/http/endpoint.ts";
import { invalid, notFound, Problem } from "../platform/problem.ts";
import { calendarIndex } from "../platform/time/granule.ts";
import { type PeriodText, periodIn } from "../platform/time/period.ts";
import { calculateMonth, type MonthCost } from "./calculate.ts";
import { contractOf } from "./calculated-metric.ts";
import { decimalText, paramName } from "./component.ts";
import type { Days } from "./days.ts";
import { dayStart, monthOfDay } from "./days.ts";
import { checkParams, type PriceModel, visibleModel } from "./model.ts";
import { loadQuantities, type PricedMeter, valuesRead } from "./quantities.ts";

/** A model with all that its use gives, for a calculation that stores nothing. */
export interface PriceUse {
  model: PriceModel;
  params: Readonly<Record<string, string>>;
  currency: string;
}

/** The use of a model that a caller asks for. @throws Problem for parameters or a currency that do not fit it */
export async function priceUse(
  db: Queryable,
  who: Caller,
  asked: { modelId: string; params: Readonly<Record<string, string>>; currency?: string | undefined },
): Promise<PriceUse> {
  const model = await visibleModel(db, who.accountId, asked.modelId);
  checkParams(model, asked.params);
  if (model.currency !== null && asked.currency !== undefined && asked.currency !== model.currency)
    throw invalid("currency", `the price model is in ${model.currency}; leave it out`);
  const currency = model.currency ?? asked.currency ?? (await accountById(db, who.accountId)).currency;
  return { model, params: asked.params, currency };
}

/** Meters that a caller may read and that the model is for, in order. @throws Problem for all others */
export async function pricedMeters(
  db: Queryable,
  who: Caller,
  { ids, model }: { ids: readonly string[]; model: PriceModel },
): Promise<ReadingMeter[]> {
  const resolved = await resolveForReading(db, who, ids);
  if (resolved.some((each) => each.outcome === "not_found")) throw notFound("a meter of the calculation");
  return resolved.map((each, i) => {
    if (each.outcome === "forbidden") throw new Problem("forbidden", each.reason);
    const { meter } = each as Extract<typeof each, { outcome: "found" }>;
    if (!model.applicable_types.includes(meter.type))
      throw invalid(
        `meters.${i}`,
        `is of type ${meter.type}, the price model is for ${model.applicable_types.join(", ")}; choose another one`,
      );
    return meter;
  });
}

/** The days of a period in a zone; an open end is the last day that has ended. */
export function daysOfPeriod(zone: string, text: PeriodText, now: number): { from: number; to: number } {
  if (!text.start.days || text.end?.days === false)
    throw invalid("period", `"${text.text}" has hours; costs are calculated for whole days, write YYYYMMDD`);
  const { from, to } = periodIn(zone, text, now);
  const end = text.end === null ? calendarIndex("day", zone, to) : calendarIndex("day", zone, to - 1) + 1;
  const first = calendarIndex("day", zone, from);
  return { from: first, to: Math.max(first, end) };
}

/** Calculates some days of a meter month by month; nothing is stored. */
export async function calculateDays(
  db: Queryable,
  use: PriceUse,
  { meter, days }: { meter: PricedMeter; days: { from: number; to: number } },
): Promise<MonthCost[]> {
  const contract = contractOf(use.model, { ...use, zone: meter.timezone, days: days satisfies Days });
  if (days.to <= days.from) return [];
  const span = { from: dayStart(meter.timezone, days.from), to: dayStart(meter.timezone, days.to) };
  const quantities = await loadQuantities(db, meter, { span, components: contract.components });
  const months: MonthCost[] = [];
  for (let month = monthOfDay(days.from); month <= monthOfDay(days.to - 1); month++) {
    const cost = calculateMonth(contract, month, quantities);
    if (cost !== null) months.push(cost);
  }
  return months;
}

/** An answer writes so much more for a line than for a value. */
const valuesPerLine = 10;

/** How much the calculation of some days reads and answers, in values. */
export function readsOf(
  zone: string,
  { from, to }: { from: number; to: number },
  components: PriceModel["components"],
): number {
  if (to <= from) return 0;
  const months = monthOfDay(to - 1) - monthOfDay(from) + 1;
  const span = { from: dayStart(zone, from), to: dayStart(zone, to) };
  return valuesRead(zone, span, components) + months * components.length * valuesPerLine;
}

/** Refuses what is too much for one request, before any of the work. */
export function refuseTooMuch(reads: number, field: string, { settings }: Pick<Deps, "settings">): void {
  if (reads > settings.valuesMax)
    throw invalid(
      field,
      `needs ${reads} values, at most ${settings.valuesMax} are looked at in one request; ask for less at once`,
    );
}

/** What a use of a model gives, as members of a body. */
export const useFields = {
  params: z.record(paramName, decimalText).default({}),
  currency: z
    .string()
    .regex(/^[A-Z]{3}$/, "must be three letters such as SEK")
    .optional()
    .meta({ description: "For built-in price models; that of your account when absent." }),
};
