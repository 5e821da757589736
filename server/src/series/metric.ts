/** How several values of a metric become one: energy is added, a temperature is averaged and never added. */
export type Aggregate = "sum" | "mean";

export interface Metric {
  name: string;
  /** Unit of stored values; cost metrics are in the currency of their series. */
  unit: string;
  aggregate: Aggregate;
  cost: boolean;
}

const additive: [string, string][] = [
  ["energy", "kWh"],
  ["energy_hightariff", "kWh"],
  ["energy_lowtariff", "kWh"],
  ["energy_reactive", "kVArh"],
  ["energy_apparent", "kVAh"],
  ["flow", "m3"],
  // Heating degree days: kelvins below a base, over days. They add up over time, unlike a temperature.
  ["degree_days", "Kd"],
];

const averaged: [string, string][] = [
  ["temperature", "C"],
  ["return_temperature", "C"],
  ["supply_temperature", "C"],
  ["tvoc", "ppm"],
  ["co2", "ppm"],
  ["power", "kW"],
];

/** Cost metrics as `/costs` names them; stored and streamed with the prefix `cost_`. */
export const costNames = [
  "retail_subscription",
  "retail_usage",
  "retail_undefined",
  "retail_total",
  "grid_subscription",
  "grid_subscription_power",
  "grid_subscription_return_temperature",
  "grid_subscription_flow",
  "grid_usage",
  "grid_undefined",
  "grid_total",
] as const;

/** All metrics by name. */
export const metrics: ReadonlyMap<string, Metric> = new Map(
  [
    ...additive.map(([name, unit]): Metric => ({ name, unit, aggregate: "sum", cost: false })),
    ...averaged.map(([name, unit]): Metric => ({ name, unit, aggregate: "mean", cost: false })),
    ...costNames.map((name): Metric => ({ name: `cost_${name}`, unit: "", aggregate: "sum", cost: true })),
  ].map((metric) => [metric.name, metric]),
);

const estimatedMetrics: ReadonlyMap<string, string> = new Map([
  ["estimated_energy", "energy"],
  ["estimated_flow", "flow"],
]);

/** The stored metric whose gaps an estimated one fills, `undefined` for all others. Estimates are never stored. */
export function estimatedFrom(name: string): string | undefined {
  return estimatedMetrics.get(name);
}

/** Names of the metrics that `/consumptions` answers. */
export const consumptionMetrics: readonly string[] = [
  ...[...metrics.values()].filter((metric) => !metric.cost).map((metric) => metric.name),
  ...estimatedMetrics.keys(),
];

/** The metric that is meant when a request names none: flow for water, temperature for sensors, else energy. */
export function defaultMetric(meterType: string): string {
  if (meterType === "water" || meterType === "hot_water") return "flow";
  return meterType === "sensor" ? "temperature" : "energy";
}
