import { z } from "zod";
import {
  accountRefView,
  addSubscriber,
  listSubscribers,
  reach,
  removeSubscriber,
  type Subscriber,
  subscriberById,
} from "../accounts/accounts.ts";
import { type Endpoint, endpoint, Message, Page } from "../platform/http/endpoint.ts";
import { readPaging } from "../platform/http/filter.ts";
import { accountId, boolean, formatTimestamp, id } from "../platform/http/schema.ts";
import { invalid } from "../platform/problem.ts";
import { doing } from "./activity.ts";
import { accountGiven, pagingQuery } from "./schema.ts";
import { revokeAll, shareAll } from "./share.ts";

const subscriberView = z.object({ _id: z.string(), subscriber: accountRefView, created: z.string() });

function view({ id, subscriber, created }: Subscriber): z.output<typeof subscriberView> {
  return { _id: id, subscriber, created: formatTimestamp(created) };
}

const list = endpoint({
  method: "GET",
  path: "/accounts/:id/meter_subscribers",
  access: "basic",
  summary: "Lists the accounts that get the meters of an account by themselves.",
  ids: { id: "account" },
  params: z.object({ id: accountId() }),
  query: pagingQuery,
  reply: z.array(subscriberView),
  list: true,
  async handle({ who, params, search }, { db, settings }) {
    const account = await reach(db, who, params.id);
    const all = await listSubscribers(db, account.id);
    const { skip, limit } = readPaging(search, settings.pageMax);
    return new Page(all.slice(skip, skip + limit).map(view), { count: all.length, skip, limit });
  },
});

const oneSubscriber = z.object({ id: accountId(), subscriber_id: id() });

const read = endpoint({
  method: "GET",
  path: "/accounts/:id/meter_subscribers/:subscriber_id",
  access: "basic",
  summary: "Reads a meter subscriber.",
  ids: { id: "account", subscriber_id: "subscriber" },
  params: oneSubscriber,
  reply: subscriberView,
  async handle({ who, params }, { db }) {
    const account = await reach(db, who, params.id);
    return view(await subscriberById(db, account.id, params.subscriber_id));
  },
});

const add = endpoint({
  method: "POST",
  path: "/accounts/:id/meter_subscribers",
  access: "write_meters",
  role: "administrator",
  summary: "Adds a meter subscriber: it gets all meters of the account, now and in the future.",
  ids: { id: "account", subscriber: "account" },
  params: z.object({ id: accountId() }),
  body: z.object({ subscriber: accountGiven }),
  reply: subscriberView,
  handle: ({ who, params, body }, { db, clock }) =>
    db.transaction(async (tx) => {
      const account = await reach(tx, who, params.id);
      if (account.id === body.subscriber) throw invalid("subscriber", "is the account itself; name another");
      const now = clock.now();
      const added = await addSubscriber(tx, { accountId: account.id, subscriberId: body.subscriber, now });
      await shareAll(tx, { ...doing(who, now), from: account.id, to: body.subscriber });
      return view(added);
    }),
});

const remove = endpoint({
  method: "DELETE",
  path: "/accounts/:id/meter_subscribers/:subscriber_id",
  access: "write_meters",
  role: "administrator",
  summary: "Ends that an account gets the meters by itself; with `revoke_meters` it loses those that it has.",
  ids: { id: "account", subscriber_id: "subscriber" },
  params: oneSubscriber,
  body: z.object({ revoke_meters: boolean().default(false) }).optional(),
  reply: z.undefined(),
  handle: ({ who, params, body }, { db, clock }) =>
    db.transaction(async (tx) => {
      const account = await reach(tx, who, params.id);
      const { subscriber } = await removeSubscriber(tx, account.id, params.subscriber_id);
      if (body?.revoke_meters === true) {
        await revokeAll(tx, { ...doing(who, clock.now()), from: account.id, to: subscriber._id });
      }
      return new Message("Deleted meter subscriber.");
    }),
});

/** `/accounts/{id}/meter_subscribers`: here and not with the accounts, because they share meters. */
export const subscriberEndpoints: Endpoint[] = [list, read, add, remove];
