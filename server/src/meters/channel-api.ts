import { z } from "zod";
import { type Endpoint, endpoint, Message } from "../platform/http/endpoint.ts";
import { id } from "../platform/http/schema.ts";
import { closeChannel, listChannels, listOpenMeters, openChannel } from "./channels.ts";
import { channelView, openMeterView } from "./schema.ts";

const list = endpoint({
  method: "GET",
  path: "/open_channels",
  access: "public",
  summary: "Lists open channels: meters whose values anybody may read.",
  description:
    "`granularities` and `metrics` keep channels that have one of them, `name` those that contain it.",
  filters: () => true,
  reply: z.array(channelView),
  list: true,
  handle: ({ search, ignored }, { db, settings }) =>
    listChannels(db, { search, ignored, pageMax: settings.pageMax }),
});

const listMeters = endpoint({
  method: "GET",
  path: "/open_channels/:id/meters",
  access: "public",
  summary: "Lists the meters of an open channel.",
  ids: { id: "open_channel" },
  params: z.object({ id: id() }),
  filters: () => true,
  reply: z.array(openMeterView),
  list: true,
  handle: ({ params, search, ignored }, { db, settings }) =>
    listOpenMeters(db, params.id, { search, ignored, pageMax: settings.pageMax }),
});

const open = endpoint({
  method: "POST",
  path: "/open_channels",
  access: "write_meters",
  role: "administrator",
  summary:
    "Opens a channel. Put root meters in with their `open_channel_ids`: from then on anybody may read them.",
  body: z.object({ name: z.string().trim().min(1).max(200) }),
  reply: channelView,
  handle: ({ who, body }, { db, clock }) =>
    db.transaction((tx) => openChannel(tx, { accountId: who.accountId, name: body.name, now: clock.now() })),
});

const close = endpoint({
  method: "DELETE",
  path: "/open_channels/:id",
  access: "write_meters",
  role: "administrator",
  summary: "Closes a channel: its meters are open no more.",
  ids: { id: "open_channel" },
  params: z.object({ id: id() }),
  reply: z.undefined(),
  async handle({ who, params }, { db }) {
    await db.transaction((tx) => closeChannel(tx, who.accountId, params.id));
    return new Message("Deleted open channel.");
  },
});

/** Open channels. */
export const channelEndpoints: Endpoint[] = [list, listMeters, open, close];
