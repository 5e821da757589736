import { type MeterNews, takeNews } from "../meters/meters.ts";
import { sql, type Tx } from "../platform/db.ts";
import type { Deps } from "../platform/deps.ts";
import { emit } from "./emit.ts";
import { offsetBefore } from "./follow.ts";

/** Meters named in one event. */
const metersMax = 1_000;

/** Tells webhooks what accounts got and lost since the last time. Repeats until nothing is left, or `signal` is aborted. */
export async function tellMeters(deps: Deps, signal: AbortSignal): Promise<void> {
  for (let isMore = true; isMore && !signal.aborted; ) {
    isMore = await deps.db.transaction(async (tx) => {
      const news = await takeNews(tx, metersMax);
      for (const [accountId, some] of Map.groupBy(news, (one) => one.accountId)) {
        await tellAccount(tx, deps, { accountId, news: some });
      }
      return news.length === metersMax;
    });
  }
}

/** What was got and lost again, or the other way round, is told as it is now: nobody hears of a meter that is revoked. */
async function tellAccount(
  tx: Tx,
  deps: Deps,
  { accountId, news }: { accountId: string; news: readonly MeterNews[] },
): Promise<void> {
  const found = latest(news).filter(
    ({ kind, meter }) => kind === "found" && meter !== null && !meter.revoked,
  );
  const lost = latest(news).filter(({ kind, meter }) => kind === "lost" && (meter === null || meter.revoked));
  if (found.length > 0) {
    await followParts(tx, accountId, found);
    const meters = found.map(({ meterId, meter }) => ({
      _id: meterId,
      root: meter!.rootId,
      ean: meter!.ean,
      type: meter!.type,
    }));
    await emit(tx, deps, { accountId, event: "meter.found", data: { meters } });
  }
  if (lost.length > 0) {
    const meters = lost.map(({ meterId }) => ({ _id: meterId }));
    await emit(tx, deps, { accountId, event: "meter.revoked", data: { meters } });
  }
}

/** The last news of each meter. */
function latest(news: readonly MeterNews[]): MeterNews[] {
  return [...new Map(news.map((one) => [one.meterId, one])).values()];
}

/** Changes of the parts of new meters are told from the moment on that the account got them. */
async function followParts(tx: Tx, accountId: string, found: readonly MeterNews[]): Promise<void> {
  const since = new Map<number, number>();
  for (const { at, meter } of found) since.set(meter!.part, Math.min(since.get(meter!.part) ?? at, at));
  await tx.run(sql`
    insert into webhook_part (webhook_id, part, off)
    select w.id, found.part, found.off
    from webhook w cross join unnest(${[...since.keys()]}::int4[],
      ${[...since.values()].map((at) => offsetBefore(at))}::int8[]) as found (part, off)
    where w.account_id = ${accountId} and 'data.new' = any(w.events) order by w.id, found.part
    on conflict do nothing`);
}
