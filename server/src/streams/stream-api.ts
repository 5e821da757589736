import { z } from "zod";
import type { Queryable } from "../platform/db.ts";
import { sql } from "../platform/db.ts";
import { type Caller, type Endpoint, endpoint, Message, Page } from "../platform/http/endpoint.ts";
import { fieldsOf, readList } from "../platform/http/filter.ts";
import { id, timestamp } from "../platform/http/schema.ts";
import { notFound } from "../platform/problem.ts";
import { lagOf } from "./lag.ts";
import { resetStream } from "./reset.ts";
import { granularity, resource, streamView, viewStream } from "./schema.ts";
import {
  commit,
  createStream,
  removeStream,
  resources,
  type Stream,
  streamById,
  streamColumns,
  streamGranularities,
} from "./stream.ts";

export const oneStream = z.object({ id: id() });

/** Which streams a caller sees: those of its client, and a person all of the account. */
const mine = (who: Caller) => sql`s.account_id = ${who.accountId} and s.owner is null
  and (${who.kind === "session"} or s.client_id is not distinct from ${who.clientId})`;

/** A stream of the caller. @throws Problem 404 */
export async function ownStream(db: Queryable, who: Caller, streamId: string): Promise<Stream> {
  const found = await db.maybe<Stream>(
    sql`select ${streamColumns} from stream s where s.id = ${streamId} and ${mine(who)}`,
  );
  if (found === undefined) throw notFound(`stream ${streamId} of account ${who.accountId}`);
  return found;
}

const fields = fieldsOf({
  _id: { kind: "id", column: sql`s.id` },
  created: { kind: "timestamp", column: sql`s.created` },
  resource: { kind: "enum", column: sql`s.resource`, values: resources },
  granularity: { kind: "enum", column: sql`s.granularity`, values: streamGranularities },
});

const list = endpoint({
  method: "GET",
  path: "/streams",
  access: "basic",
  summary: "Streams of the account.",
  filters: () => true,
  reply: z.array(streamView),
  list: true,
  async handle({ who, search, ignored }, { db, settings, clock }) {
    const { where, orderBy, skip, limit } = readList(search, { fields, ignored, pageMax: settings.pageMax });
    const { count } = await db.one<{ count: number }>(
      sql`select count(*) as count from stream s where ${mine(who)}${where}`,
    );
    const rows = await db.rows<Stream>(sql`
      select ${streamColumns} from stream s where ${mine(who)}${where}
      order by ${orderBy} offset ${skip} limit ${limit}`);
    const views: unknown[] = [];
    for (const stream of rows) views.push(viewStream(stream, await lagOf(db, stream, clock.now())));
    return new Page(views, { count, skip, limit });
  },
});

const read = endpoint({
  method: "GET",
  path: "/streams/:id",
  access: "basic",
  summary: "One stream, and how far its consumer is behind.",
  ids: { id: "stream" },
  params: oneStream,
  reply: streamView,
  async handle({ who, params }, { db, clock }) {
    const stream = await ownStream(db, who, params.id);
    return viewStream(stream, await lagOf(db, stream, clock.now()));
  },
});

const create = endpoint({
  method: "POST",
  path: "/streams",
  access: "basic",
  summary: "Makes a stream: all history of the account's active meters, then every change.",
  description: "It belongs to the account and to the OAuth client that makes it. See `docs/streams.md`.",
  body: z.object({ resource, granularity: granularity.optional() }),
  reply: streamView,
  async handle({ who, body }, { db, clock }) {
    const stream = await db.transaction((tx) =>
      createStream(tx, {
        accountId: who.accountId,
        clientId: who.clientId,
        resource: body.resource,
        granularity: body.granularity ?? null,
        now: clock.now(),
      }),
    );
    return viewStream(stream, await lagOf(db, stream, clock.now()));
  },
});

const remove = endpoint({
  method: "DELETE",
  path: "/streams/:id",
  access: "basic",
  summary: "Deletes a stream. Whoever consumes it gets nothing more.",
  ids: { id: "stream" },
  params: oneStream,
  reply: z.undefined(),
  async handle({ who, params }, { db }) {
    await removeStream(db, (await ownStream(db, who, params.id)).id);
    return new Message("Deleted stream.");
  },
});

const confirm = endpoint({
  method: "POST",
  path: "/streams/:id/commit",
  access: "basic",
  summary: "Confirms an offset: everything before it was processed.",
  description:
    "`consume` with the offset does the same. A smaller offset than `last_offset` changes nothing.",
  ids: { id: "stream" },
  params: oneStream,
  body: z.object({ offset: z.int().min(1) }),
  reply: streamView,
  async handle({ who, params, body }, { db, clock }) {
    const { id: streamId } = await ownStream(db, who, params.id);
    await commit(db, streamId, body.offset);
    const stream = await streamById(db, streamId);
    return viewStream(stream, await lagOf(db, stream, clock.now()));
  },
});

const reset = endpoint({
  method: "POST",
  path: "/streams/:id/reset",
  access: "basic",
  summary: "Gives everything once more, or the changes since an instant.",
  description:
    "With `from`, changes since then are given again as long as the log reaches back to it; else, and without `from`, all present values. Offsets that were issued before go on from there.",
  ids: { id: "stream" },
  params: oneStream,
  body: z.object({ from: timestamp().nullable().optional() }).optional(),
  reply: streamView,
  async handle({ who, params, body }, { db, clock }) {
    const { id: streamId } = await ownStream(db, who, params.id);
    const stream = await resetStream(db, streamId, { from: body?.from ?? null, now: clock.now() });
    return viewStream(stream, await lagOf(db, stream, clock.now()));
  },
});

/** Endpoints that make and keep streams. */
export const streamKeepingEndpoints: Endpoint[] = [list, read, create, remove, confirm, reset];
