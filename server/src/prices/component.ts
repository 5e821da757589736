import { z } from "zod";
import { type Metric, metrics } from "../series/series.ts";

/** Kinds of contracts: who delivers, and who owns the grid. */
export const modelKeys = ["grid", "retail"] as const;
export type ModelKey = (typeof modelKeys)[number];

/** Cost metrics that a component can feed: all but the totals, which are sums of these. */
export const componentMetrics = [
  "retail_subscription",
  "retail_usage",
  "retail_undefined",
  "grid_subscription",
  "grid_subscription_power",
  "grid_subscription_return_temperature",
  "grid_subscription_flow",
  "grid_usage",
  "grid_undefined",
] as const;

/** What can be priced: metrics whose values are added. */
const measured = [...metrics.values()]
  .filter((metric) => metric.aggregate === "sum" && !metric.cost)
  .map((metric) => metric.name) as [string, ...string[]];

/** Unit of a priced metric. */
export const unitOf = (metric: string): string => (metrics.get(metric) as Metric).unit;

const decimalForm = /^-?\d{1,9}(\.\d{1,6})?$/;

/** A decimal as number or text, output as text: at most nine digits before the mark and six behind it, so always exact. */
export const decimalText = z
  .union([z.number(), z.string()])
  .transform((value) => String(value))
  .refine(
    (text) => decimalForm.test(text),
    "must be a decimal such as 12.5, with at most 9 digits before the mark and 6 behind it",
  );

/** Name of a parameter of a model. */
export const paramName = z
  .string()
  .regex(/^[a-z][a-z0-9_]{0,49}$/, "must be lower-case letters, digits and _, at most 50");

const price = z
  .union([decimalText, z.object({ param: paramName })])
  .meta({ description: "A decimal, or `{param: name}`: then each use of the model gives it in `params`." });
const period = z
  .string()
  .max(20)
  .optional()
  .meta({ description: "`YYYYMMDD-[YYYYMMDD]`, days in the zone of the meter; always when absent." });
const name = z.string().trim().min(1).max(100);
const metric = z.enum(componentMetrics).meta({ description: "The cost metric that it feeds, excl. VAT." });
const of = z.enum(measured).default("energy").meta({ description: "The consumption that is priced." });

const dayNames = ["mon", "tue", "wed", "thu", "fri", "sat", "sun", "holiday"] as const;

const conditions = {
  days: z
    .array(z.enum(dayNames))
    .min(1)
    .optional()
    .meta({ description: "A day in the model's `holidays` is a `holiday` and no weekday." }),
  hours: z
    .array(z.string().regex(/^([01]\d|2[0-3])-([01]\d|2[0-4])$/, "must be hours such as 06-22 or 22-06"))
    .min(1)
    .max(24)
    .optional()
    .meta({ description: "`06-22`: from 06:00 until 22:00 of the wall clock; `22-06` goes over midnight." }),
  months: z.array(z.int().min(1).max(12)).min(1).optional(),
};

/** When a price holds: all conditions that are given must be met. */
export type Conditions = z.output<z.ZodObject<typeof conditions>>;

const fixed = z.object({
  kind: z.literal("fixed"),
  name,
  metric,
  price,
  per: z.enum(["year", "month", "day"]).default("year"),
  period,
});

const tier = z.object({ up_to: decimalText.optional(), price });

const energy = z.object({
  kind: z.literal("energy"),
  name,
  metric,
  of,
  price: price.optional(),
  tiers: z.array(tier).min(1).max(20).optional().meta({
    description:
      "Instead of `price`: each price holds for the part of the month's quantity up to `up_to`; the last one has no limit.",
  }),
  period,
});

const peak = z.object({
  kind: z.literal("peak"),
  name,
  metric,
  of,
  price,
  per: z.enum(["month", "year"]).default("month").meta({ description: "What the price per kW is for." }),
  resolution: z.enum(["hour", "15min"]).default("hour"),
  highest: z
    .int()
    .min(1)
    .max(31)
    .default(1)
    .meta({ description: "The mean of so many highest values, each of another day." }),
  over_months: z
    .int()
    .min(1)
    .max(12)
    .default(1)
    .meta({ description: "Looked for in so many months, the last of which is the one that is charged." }),
  windows: z
    .array(z.object(conditions))
    .min(1)
    .max(20)
    .optional()
    .meta({ description: "Only values within one of these count." }),
  period,
});

