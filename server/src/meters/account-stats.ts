import { type Queryable, sql } from "../platform/db.ts";
import type { MeterType } from "./reference.ts";
import { type ConsumptionStats, type StatKey, statsOverAll } from "./stats.ts";

/** Statistics over all live meters of an account, each root meter once. */
export async function accountStats(db: Queryable, accountId: string): Promise<ConsumptionStats> {
  const keys = await db.rows<StatKey>(sql`
    select distinct root_id as "rootId", part from meter
    where holder_id = ${accountId} and not revoked and not on_hold`);
  return statsOverAll(db, keys);
}

/** How many meters are billed: active, not revoked, each root meter once. */
export async function billingSummary(
  db: Queryable,
  accountId: string,
): Promise<{ billable_meters: number; types: Partial<Record<MeterType, number>> }> {
  const rows = await db.rows<{ type: MeterType; count: number }>(sql`
    select type, count(distinct root_id) as count from meter
    where holder_id = ${accountId} and box = 'active' and not revoked group by type order by type`);
  return {
    billable_meters: rows.reduce((sum, row) => sum + row.count, 0),
    types: Object.fromEntries(rows.map((row) => [row.type, row.count])),
  };
}
