import { accountRefs } from "../accounts/accounts.ts";
import { type Queryable, sql, type Tx } from "../platform/db.ts";
import { type Caller, Page } from "../platform/http/endpoint.ts";
import { newId } from "../platform/id.ts";
import { formatTimestamp } from "../platform/time/timestamp.ts";
import { addNews } from "./news.ts";

/** What can happen to a meter. */
export type Action = "created" | "updated" | "moved" | "shared" | "assigned" | "received" | "revoked";

/** Something that happened to a meter. */
export interface Event {
  meterId: string;
  action: Action;
  detail?: Record<string, unknown>;
}

/** Who did it and when. */
export interface Doing {
  /** Epoch milliseconds. */
  now: number;
  /** The account that acts; null for the server itself. */
  actorId: string | null;
}

/** Who acts by a request: the person who is logged in, else the account of the credential. */
export function doing(who: Caller, now: number): Doing {
  return { now, actorId: who.actorId ?? who.ownAccountId };
}

const rowsAtOnce = 2000;

/** What an event means for the account that holds the meter, for those that tell it: see `news.ts`. */
const newsOf: Partial<Record<Action, "found" | "lost">> = {
  created: "found",
  received: "found",
  revoked: "lost",
};

/** Adds events to the logs of meters, and what their holders got or lost by them to the news. */
export async function log(tx: Tx, { now, actorId }: Doing, events: readonly Event[]): Promise<void> {
  for (let from = 0; from < events.length; from += rowsAtOnce) {
    const some = events.slice(from, from + rowsAtOnce);
    await tx.run(sql`
      insert into meter_activity (id, meter_id, at, actor_id, action, detail)
      select event.id, event.meter_id, ${new Date(now)}, ${actorId}, event.action, event.detail::jsonb
      from unnest(${some.map(() => newId(now))}::text[], ${some.map((event) => event.meterId)}::text[],
                  ${some.map((event) => event.action)}::text[],
                  ${some.map((event) => JSON.stringify(event.detail ?? {}))}::text[])
        as event (id, meter_id, action, detail)`);
    const news = some.flatMap(({ meterId, action }) => {
      const kind = newsOf[action];
      return kind === undefined ? [] : [{ meterId, kind }];
    });
    await addNews(tx, now, news);
  }
}

interface LoggedEvent {
  id: string;
  at: number;
  actor_id: string | null;
  action: Action;
  detail: Record<string, unknown>;
}

/** A page of the log of one meter, newest first. */
export async function activityOf(
  db: Queryable,
  meterId: string,
  paging: { skip: number; limit: number },
): Promise<Page> {
  const [{ count }, rows] = await Promise.all([
    db.one<{ count: number }>(sql`select count(*) as count from meter_activity where meter_id = ${meterId}`),
    db.rows<LoggedEvent>(sql`
      select id, (extract(epoch from at) * 1000)::float8 as at, actor_id, action, detail
      from meter_activity where meter_id = ${meterId}
      order by meter_activity.at desc, id desc offset ${paging.skip} limit ${paging.limit}`),
  ]);
  const actors = await accountRefs(
    db,
    rows.flatMap((row) => row.actor_id ?? []),
  );
  const shown = rows.map(({ id, at, actor_id, action, detail }) => {
    const actor = actor_id === null ? undefined : actors.get(actor_id);
    return {
      _id: id,
      created: formatTimestamp(at),
      action,
      actor: actor === undefined ? null : { _id: actor._id, name: actor.name },
      detail,
    };
  });
  return new Page(shown, { count, ...paging });
}
