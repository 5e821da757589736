import { z } from "zod";
import { managerOf } from "../accounts/accounts.ts";
import { ownMeter, type RootMeter, rootMeters } from "../meters/meters.ts";
import type { Queryable } from "../platform/db.ts";
import { type Caller, type Endpoint, endpoint, Message, Page } from "../platform/http/endpoint.ts";
import { readPaging } from "../platform/http/filter.ts";
import { id, timestampText } from "../platform/http/schema.ts";
import { Problem } from "../platform/problem.ts";
import { resolveVanished } from "./issue.ts";
import { addEvent, eventKinds, eventsOf, removeEvent, showEvents } from "./meter-event.ts";

const eventView = z.object({
  _id: z.string(),
  kind: z.enum(eventKinds),
  day: z.string().describe("The first day on which it is so, in the zone of the meter"),
  detail: z.record(z.string(), z.unknown()).describe("`old` and `new` ean of id_changed; `note`"),
  source: z.string().nullable().describe("Id of the source that told it; null for people and the server"),
  actor: z.object({ _id: z.string(), name: z.string() }).nullable(),
  created: timestampText(),
});

/** A day of the calendar: `2026-03-29`. */
export const dayText = z.iso.date("must be a day such as 2026-03-29").meta({ example: "2026-03-29" });

/**
 * The root meter behind an id of the caller's own reference. What is known of a metering point is written by the
 * account that holds the root meter, or manages the holder.
 */
export async function governedRoot(db: Queryable, who: Caller, meterId: string): Promise<RootMeter> {
  const meter = await ownMeter(db, who.accountId, meterId);
  const { root_holder_id: holder } = meter;
  if (holder !== who.accountId && (await managerOf(db, holder)) !== who.accountId) {
    throw new Problem(
      "forbidden",
      "Only the holder of the root meter, or who manages that account, may do this",
    );
  }
  return (await rootMeters(db, [meter.root_id]))[0]!;
}

const onMeter = z.object({ id: id() });

const list = endpoint({
  method: "GET",
  path: "/meters/:id/events",
  access: "basic",
  summary: "What happened to a metering point, by day: contracts, moves, exchanged devices, changed ids.",
  ids: { id: "meter" },
  params: onMeter,
  query: z.object({
    skip: z.string().optional(),
    offset: z.string().optional(),
    limit: z.string().optional(),
  }),
  reply: z.array(eventView),
  list: true,
  async handle({ who, params, search }, { db, settings }) {
    const { skip, limit } = readPaging(search, settings.pageMax);
    const events = await eventsOf(db, [(await governedRoot(db, who, params.id)).id]);
    const page = events.slice(skip, skip + limit);
    return new Page(await showEvents(db, page), { count: events.length, skip, limit });
  },
});

const add = endpoint({
  method: "POST",
  path: "/meters/:id/events",
  access: "write_meters",
  summary: "Notes what happened to a metering point on a day. Its series go on.",
  description:
    "`contract_ended` and `moved_out`: values are collected up to that day. `moved_in`: the holder's values begin on " +
    "that day; earlier ones are not taken, whatever the provider shows. `meter_exchanged`: a new device at the same " +
    "point. `id_changed`: the point has the id `ean` from then on, and is still found under the old one.",
  ids: { id: "meter" },
  params: onMeter,
  body: z.object({
    kind: z.enum(eventKinds),
    day: dayText,
    ean: z.string().trim().min(1).max(100).optional().meta({ description: "The new id, of id_changed." }),
    note: z
      .string()
      .trim()
      .max(500)
      .refine((text) => !text.includes("\0"), "must not contain the character NUL")
      .optional(),
  }),
  reply: eventView,
  examples: { body: { kind: "meter_exchanged", day: "2026-03-29", note: "Old device 4711" } },
  handle: ({ who, params, body }, { db, clock }) =>
    db.transaction(async (tx) => {
      const meter = await governedRoot(tx, who, params.id);
      const { kind, day, ean, note } = body;
      const detail = note === undefined || note === "" ? {} : { note };
      const actorId = who.actorId ?? who.ownAccountId;
      const now = clock.now();
      const added = await addEvent(tx, { meter, kind, day, ean, detail, now, actorId });
      if (kind === "contract_ended" || kind === "moved_out") await resolveVanished(tx, meter.id, now);
      const event = (await eventsOf(tx, [meter.id])).find((one) => one.id === added)!;
      return (await showEvents(tx, [event]))[0];
    }),
});

const remove = endpoint({
  method: "DELETE",
  path: "/meters/:id/events/:event_id",
  access: "write_meters",
  summary: "Takes an event back that was noted by hand; a changed id becomes what it was.",
  ids: { id: "meter", event_id: "meter_event" },
  params: onMeter.extend({ event_id: id() }),
  reply: z.undefined(),
  async handle({ who, params }, { db, clock }) {
    await db.transaction(async (tx) => {
      const meter = await governedRoot(tx, who, params.id);
      const actorId = who.actorId ?? who.ownAccountId;
      await removeEvent(tx, { meter, id: params.event_id, now: clock.now(), actorId });
    });
    return new Message("Deleted event.");
  },
});

/** What happened to metering points. */
export const meterEventEndpoints: Endpoint[] = [list, add, remove];
