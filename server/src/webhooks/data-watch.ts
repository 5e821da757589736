import { type Change, entriesAfter, headsOf } from "../changes/changes.ts";
import { type SeenRoot, seenRoots } from "../meters/meters.ts";
import { type Db, sql } from "../platform/db.ts";
import type { Deps } from "../platform/deps.ts";
import type { Granularity } from "../platform/granularity.ts";
import { newId } from "../platform/id.ts";
import { formatTimestamp } from "../platform/time/timestamp.ts";
import { periodOf, type SeriesInfo, seriesById } from "../series/series.ts";
import { bodyOf, insertDeliveries } from "./emit.ts";
import type { EventData } from "./event.ts";
import { followLateParts } from "./follow.ts";

/** At most one event per webhook in this time, and in this while its receiver does not answer. */
const pauseMs = 10_000;
const pauseMsFailing = 300_000;
/** Meters named in one event, and their series: some hundred kilobytes. */
const metersMax = 1_000;
const seriesMax = 2_500;
/** Entries of the log that one event sums up at most, and how many are read at once. */
const changesMax = 100_000;
const changesAtOnce = 2_000;

interface Told {
  id: string;
  accountId: string;
}

/** Tells every webhook that asks for it whose meters got new or changed values since it was told the last time. */
export async function tellData(deps: Deps, signal: AbortSignal): Promise<void> {
  const { db, clock } = deps;
  const fresh = await db.rows<Told>(
    sql`select id, account_id as "accountId" from webhook where data_since is not null order by id`,
  );
  for (const webhook of fresh) await db.transaction((tx) => followLateParts(tx, webhook));
  for (const [webhook, cursors] of await findNews(db, clock.now())) {
    if (!signal.aborted) await tell(deps, webhook, cursors);
  }
}

/** How far the log of a part was told, how far it is by this event, and where it ends. */
interface Cursor {
  part: number;
  off: number;
  to: number;
  end: number;
}

/**
 * Webhooks that may be told now, with the parts that have news for them. Parts that were told least lately come first,
 * so that a busy one holds up no other.
 */
async function findNews(db: Db, now: number): Promise<[Told, Cursor[]][]> {
  const followed = await db.rows<Told & { part: number; off: number }>(sql`
    select w.id, w.account_id as "accountId", p.part, p.off
    from webhook w join webhook_part p on p.webhook_id = w.id
    where w.enabled and (w.data_told is null or w.data_told <=
      case when w.failing_since is null then ${new Date(now - pauseMs)}::timestamptz
           else ${new Date(now - pauseMsFailing)}::timestamptz end)
    order by w.data_told nulls first, w.id, p.off, p.part`);
  const heads = await headsOf(db, [...new Set(followed.map(({ part }) => part))]);
  const ends = new Map(heads.map((head) => [head.part, head.off]));
  const news = new Map<string, [Told, Cursor[]]>();
  for (const { id, accountId, part, off } of followed) {
    const end = ends.get(part) ?? 0;
    if (end <= off) continue;
    const entry = news.get(id) ?? [{ id, accountId }, []];
    entry[1].push({ part, off, to: off, end });
    news.set(id, entry);
  }
  return [...news.values()];
}

