import { z } from "zod";
import type { HttpAnswer } from "../../collection/connector.ts";
import { sumExact } from "../../platform/decimal.ts";
import { changedAnswer, readAnswer } from "../answer.ts";
import type { Values } from "../one-series.ts";
import type { Readings, Utility } from "./api.ts";

const halfHour = 1_800_000;
/** What a gas meter that has no value sends: all 24 bits set, in litres. */
const gasWithout = 16_777.215;

const value = z.union([z.number(), z.literal("invalid value")]).nullish();
const answerSchema = z.object({
  availableCacheRange: z.object({ start: z.string().nullish() }).nullish(),
  granularity: z.literal("halfhour"),
  unit: z.string().nullish(),
  devices: z.array(
    z.object({
      deviceId: z.string(),
      values: z.array(
        z.object({
          timestamp: z.string().regex(/^\d{4}-\d\d-\d\d \d\d:(00|30)$/),
          primaryValue: value,
          secondaryValue: value,
          unit: z.string().nullish(),
          type: z.enum(["HALF_HOURLY", "TOTAL"]).nullish(),
          additionalInformation: z.string().nullish(),
        }),
      ),
    }),
  ),
});
type Reading = z.output<typeof answerSchema>["devices"][number]["values"][number];

const metrics: Readonly<Record<string, "energy" | "flow">> = { kWh: "energy", m3: "flow" };

/**
 * Half-hours of an answer. Their times are UTC, and the end of each.
 * @throws ProviderFailure `changed` for another unit, another form, and two values of one half-hour of a device
 */
export function readReadings(
  answer: HttpAnswer,
  { utility, span }: { utility: Utility; span: { from: number; to: number } | undefined },
): Readings {
  const fail = (what: string) => changedAnswer(answer, what);
  const { unit, devices, availableCacheRange } = readAnswer(answer, answerSchema);
  const metric = unit == null || unit === "" ? undefined : metrics[unit];
  const isEmpty = devices.every(({ values }) => values.length === 0);
  if (metric === undefined && (!isEmpty || (unit != null && unit !== "")))
    throw fail(`unknown unit: ${unit}`);
  if (utility === "electricity" && metric === "flow") throw fail("electricity in m3");
  const all = devices.map(({ values }) => {
    const read: Values = new Map();
    for (const one of values) {
      if (one.unit != null && one.unit !== unit) throw fail(`unknown unit: ${one.unit}`);
      const start = Date.parse(`${one.timestamp.replace(" ", "T")}:00Z`) - halfHour;
      if (Number.isNaN(start)) throw fail(`no point in time: ${one.timestamp}`);
      const amount = amountOf(one, utility);
      if (amount === undefined || (span !== undefined && (start < span.from || start >= span.to))) continue;
      const before = read.get(start);
      if (before !== undefined && before !== amount) throw fail(`two values for ${one.timestamp}`);
      read.set(start, amount);
    }
    return read;
  });
  return { devices: all, metric, begins: instantOf(availableCacheRange?.start) };
}

/** What was measured; `undefined` where the meter or n3rgy say that they do not know. */
function amountOf(
  { primaryValue: first, secondaryValue: second, additionalInformation: note }: Reading,
  utility: Utility,
): number | undefined {
  if (typeof first !== "number" || second === "invalid value" || (note ?? "") !== "") return undefined;
  if (utility === "gas" && first === gasWithout) return undefined;
  // A meter with two elements measures two circuits.
  return second == null ? first : sumExact([first, second]);
}

/** Begin of the first half-hour of the cache; minus infinity when it does not say. */
function instantOf(text: string | null | undefined): number {
  const parts = /^(\d{4})(\d\d)(\d\d)(\d\d)(\d\d)$/
    .exec(text ?? "")
    ?.slice(1)
    .map(Number);
  if (parts === undefined) return Number.NEGATIVE_INFINITY;
  const [year, month, day, hour, minute] = parts as [number, number, number, number, number];
  return Date.UTC(year, month - 1, day, hour, minute) - halfHour;
}
