/** Words that meters are described with: reference data of the Metry API. */

/** What a meter measures. */
export const meterTypes = ["electricity", "heat", "cooling", "gas", "hot_water", "water", "sensor"] as const;
export type MeterType = (typeof meterTypes)[number];

/** Where its holder keeps a meter. Values of `active` and `temporary` meters may be read. */
export const boxes = ["inbox", "active", "ignored", "temporary"] as const;
export type Box = (typeof boxes)[number];

/** How the holder came to the meter. */
export const controlLevels = ["owned", "subscribed", "shared", "manual"] as const;
export type ControlLevel = (typeof controlLevels)[number];

/** Which side of the connection the values stand for. */
export const representations = [
  "consumption",
  "production",
  "net_consumption",
  "net_production",
  "sensor",
] as const;
export type Representation = (typeof representations)[number];

/** Metrics that a new meter of a type is expected to have, until values say more. */
export const metricsOfType: Readonly<Record<MeterType, readonly string[]>> = {
  electricity: ["energy"],
  heat: ["energy"],
  cooling: ["energy"],
  gas: ["energy"],
  hot_water: ["flow"],
  water: ["flow"],
  sensor: ["temperature"],
};
