import type { Change } from "../changes/changes.ts";
import type { Granularity } from "../platform/granularity.ts";
import { granuleEnd } from "../platform/time/granule.ts";
import { granularityOf, startAt } from "./slot.ts";

/** The granules that an entry of the log of changes names: their granularity and the instants [from, to), epoch ms. */
export function periodOf(
  { gran, period, slot, n }: Pick<Change, "gran" | "period" | "slot" | "n">,
  zone: string,
): { granularity: Granularity; from: number; to: number } {
  const granularity = granularityOf(gran);
  const last = startAt(granularity, zone, { period, slot: slot + n - 1 });
  return {
    granularity,
    from: startAt(granularity, zone, { period, slot }),
    to: granuleEnd(granularity, zone, last),
  };
}
