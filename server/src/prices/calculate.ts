import { charge, type Row } from "./charge.ts";
import type { BoundComponent } from "./component.ts";
import { common, type Days, daysOfMonth, daysText, readDays } from "./days.ts";
import type { PriceModel } from "./model.ts";
import { Money, rounded, total } from "./money.ts";
import type { Quantities } from "./quantities.ts";

/** A price model in use: bound to a meter, its days and its parameters. */
export interface Contract {
  model: Pick<PriceModel, "key" | "period" | "timezone" | "holidays">;
  components: readonly BoundComponent[];
  currency: string;
  /** Zone of the meter. */
  zone: string;
  days: Days;
}

/** What one component costs in a month. */
export interface Charge {
  component: BoundComponent;
  rows: Row[];
  /** Sum of the rows, excl. VAT; null when it cannot be said. */
  amount: Money | null;
}

/** Why something cannot be said. */
export interface Lack {
  /** Name of the component; null: all of them. */
  component: string | null;
  reason: string;
}

/** What a contract costs in a month, as far as it is known. */
export interface MonthCost {
  /** Months since 1970. */
  month: number;
  /** Days of the month that are priced. */
  days: { from: number; to: number };
  charges: Charge[];
  /** Costs excl. VAT by metric, the total of the contract among them; null when a part of it is not known. */
  metrics: Map<string, Money | null>;
  net: Money | null;
  /** Null when the model has none: then `vat` is 0. */
  vatPercent: Money | null;
  vat: Money | null;
  gross: Money | null;
  missing: Lack[];
}

/**
 * Calculates a month of a contract; null when the contract does not hold in it. Every row is rounded to the smallest
 * unit of the currency, half away from zero; everything above is the sum of rows, VAT is rounded once per month.
 * Nothing is estimated: what is missing makes its metric and the totals null, and is named.
 */
export function calculateMonth(contract: Contract, month: number, quantities: Quantities): MonthCost | null {
  const days = common(contract.days, daysOfMonth(month)) as MonthCost["days"] | null;
  if (days === null) return null;
  const outside = outsideOfModel(contract, days);
  const missing: Lack[] = outside === undefined ? [] : [{ component: null, reason: outside }];
  const charges = outside === undefined ? chargesOf(contract, { month, days, quantities, missing }) : [];
  const amounts = charges.map((each) => each.amount);
  const isKnown = outside === undefined && !amounts.includes(null);
  const net = isKnown ? total(amounts as Money[]) : null;
  const vatPercent = vatPercentOf(contract, days);
  const vat = net === null ? null : rounded(net.times(vatPercent ?? 0).div(100), contract.currency);
  return {
    month,
    days,
    charges,
    metrics: metricsOf(contract, charges, net),
    net,
    vatPercent,
    vat,
    gross: net === null || vat === null ? null : net.plus(vat),
    missing,
  };
}

function outsideOfModel({ model }: Contract, days: MonthCost["days"]): string | undefined {
  if (model.period === null) return undefined;
  const valid = readDays("period", model.period);
  const within = common(valid, days);
  if (within?.from === days.from && within.to === days.to) return undefined;
  return `the price model has prices for ${model.period} only, not for all of ${daysText(days)}`;
}

function chargesOf(
  { components, currency, zone, model }: Contract,
  about: { month: number; days: MonthCost["days"]; quantities: Quantities; missing: Lack[] },
): Charge[] {
  const calendar = { zone: model.timezone ?? zone, holidays: new Set(model.holidays) };
  const before = new Map<string, Money | null>();
  const charges: Charge[] = [];
  for (const component of components) {
    if (component.kind === "vat") continue;
    const days = holdingIn(component, about.days);
    if (days === null) continue;
    const { month, quantities } = about;
    const priced = charge(component, { month, days, zone, calendar, currency, quantities, before });
    const isMissing = "missing" in priced;
    if (isMissing) about.missing.push({ component: component.name, reason: priced.missing });
    const rows = isMissing ? [] : priced.rows;
    const amount = isMissing ? null : total(rows.map((row) => row.amount));
    before.set(component.name, amount);
    charges.push({ component, rows, amount });
  }
  return charges;
}

/** The days of some days that a component holds for. */
function holdingIn(component: BoundComponent, days: MonthCost["days"]): MonthCost["days"] | null {
  if (component.period === undefined) return days;
  return common(readDays("period", component.period), days) as MonthCost["days"] | null;
}

function metricsOf(
  { model }: Contract,
  charges: readonly Charge[],
  net: Money | null,
): Map<string, Money | null> {
  const found = new Map<string, Money | null>();
  for (const { component, amount } of charges) {
    if (component.kind === "vat") continue;
    const known = found.get(component.metric);
    const isFirst = known === undefined;
    const sum = amount === null || known === null ? null : isFirst ? amount : known.plus(amount);
    found.set(component.metric, sum);
  }
  // A month without any component costs nothing that anybody has said.
  found.set(`${model.key}_total`, charges.length === 0 ? null : net);
  return found;
}

function vatPercentOf({ components }: Contract, days: MonthCost["days"]): Money | null {
  const found = components.find((each) => each.kind === "vat" && holdingIn(each, days) !== null);
  return found?.kind === "vat" ? new Money(found.percent) : null;
}