async function tell(deps: Deps, webhook: Told, cursors: readonly Cursor[]): Promise<void> {
  const { db, clock } = deps;
  const news = new News(webhook.accountId);
  for (const cursor of cursors) if (!news.isFull) cursor.to = await news.read(deps, cursor);
  const moved = cursors.filter(({ off, to }) => to > off);
  if (moved.length === 0) return;
  await db.transaction(async (tx) => {
    const held = await tx.maybe(
      sql`select from webhook where id = ${webhook.id} and 'data.new' = any(events) for no key update`,
    );
    if (held === undefined) return;
    const written = await tx.run(sql`
      update webhook_part p set off = moved.to_off
      from unnest(${moved.map(({ part }) => part)}::int4[], ${moved.map(({ off }) => off)}::int8[],
                  ${moved.map(({ to }) => to)}::int8[]) as moved (part, off, to_off)
      where p.webhook_id = ${webhook.id} and p.part = moved.part and p.off = moved.off`);
    // Another process has told it meanwhile.
    if (written < moved.length)
      throw new Error(`the changes of webhook ${webhook.id} were told by somebody else`);
    if (news.isEmpty) return;
    const now = clock.now();
    const body = bodyOf("data.new", { account: webhook.accountId, ...news.data() }, now);
    await insertDeliveries(tx, [{ id: newId(now), webhookId: webhook.id, event: "data.new", body }], now);
    await tx.run(sql`update webhook set data_told = ${new Date(now)} where id = ${webhook.id}`);
  });
}

interface Series {
  metric: string;
  currency: string;
  granularity: Granularity;
  from: number;
  to: number;
  count: number;
  updated: boolean;
}

/** What an event says: changes summed up by meter, metric and granularity, of meters that the account may read now. */
class News {
  readonly #accountId: string;
  readonly #meters = new Map<string, { meter: SeenRoot; series: Map<string, Series> }>();
  #changes = 0;
  #series = 0;
  /** Nothing more fits; what was left out comes with the next event. */
  isFull = false;

  constructor(accountId: string) {
    this.#accountId = accountId;
  }

  get isEmpty(): boolean {
    return this.#meters.size === 0;
  }

  /** Takes changes of a part in, in their order; returns the offset up to which all were. */
  async read({ db }: Deps, { part, off, end }: Cursor): Promise<number> {
    for (let after = off; ; ) {
      const changes = await entriesAfter(db, { part, after, upTo: end, limit: changesAtOnce });
      const series = await seriesById(db, part, [...new Set(changes.map(({ seriesId }) => seriesId))]);
      const rootIds = [...new Set([...series.values()].map(({ meterId }) => meterId))];
      const meters = await seenRoots(db, this.#accountId, rootIds);
      for (const change of changes) {
        const of = series.get(change.seriesId);
        const meter = of === undefined ? undefined : meters.get(of.meterId);
        if (of !== undefined && meter !== undefined && !this.#add(change, of, meter)) {
          this.isFull = true;
          return after;
        }
        after = change.off;
      }
      this.#changes += changes.length;
      if (changes.length < changesAtOnce) return end;
      if (this.#changes >= changesMax) {
        this.isFull = true;
        return after;
      }
    }
  }

  #add(change: Change, { metric, currency }: SeriesInfo, meter: SeenRoot): boolean {
    const { granularity, from, to } = periodOf(change, meter.timezone);
    const key = `${metric} ${currency} ${granularity}`;
    const entry = this.#meters.get(meter.id) ?? { meter, series: new Map<string, Series>() };
    if (!entry.series.has(key)) {
      const isFirst = entry.series.size === 0;
      if (this.#series === seriesMax || (isFirst && this.#meters.size === metersMax)) return false;
      this.#series++;
      this.#meters.set(meter.id, entry);
    }
    const known = entry.series.get(key) ?? {
      metric,
      currency,
      granularity,
      from,
      to,
      count: 0,
      updated: false,
    };
    entry.series.set(key, {
      ...known,
      from: Math.min(known.from, from),
      to: Math.max(known.to, to),
      count: known.count + change.n,
      updated: known.updated || change.replaced,
    });
    return true;
  }

  data(): EventData<"data.new"> {
    const meters = [...this.#meters.values()].map(({ meter, series }) => ({
      _id: meter.id,
      root: meter.rootId,
      ean: meter.ean,
      series: [...series.values()].map(({ currency, from, to, ...rest }) => ({
        ...rest,
        currency: currency === "" ? null : currency,
        from: formatTimestamp(from),
        to: formatTimestamp(to),
      })),
    }));
    return { meters, more: this.isFull };
  }
}
