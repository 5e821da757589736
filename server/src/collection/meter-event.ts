import { accountRefs } from "../accounts/accounts.ts";
import { metersAtPoints, type RootMeter, updateMeters } from "../meters/meters.ts";
import { any, type Queryable, sql, type Tx } from "../platform/db.ts";
import { newId } from "../platform/id.ts";
import { invalid, notFound, Problem } from "../platform/problem.ts";
import { formatTimestamp } from "../platform/time/timestamp.ts";

/**
 * What happens to a metering point on a day. The meter and its series go on: an event says from when to when its
 * holder is there, which numbers it had, and when a device was exchanged.
 */
export const eventKinds = [
  "contract_ended",
  "moved_out",
  "moved_in",
  "meter_exchanged",
  "id_changed",
] as const;
export type EventKind = (typeof eventKinds)[number];

/** An event as it is kept. */
export interface MeterEvent {
  id: string;
  meterId: string;
  sourceId: string | null;
  kind: EventKind;
  /** `2026-03-29`: the first day on which it is so, in the zone of the meter. */
  day: string;
  oldEan: string | null;
  detail: Record<string, unknown>;
  /** Epoch milliseconds. */
  created: number;
  actorId: string | null;
}

const columns = sql`id, meter_id as "meterId", source_id as "sourceId", kind, day::text as day, old_ean as "oldEan",
  detail, (extract(epoch from created) * 1000)::float8 as created, actor_id as "actorId"`;

/** Events of root meters, in the order of their days. */
export async function eventsOf(db: Queryable, rootIds: readonly string[]): Promise<MeterEvent[]> {
  return db.rows(sql`
    select ${columns} from meter_event where meter_id = ${any(rootIds)} order by meter_event.day, id`);
}

/** Days between which values belong to a meter's holder: `[from, to)`, null where there is no bound. */
export interface Bounds {
  from: string | null;
  to: string | null;
}

/**
 * The days of the present holder by the events that are about a source, or about all of them: from the last moving in
 * to the first end behind it.
 */
export function boundsOf(
  events: readonly Pick<MeterEvent, "kind" | "day" | "sourceId">[],
  sourceId: string,
): Bounds {
  const about = events.filter((event) => event.sourceId === null || event.sourceId === sourceId);
  const from = latestOf(about.filter(({ kind }) => kind === "moved_in").map(({ day }) => day));
  const ends = about
    .filter(({ kind, day }) => (kind === "contract_ended" || kind === "moved_out") && day > (from ?? ""))
    .map(({ day }) => day);
  return { from, to: ends.sort()[0] ?? null };
}

const latestOf = (days: string[]): string | null => days.sort().at(-1) ?? null;

/** An event to add. */
export interface NewEvent {
  meter: Pick<RootMeter, "id" | "holderId" | "ean">;
  kind: EventKind;
  day: string;
  /** Of `id_changed`. */
  ean?: string | undefined;
  detail?: Record<string, unknown>;
  sourceId?: string | null;
  now: number;
  actorId: string | null;
}

/**
 * Adds an event. With `id_changed` the meter gets the new ean, and is still found under the old one. Throws 400 for an
 * id that is missing or the same, 409 when the account has another meter with the new one.
 */
export async function addEvent(tx: Tx, event: NewEvent): Promise<string> {
  const { meter, kind, day, ean, detail = {}, sourceId = null, now, actorId } = event;
  const id = newId(now);
  const isNewId = kind === "id_changed";
  if (isNewId) await changeId(tx, event);
  else if (ean !== undefined) throw invalid("ean", "belongs to events of the kind id_changed; leave it out");
  await tx.run(sql`
    insert into meter_event (id, meter_id, source_id, kind, day, old_ean, detail, created, actor_id)
    values (${id}, ${meter.id}, ${sourceId}, ${kind}, ${day}::date, ${isNewId ? meter.ean : null},
            ${JSON.stringify(isNewId ? { ...detail, old: meter.ean, new: ean } : detail)}::jsonb,
            ${new Date(now)}, ${actorId})`);
  return id;
}

async function changeId(tx: Tx, { meter, ean, now, actorId }: NewEvent): Promise<void> {
  if (ean === undefined) throw invalid("ean", "give the new id of the metering point");
  if (ean === meter.ean) throw invalid("ean", "is the id that the meter has");
  if (await holdsEan(tx, meter.holderId, ean)) {
    throw new Problem("conflict", "ean: another meter of the account has it", {
      errors: { ean: ["another meter of the account has it; change or delete that one first"] },
    });
  }
  await updateMeters(tx, { accountId: meter.holderId, now, actorId }, [{ _id: meter.id, ean }]);
}

/** Does an account hold a root meter with this id of a metering point? */
export async function holdsEan(db: Queryable, holderId: string, ean: string): Promise<boolean> {
  return (await metersAtPoints(db, [holderId], [ean])).some((meter) => meter.rootId === meter.id);
}

/** Root meters by metering points that they had before, for those of one account; the last change counts. */
export async function metersByOldEan(
  db: Queryable,
  eans: readonly string[],
): Promise<{ meterId: string; ean: string }[]> {
  if (eans.length === 0) return [];
  return db.rows(sql`
    select meter_id as "meterId", old_ean as ean from meter_event where old_ean = ${any(eans)} order by id`);
}

/** Takes back an event that a person or the server added; 404 when it is not there, 403 when a provider told it. */
export async function removeEvent(
  tx: Tx,
  { meter, id, now, actorId }: Pick<NewEvent, "meter" | "now" | "actorId"> & { id: string },
): Promise<void> {
  const event = (await eventsOf(tx, [meter.id])).find((one) => one.id === id);
  if (event === undefined) throw notFound(`event ${id} of meter ${meter.id}`);
  if (event.sourceId !== null) {
    throw new Problem(
      "forbidden",
      "The provider says so each time; the event goes when the provider takes it back",
    );
  }
  if (event.kind === "id_changed" && event.oldEan !== null && event.detail.new === meter.ean) {
    if (await holdsEan(tx, meter.holderId, event.oldEan)) {
      throw new Problem("conflict", "Another meter of the account has the id from before this event");
    }
    await updateMeters(tx, { accountId: meter.holderId, now, actorId }, [
      { _id: meter.id, ean: event.oldEan },
    ]);
  }
  await tx.run(sql`delete from meter_event where id = ${id}`);
}

/** Events as the API shows them. */
export async function showEvents(db: Queryable, events: readonly MeterEvent[]): Promise<object[]> {
  const actors = await accountRefs(
    db,
    events.flatMap((event) => event.actorId ?? []),
  );
  return events.map(({ id, kind, day, detail, created, actorId, sourceId }) => {
    const actor = actorId === null ? undefined : actors.get(actorId);
    return {
      _id: id,
      kind,
      day,
      detail,
      source: sourceId,
      actor: actor === undefined ? null : { _id: actor._id, name: actor.name },
      created: formatTimestamp(created),
    };
  });
}
