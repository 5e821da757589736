/**
 * Granularities: the lengths of time a value can stand for. `hour`, `day` and `month` are those of the Metry
 * API; the shorter ones are ours and additive. A value is a fact of its own granularity.
 */
export const granularities = ["5min", "10min", "15min", "30min", "hour", "day", "month"] as const;
export type Granularity = (typeof granularities)[number];

/** Length in minutes of the granularities whose granules all have one length; `day` and `month` vary with the zone. */
export const minutesOf: Readonly<Record<Exclude<Granularity, "day" | "month">, number>> = {
  "5min": 5,
  "10min": 10,
  "15min": 15,
  "30min": 30,
  hour: 60,
};

/** Is `text` the name of a granularity? */
export function isGranularity(text: string): text is Granularity {
  return (granularities as readonly string[]).includes(text);
}
