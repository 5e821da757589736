import { z } from "zod";
import { reach } from "../accounts/accounts.ts";
import { type Endpoint, endpoint } from "../platform/http/endpoint.ts";
import { readPaging } from "../platform/http/filter.ts";
import { accountId, id } from "../platform/http/schema.ts";
import { accountStats, billingSummary } from "./account-stats.ts";
import { activityOf, doing } from "./activity.ts";
import { channelEndpoints } from "./channel-api.ts";
import { ownMeter } from "./meter.ts";
import { meterTypes } from "./reference.ts";
import { accountGiven, copyView, pagingQuery, statsView } from "./schema.ts";
import { grant, withdraw } from "./sharing.ts";
import { subscriberEndpoints } from "./subscriber-api.ts";

const wishes = z
  .array(z.object({ _id: id(), holder: accountGiven }))
  .min(1)
  .max(1000);

const giveMany = (verb: "assign_to" | "share_with") =>
  endpoint({
    method: "POST",
    path: `/meters/many/${verb}`,
    access: "write_meters",
    summary:
      verb === "assign_to"
        ? "Assigns root meters to their subscribers; all or none."
        : "Shares meters with other accounts; all or none.",
    description:
      "Takes `[{_id: meter, holder: account}]` and answers one copy per entry, in order. What was shared before " +
      "stays as it is, and what was revoked comes back with the same id. Errors name the index in the list.",
    ids: { _id: "meter", holder: "account" },
    body: wishes,
    reply: z.array(copyView),
    handle: ({ who, body }, { db, clock }) =>
      db.transaction((tx) =>
        grant(
          tx,
          {
            ...doing(who, clock.now()),
            accountId: who.accountId,
            as: verb === "assign_to" ? "assigned" : "shared",
          },
          body,
        ),
      ),
  });

const revokeMany = endpoint({
  method: "PUT",
  path: "/meters/many/revoke",
  access: "write_meters",
  summary: "Withdraws copies that this account shared or assigned, with all copies of them; all or none.",
  description: "Takes a list of ids, as the `children` of your meters have them.",
  ids: { body: "meter" },
  body: z.array(id()).min(1).max(1000),
  reply: z.array(z.object({ _id: z.string(), revoked: z.literal(true) })),
  async handle({ who, body }, { db, clock }) {
    const options = { ...doing(who, clock.now()), accountId: who.accountId };
    await db.transaction((tx) => withdraw(tx, options, body));
    return body.map((_id) => ({ _id, revoked: true as const }));
  },
});

const readActivity = endpoint({
  method: "GET",
  path: "/meters/:id/activity",
  access: "basic",
  summary: "What happened to a meter, newest first.",
  ids: { id: "meter" },
  params: z.object({ id: id() }),
  query: pagingQuery,
  reply: z.array(
    z.object({
      _id: z.string(),
      created: z.string(),
      action: z.string().describe("created, updated, moved, shared, assigned, received or revoked"),
      actor: z.object({ _id: z.string(), name: z.string() }).nullable(),
      detail: z.record(z.string(), z.unknown()),
    }),
  ),
  list: true,
  async handle({ who, params, search }, { db, settings }) {
    const meter = await ownMeter(db, who.accountId, params.id);
    return activityOf(db, meter.id, readPaging(search, settings.pageMax));
  },
});

const oneAccount = z.object({ id: accountId() });

const readAccountStats = endpoint({
  method: "GET",
  path: "/accounts/:id/consumption_stats",
  access: "basic",
  summary: "Statistics over all meters of an account, without revoked ones and those on hold.",
  ids: { id: "account" },
  params: oneAccount,
  reply: statsView,
  async handle({ who, params }, { db }) {
    return accountStats(db, (await reach(db, who, params.id)).id);
  },
});

const readBillingSummary = endpoint({
  method: "GET",
  path: "/accounts/:id/billing_summary",
  access: "basic",
  summary: "How many meters of an account are billed: active, not revoked, each root meter once.",
  ids: { id: "account" },
  params: oneAccount,
  reply: z.object({ billable_meters: z.int(), types: z.partialRecord(z.enum(meterTypes), z.int()) }),
  async handle({ who, params }, { db }) {
    return billingSummary(db, (await reach(db, who, params.id)).id);
  },
});

/** Endpoints of meters that do not show meter objects; those are made by `meterObjectEndpoints`. */
export const meterEndpoints: Endpoint[] = [
  giveMany("assign_to"),
  giveMany("share_with"),
  revokeMany,
  readActivity,
  readAccountStats,
  readBillingSummary,
  ...subscriberEndpoints,
  ...channelEndpoints,
];
