import type { Tx } from "../platform/db.ts";
import { type FieldErrors, notFound, Problem } from "../platform/problem.ts";
import { isZone } from "../platform/time/zone.ts";
import type { BoundComponent, Component, Conditions } from "./component.ts";
import { common, type Days, dayOf, monthOfDay, readDays } from "./days.ts";
import type { ModelFields } from "./model.ts";
import { holdSeries } from "./price-series.ts";

/** Says what is wrong, at a path below the body. */
type Complain = (path: string, message: string) => void;

/**
 * Checks what a schema cannot say of a model: components against each other, its kind of contract and its price
 * series, which are held until the end of the transaction. @throws Problem with all complaints; 404 for a price series that is not the account's
 */
export async function checkModel(tx: Tx, accountId: string, fields: ModelFields): Promise<void> {
  const errors: FieldErrors = {};
  const complain: Complain = (path, message) => void (errors[path] ??= []).push(message);
  if (fields.timezone !== null && !isZone(fields.timezone))
    complain("timezone", "is not a time zone; write an IANA name such as Europe/Stockholm");
  unlessWrong(complain, () => fields.period !== null && readDays("period", fields.period));
  for (const [i, day] of fields.holidays.entries()) unlessWrong(complain, () => dayOf(`holidays.${i}`, day));
  checkComponents(fields, complain);
  await checkSeries(tx, accountId, { fields, complain });
  const first = Object.entries(errors)[0];
  if (first !== undefined) throw new Problem("invalid", `${first[0]}: ${first[1][0]}`, { errors });
}

function unlessWrong(complain: Complain, read: () => unknown): void {
  try {
    read();
  } catch (error) {
    if (!(error instanceof Problem) || error.errors === undefined) throw error;
    for (const [field, messages] of Object.entries(error.errors)) complain(field, messages[0]!);
  }
}

function checkComponents({ components, key }: ModelFields, complain: Complain): void {
  const names = new Set<string>();
  for (const [i, component] of components.entries()) {
    const at = `components.${i}`;
    if (names.has(component.name))
      complain(`${at}.name`, `"${component.name}" is the name of another component`);
    if (component.kind !== "vat" && !component.metric.startsWith(`${key}_`))
      complain(`${at}.metric`, `does not belong to a ${key} contract; its metrics begin with ${key}_`);
    if (component.period !== undefined)
      unlessWrong(complain, () => readDays(`${at}.period`, component.period!));
    checkKind(component, at, { complain, before: names });
    names.add(component.name);
  }
  if (components.every((component) => component.kind === "vat"))
    complain("components", "needs a component besides VAT");
  checkShares(components, complain);
}

function checkKind(
  component: Component,
  at: string,
  { complain, before }: { complain: Complain; before: ReadonlySet<string> },
): void {
  switch (component.kind) {
    case "energy":
      checkTiers(component, at, complain);
      break;
    case "time_of_use":
      checkWindows(component.windows, `${at}.windows`, complain);
      break;
    case "peak":
      for (const [i, window] of (component.windows ?? []).entries())
        checkHours(window, `${at}.windows.${i}`, complain);
      break;
    case "percentage":
      for (const [i, name] of (component.base ?? []).entries())
        if (!before.has(name)) complain(`${at}.base.${i}`, `"${name}" is no component before this one`);
      break;
    default:
  }
}

function checkTiers(component: Component & { kind: "energy" }, at: string, complain: Complain): void {
  if ((component.price === undefined) === (component.tiers === undefined))
    complain(`${at}.price`, "give either price or tiers");
  let below = 0;
  for (const [i, { up_to: upTo }] of (component.tiers ?? []).entries()) {
    const isLast = i === component.tiers!.length - 1;
    const field = `${at}.tiers.${i}.up_to`;
    if (isLast && upTo !== undefined) complain(field, "the last tier has no limit; leave it out");
    if (isLast) continue;
    if (upTo === undefined) complain(field, "is required in all tiers but the last");
    else if (Number(upTo) <= below) complain(field, `must be more than ${below}`);
    else below = Number(upTo);
  }
}

function checkWindows(
  windows: (Component & { kind: "time_of_use" })["windows"],
  at: string,
  complain: Complain,
): void {
  const names = new Set<string>();
  for (const [i, window] of windows.entries()) {
    const isOpen = window.days === undefined && window.hours === undefined && window.months === undefined;
    const isLast = i === windows.length - 1;
    if (isLast && !isOpen)
      complain(
        `${at}.${i}`,
        "the last window takes all hours that are left: leave days, hours and months out",
      );
    if (!isLast && isOpen)
      complain(`${at}.${i}`, "takes every hour; give days, hours or months, or put it last");
    if (names.has(window.name)) complain(`${at}.${i}.name`, `"${window.name}" is the name of another window`);
    names.add(window.name);
    checkHours(window, `${at}.${i}`, complain);
  }
}

function checkHours({ hours = [] }: Conditions, at: string, complain: Complain): void {
  for (const [i, text] of hours.entries()) {
    const [from, to] = text.split("-");
    if (from === to) complain(`${at}.hours.${i}`, "is empty; 00-24 is the whole day");
  }
}

/** What is a part of other amounts of a month holds for whole months; two rates of VAT may follow each other. */
function checkShares(components: readonly Component[], complain: Complain): void {
  const seen: Days[] = [];
  for (const [i, component] of components.entries()) {
    if (component.kind !== "vat" && component.kind !== "percentage") continue;
    const days = readable(component);
    if (days === undefined) continue;
    const isMonths = isFirst(days.from) && (days.to === null || isFirst(days.to));
    if (component.period !== undefined && !isMonths)
      complain(`components.${i}.period`, "must be whole months, such as 20260101-20260331");
    if (component.kind !== "vat") continue;
    if (seen.some((other) => common(other, days) !== null))
      complain(`components.${i}`, "another VAT holds at the same time; give both a period");
    seen.push(days);
  }
}

const isFirst = (day: number) => monthOfDay(day) !== monthOfDay(day - 1);

/** The days of a component; `undefined` when its period cannot be read, which was said already. */
function readable(component: Component): Days | undefined {
  if (component.period === undefined) return { from: Number.NEGATIVE_INFINITY, to: null };
  try {
    return readDays("", component.period);
  } catch {
    return undefined;
  }
}

async function checkSeries(
  tx: Tx,
  accountId: string,
  { fields, complain }: { fields: ModelFields; complain: Complain },
): Promise<void> {
  const wanted = seriesIn(fields.components);
  if (wanted.length === 0) return;
  const found = await holdSeries(tx, accountId, wanted);
  for (const [i, component] of fields.components.entries()) {
    if (component.kind !== "spot") continue;
    const series = found.get(component.series);
    if (series === undefined) throw notFound(`price series ${component.series} of account ${accountId}`);
    if (series.currency !== fields.currency)
      complain(
        `components.${i}.series`,
        `has prices in ${series.currency}, the model is in ${fields.currency}; amounts are never converted`,
      );
  }
}

/** Ids of the price series that components name. */
export function seriesIn(components: readonly (Component | BoundComponent)[]): string[] {
  return [...new Set(components.flatMap((each) => (each.kind === "spot" ? [each.series] : [])))];
}