const timeOfUse = z.object({
  kind: z.literal("time_of_use"),
  name,
  metric,
  of,
  windows: z
    .array(z.object({ name, price, ...conditions }))
    .min(1)
    .max(50)
    .meta({
      description: "The first window that an hour fits into prices it; the last one has no conditions.",
    }),
  period,
});

const spot = z.object({
  kind: z.literal("spot"),
  name,
  metric,
  of,
  series: z
    .string()
    .regex(/^[0-9a-f]{24}$/, "must be an id: 24 hex characters")
    .meta({ pattern: "^[0-9a-f]{24}$", description: "Id of a price series in the currency of the model." }),
  per: z.enum(["hour", "15min"]).default("hour").meta({
    description:
      "Length of what is priced. Hours of a series of quarters are priced at the mean of their four prices.",
  }),
  margin: price.default("0").meta({ description: "Added to each price." }),
  period,
});

const percentage = z.object({
  kind: z.literal("percentage"),
  name,
  metric,
  percent: price.meta({ description: "Below 0: a discount." }),
  base: z
    .array(name)
    .min(1)
    .max(50)
    .optional()
    .meta({ description: "Names of the components whose amounts it is of; absent: all before it." }),
  period: period.meta({ description: "Whole months." }),
});

const vat = z.object({
  kind: z.literal("vat"),
  name: name.default("VAT"),
  percent: price,
  period: period.meta({ description: "Whole months." }),
});

/** One part of a price model, as it is sent and kept; decimals are texts. */
export const componentSchema = z.discriminatedUnion("kind", [
  fixed,
  energy,
  peak,
  timeOfUse,
  spot,
  percentage,
  vat,
]);

export type Component = z.output<typeof componentSchema>;

/** A component whose parameters have been given. */
export type Bound<T> = T extends { param: string }
  ? never
  : T extends readonly (infer Item)[]
    ? Bound<Item>[]
    : T extends object
      ? { [Key in keyof T]: Bound<T[Key]> }
      : T;
export type BoundComponent = Bound<Component>;

/** A component as an answer shows it: decimals are numbers. */
export const shownComponent = z.record(z.string(), z.unknown());

/** Members of components that are decimals. */
const decimalMembers = new Set(["price", "margin", "percent", "up_to"]);

/** Components as an answer shows them. */
export function showComponents(components: readonly Component[]): Record<string, unknown>[] {
  return JSON.parse(JSON.stringify(components), (member, value) =>
    decimalMembers.has(member) && typeof value === "string" ? Number(value) : value,
  );
}

/** Parameters that components name, in order, with what each is. */
export function paramsOf(components: readonly Component[]): Map<string, string> {
  const found = new Map<string, string>();
  for (const component of components) {
    const priced: [unknown, string][] = [];
    if ("price" in component) priced.push([component.price, priceUnit(component)]);
    if ("tiers" in component)
      for (const each of component.tiers ?? []) priced.push([each.price, priceUnit(component)]);
    if (component.kind === "time_of_use")
      for (const each of component.windows) priced.push([each.price, priceUnit(component)]);
    if (component.kind === "spot") priced.push([component.margin, priceUnit(component)]);
    if ("percent" in component) priced.push([component.percent, "%"]);
    for (const [value, unit] of priced) {
      if (typeof value === "object" && value !== null) found.set((value as { param: string }).param, unit);
    }
  }
  return found;
}

/** What a price of a component is for: `year`, `kWh`, `kW/month`. */
export function priceUnit(component: Component | BoundComponent): string {
  switch (component.kind) {
    case "fixed":
      return component.per;
    case "peak":
      return `${powerUnit(component.of)}/${component.per}`;
    case "percentage":
    case "vat":
      return "%";
    default:
      return unitOf(component.of);
  }
}

/** Unit of a quantity per hour: kW of kWh. */
export function powerUnit(metric: string): string {
  const unit = unitOf(metric);
  return unit.endsWith("h") ? unit.slice(0, -1) : `${unit}/h`;
}

/** Components with their parameters filled in; the caller has made sure that all are given. */
export function bind(
  components: readonly Component[],
  params: Readonly<Record<string, string>>,
): BoundComponent[] {
  return JSON.parse(JSON.stringify(components), (_, value) =>
    typeof value === "object" && value !== null && Object.hasOwn(value, "param")
      ? params[value.param as string]
      : value,
  );
}
