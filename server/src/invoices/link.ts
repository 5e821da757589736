import { subaccountsOf } from "../accounts/accounts.ts";
import { type MeterAtPoint, metersAtPoints, type RootMeter, rootMeters } from "../meters/meters.ts";
import type { Queryable } from "../platform/db.ts";
import type { DraftResult, Open } from "./draft.ts";

/** The root meter that gets the costs of a metering point. */
export type CostMeter = Pick<RootMeter, "id" | "part" | "timezone" | "type">;

/** Is it a meter, and not the reason why there is none? */
export const isMeter = (link: CostMeter | Open): link is CostMeter => "id" in link;

/** The accounts whose root meters an invoice of this account may write costs of: itself and those that it manages. */
export async function writableHolders(db: Queryable, accountId: string): Promise<string[]> {
  return [accountId, ...(await subaccountsOf(db, accountId))];
}

/** The meters of the results of an invoice, or why there is none, in order. */
export async function linksOf(
  db: Queryable,
  accountId: string,
  results: readonly DraftResult[],
): Promise<(CostMeter | Open)[]> {
  const holders = await writableHolders(db, accountId);
  const eans = [...new Set(results.flatMap(({ ean }) => ean ?? []))];
  const byEan = Map.groupBy(await metersAtPoints(db, holders, eans), ({ ean }) => ean);
  const named = await rootMeters(db, [...new Set(results.flatMap(({ meterByHand }) => meterByHand ?? []))]);
  const byId = new Map(named.map((meter) => [meter.id, meter]));
  return results.map(({ ean, meterByHand }) => {
    if (meterByHand === null)
      return ean === null ? unnamed : chosen(byEan.get(ean) ?? [], { ean, accountId });
    const meter = byId.get(meterByHand);
    return meter !== undefined && holders.includes(meter.holderId) ? meter : gone;
  });
}

const unnamed: Open = {
  field: "meter",
  message: "The document names no metering point for these rows. State the meter.",
};
const gone: Open = {
  field: "meter",
  message: "The meter that was stated by hand is no longer held by the account. State another one.",
};

/** The one meter at a metering point that can be meant; never a guess among several. */
function chosen(
  found: readonly MeterAtPoint[],
  { ean, accountId }: { ean: string; accountId: string },
): CostMeter | Open {
  const roots = found.filter((meter) => meter.id === meter.rootId);
  if (roots.length === 0) {
    const message =
      found.length === 0
        ? `No meter of the account has the EAN ${ean}. It is linked when there is one; or state the meter.`
        : `The meter ${ean} is only shared with the account; costs are written by the account that holds it.`;
    return { field: "meter", message };
  }
  const own = roots.filter(({ holderId }) => holderId === accountId);
  const nearest = own.length > 0 ? own : roots;
  // What is bought is consumption; a metering point that also feeds in has another meter for that.
  const bought = nearest.filter(
    ({ representation }) => representation === null || representation === "consumption",
  );
  const candidates = bought.length > 0 ? bought : nearest;
  if (candidates.length === 1) return candidates[0]!;
  return { field: "meter", message: `${candidates.length} meters have the EAN ${ean}. State which one.` };
}
