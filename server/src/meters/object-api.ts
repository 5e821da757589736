import { z } from "zod";
import { reach } from "../accounts/accounts.ts";
import type { Db } from "../platform/db.ts";
import type { Granularity } from "../platform/granularity.ts";
import { type Endpoint, endpoint } from "../platform/http/endpoint.ts";
import { accountId, id } from "../platform/http/schema.ts";
import { Problem } from "../platform/problem.ts";
import { doing } from "./activity.ts";
import { createMeters } from "./create.ts";
import { listMeters } from "./list.ts";
import { metersById, ownMeter, type Places, showMeters } from "./meter.ts";
import { meterChange, meterCreation, meterView } from "./schema.ts";
import { type Change, updateMeter, updateMeters } from "./update.ts";

/**
 * The endpoints that answer with meters. A meter shows its places in trees, and `tree_structure_ids` filters by them,
 * but trees stand above meters: so the list is made by a function, and the trees, which import this, call it with
 * what they know. Everything that makes or changes meters stays here.
 */
export function meterObjectEndpoints(places: Places): Endpoint[] {
  return [...listEndpoints(places), readMeter(places), createMeter(places), ...changeEndpoints(places)];
}

const oneMeter = z.object({ id: id() });
const oneAccount = z.object({ id: accountId() });

async function shown(db: Db, ids: readonly string[], places: Places): Promise<object[]> {
  return showMeters(db, await metersById(db, ids), places);
}

function listEndpoints(places: Places): Endpoint[] {
  const listMine = endpoint({
    method: "GET",
    path: "/meters",
    access: "basic",
    summary: "Lists the meters of the account.",
    description:
      "Filters are fields of a meter; further `tree_structure_ids` (meters anywhere below these tree nodes), " +
      "`assigner.name`, `root.holder.name` and `active=true` for `box=active`. Revoked meters are left out unless " +
      "`revoked` is given.",
    filters: () => true,
    reply: z.array(meterView),
    list: true,
    handle: ({ who, search, ignored }, { db, settings }) =>
      listMeters(db, { accountId: who.accountId, search, ignored, pageMax: settings.pageMax, places }),
  });
  const listOfAccount = endpoint({
    method: "GET",
    path: "/accounts/:id/meters",
    access: "basic",
    summary: "Lists the meters of your own account, or of one that you manage.",
    ids: { id: "account" },
    params: oneAccount,
    filters: () => true,
    reply: z.array(meterView),
    list: true,
    async handle({ who, params, search, ignored }, { db, settings }) {
      const account = await reach(db, who, params.id);
      return listMeters(db, { accountId: account.id, search, ignored, pageMax: settings.pageMax, places });
    },
  });
  return [listMine, listOfAccount];
}

function readMeter(places: Places): Endpoint {
  return endpoint({
    method: "GET",
    path: "/meters/:id",
    access: "basic",
    summary: "Reads a meter by its own id or the id of its root meter.",
    ids: { id: "meter" },
    params: oneMeter,
    reply: meterView,
    async handle({ who, params }, { db }) {
      const meter = await ownMeter(db, who.accountId, params.id);
      return (await showMeters(db, [meter], places))[0];
    },
  });
}

function createMeter(places: Places): Endpoint {
  return endpoint({
    method: "POST",
    path: "/meters",
    access: "write_meters",
    summary: "Makes a meter that is read by hand, or a sub-meter.",
    body: meterCreation,
    reply: meterView,
    async handle({ who, body }, { db, clock }) {
      const { expected_granularity: expectedGranularity, on_hold: onHold = false, ...rest } = body;
      const [meter] = await db.transaction((tx) =>
        createMeters(tx, { ...doing(who, clock.now()), holderId: who.accountId }, [
          {
            ...withoutUndefined(rest),
            type: rest.type,
            expectedGranularity: (expectedGranularity ?? null) as Granularity | null,
            onHold,
            controlLevel: "manual",
          },
        ]),
      );
      if (!meter!.created) {
        throw new Problem("conflict", `ean: this account has the meter ${meter!.id} with it`, {
          errors: { ean: [`the meter ${meter!.id} has it; change that one, or give another ean or channel`] },
        });
      }
      return (await shown(db, [meter!.id], places))[0];
    },
  });
}

function withoutUndefined<T extends object>(given: T): { [K in keyof T]: Exclude<T[K], undefined> } {
  const entries = Object.entries(given).filter(([, value]) => value !== undefined);
  return Object.fromEntries(entries) as { [K in keyof T]: Exclude<T[K], undefined> };
}

function changeEndpoints(places: Places): Endpoint[] {
  const change = (method: "POST" | "PUT") =>
    endpoint({
      method,
      path: "/meters/:id",
      access: "write_meters",
      summary: "Changes a meter; what the body leaves out stays.",
      description:
        "`type`, `ean`, `representation`, `expected_granularity`, `location` and `open_channel_ids` are facts of the " +
        "root meter: only its holder changes them, and all copies follow.",
      ids: { id: "meter", open_channel_ids: "open_channel" },
      params: oneMeter,
      body: meterChange,
      reply: meterView,
      async handle({ who, params, body }, { db, clock }) {
        const options = { ...doing(who, clock.now()), accountId: who.accountId, id: params.id };
        const changed = await db.transaction((tx) => updateMeter(tx, options, body as Change));
        return (await shown(db, [changed], places))[0];
      },
    });
  const changeMany = endpoint({
    method: "PUT",
    path: "/meters",
    access: "write_meters",
    summary: "Changes many meters, all or none.",
    description: "Errors name the index in the list: `3.box`.",
    ids: { _id: "meter", open_channel_ids: "open_channel" },
    body: z
      .array(meterChange.extend({ _id: id() }))
      .min(1)
      .max(1000),
    reply: z.array(meterView),
    async handle({ who, body }, { db, clock }) {
      const options = { ...doing(who, clock.now()), accountId: who.accountId };
      const ids = await db.transaction((tx) =>
        updateMeters(tx, options, body as (Change & { _id: string })[]),
      );
      return shown(db, ids, places);
    },
  });
  return [change("POST"), change("PUT"), changeMany];
}
