import { z } from "zod";
import type { Queryable } from "../platform/db.ts";
import { type Endpoint, endpoint } from "../platform/http/endpoint.ts";
import { formatTimestamp, id, timestampText } from "../platform/http/schema.ts";
import { boundsOf, eventsOf } from "./meter-event.ts";
import { governedRoot } from "./meter-event-api.ts";
import { orderSources, sourcesOfMeter } from "./source.ts";

const sourceView = z.object({
  _id: z.string(),
  provider: z.string(),
  connection: z.object({ _id: z.string() }).nullable().describe("Null when it was deleted"),
  key: z.string().describe("The provider's own key of the meter"),
  customer: z.object({ number: z.string(), name: z.string() }).nullable(),
  text: z.string().nullable().describe("The provider's own words about it"),
  first_found: timestampText(),
  last_found: timestampText(),
  vanished: timestampText().nullable().describe("Since when the provider does not show the meter any more"),
  from: z.string().nullable().describe("Day of the first value that is taken"),
  to: z.string().nullable().describe("Day from which on no value is taken"),
});

async function shown(db: Queryable, meterId: string): Promise<z.output<typeof sourceView>[]> {
  const [sources, events] = [await sourcesOfMeter(db, meterId), await eventsOf(db, [meterId])];
  return sources.map(({ id, provider, connectionId, key, found, firstFound, lastFound, vanished }) => ({
    _id: id,
    provider,
    connection: connectionId === null ? null : { _id: connectionId },
    key,
    customer: found.customer ?? null,
    text: found.text ?? null,
    first_found: formatTimestamp(firstFound),
    last_found: formatTimestamp(lastFound),
    vanished: vanished === null ? null : formatTimestamp(vanished),
    ...boundsOf(events, id),
  }));
}

const list = endpoint({
  method: "GET",
  path: "/meters/:id/sources",
  access: "basic",
  summary: "The connections that have found a meter; the values of the first one win.",
  ids: { id: "meter" },
  params: z.object({ id: id() }),
  reply: z.array(sourceView),
  handle: async ({ who, params }, { db }) => shown(db, (await governedRoot(db, who, params.id)).id),
});

const order = endpoint({
  method: "PUT",
  path: "/meters/:id/sources",
  access: "write_meters",
  summary: "Puts the sources of a meter in another order: takes all their ids, the one that wins first.",
  description:
    "The order counts for what is delivered from now on, value by value: where the first source has none, the next " +
    "one's stands. A source that was moved up also goes before uploaded files. What it had delivered before does " +
    "not change by itself; let its connection read the period again for that.",
  ids: { id: "meter", body: "meter_source" },
  params: z.object({ id: id() }),
  body: z.array(id()).min(1).max(100),
  reply: z.array(sourceView),
  handle: ({ who, params, body }, { db }) =>
    db.transaction(async (tx) => {
      const meter = await governedRoot(tx, who, params.id);
      await orderSources(tx, meter.id, body);
      return shown(tx, meter.id);
    }),
});

/** Which connections a meter was found by. */
export const sourceEndpoints: Endpoint[] = [list, order];
