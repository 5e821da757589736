/** Length of time that values stand for: fixed seconds, or a local calendar day or month. */
export type Resolution = number | "day" | "month";

/** ISO 8601 durations, and the forms that meter files use for them. */
const resolutions: Record<string, Resolution> = {
  PT5M: 300,
  PT10M: 600,
  PT15M: 900,
  PT30M: 1800,
  PT60M: 3600,
  PT1H: 3600,
  P1D: "day",
  PT1D: "day",
  PT24H: "day",
  P1M: "month",
};

/** The resolution that a duration means; undefined for lengths that we keep no values of (a week, a year). */
export function resolutionOf(duration: string): Resolution | undefined {
  return Object.hasOwn(resolutions, duration) ? resolutions[duration] : undefined;
}
