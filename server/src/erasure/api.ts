import { z } from "zod";
import { actorOf, audit, markDeleted, reach } from "../accounts/accounts.ts";
import { ownMeter, removeMeters, revokeAll } from "../meters/meters.ts";
import { type Endpoint, endpoint, Message } from "../platform/http/endpoint.ts";
import { accountId, id } from "../platform/http/schema.ts";
import { eraseAccountJob, eraseRoots } from "./erasure.ts";

const deleteMeter = endpoint({
  method: "DELETE",
  path: "/meters/:id",
  access: "write_meters",
  summary: "Deletes a meter: a copy leaves the account, a root meter goes with all its values and copies",
  ids: { id: "meter" },
  params: z.object({ id: id() }),
  reply: z.unknown(),
  async handle({ params, who }, { db, clock }) {
    await db.transaction(async (tx) => {
      const meter = await ownMeter(tx, who.accountId, params.id);
      if (meter.parent_id === null) await eraseRoots(tx, meter.part, [meter.id]);
      else await removeMeters(tx, [meter.id]);
      await audit(tx, {
        at: clock.now(),
        accountId: who.accountId,
        actor: actorOf(who),
        action: "meter.delete",
        subject: meter.id,
        detail: { root: meter.root_id },
      });
    });
    return new Message("Deleted meter.");
  },
});

const deleteAccount = endpoint({
  method: "DELETE",
  path: "/accounts/:id",
  access: "write_accounts",
  role: "administrator",
  summary: "Deletes a subaccount, or the own account, with everything that it holds",
  description:
    "The account and its meters vanish at once, also from the accounts that they were shared with. Its stored values are erased shortly after.",
  ids: { id: "account" },
  params: z.object({ id: accountId() }),
  reply: z.unknown(),
  async handle({ params, who }, { db, keys, clock, jobs }) {
    const account = await reach(db, who, params.id);
    await db.transaction(async (tx) => {
      const now = clock.now();
      await markDeleted(tx, { db, keys }, { id: account.id, now });
      await revokeAll(tx, { from: account.id, now, actorId: who.actorId });
      await audit(tx, {
        at: now,
        accountId: who.accountId,
        actor: actorOf(who),
        action: "account.delete",
        subject: account.id,
        detail: { name: account.name },
      });
      await jobs.send(tx, eraseAccountJob.name, { accountId: account.id });
    });
    return new Message("Deleted account.");
  },
});

/** Endpoints that take data away for good. */
export const erasureEndpoints: Endpoint[] = [deleteMeter, deleteAccount];
