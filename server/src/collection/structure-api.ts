import { z } from "zod";
import { type Account, actorOf, audit, reach } from "../accounts/accounts.ts";
import type { Queryable } from "../platform/db.ts";
import { type Endpoint, endpoint } from "../platform/http/endpoint.ts";
import { accountId, boolean, formatTimestamp, timestampText } from "../platform/http/schema.ts";
import { invalid } from "../platform/problem.ts";
import {
  type Collecting,
  chooseStructure,
  collectingIn,
  type Structure,
  structureOf,
  structures,
} from "./structure.ts";

const counts = z.object({ connections: z.int(), meters: z.int() });

const structureView = z.object({
  structure: z
    .enum(structures)
    .nullable()
    .describe("Null while none was chosen: connections may be anywhere"),
  since: timestampText().nullable(),
  preview: z.boolean().describe("True: nothing was changed"),
  account: counts.describe("Connections in the account itself, and the meters that they found"),
  subaccounts: counts.describe("Connections in its subaccounts, and the meters that they found"),
  effects: z.array(z.string()).describe("What the structure means for what is there, in sentences"),
});

const many = (count: number, what: string) => `${count} ${what}${count === 1 ? "" : "s"}`;

/** What a structure means for what is there already. */
function effectsOf(structure: Structure, { account, subaccounts }: Collecting): string[] {
  const stay = (count: number, where: string) =>
    count === 0
      ? []
      : [
          `${many(count, "connection")} in ${where} stay there and go on collecting, with their meters and values.`,
        ];
  if (structure === "property_manager") {
    return [
      "New connections belong to a subaccount, one per customer.",
      "Meters that they find belong to the subaccount and are shared with this account at once, with the subaccount as their assigner.",
      ...stay(account.connections, "this account"),
      ...(account.connections === 0
        ? []
        : ["To move one, delete it with its data kept, and connect the customer's subaccount instead."]),
    ];
  }
  return [
    "New connections belong to this account itself; their meters carry no customer.",
    "Rules can place meters in a tree by address, customer or words of the provider.",
    ...stay(subaccounts.connections, "subaccounts"),
    ...(subaccounts.connections === 0 ? [] : ["Their meters stay shared with this account."]),
  ];
}

async function shown(
  db: Queryable,
  account: Account,
  { structure, preview }: { structure?: Structure; preview: boolean },
): Promise<z.output<typeof structureView>> {
  const chosen = await structureOf(db, account.id);
  const collecting = await collectingIn(db, account.id);
  const shownStructure = structure ?? chosen?.structure ?? null;
  return {
    structure: shownStructure,
    since: chosen === null || chosen.structure !== shownStructure ? null : formatTimestamp(chosen.since),
    preview,
    ...collecting,
    effects: shownStructure === null ? [] : effectsOf(shownStructure, collecting),
  };
}

const params = z.object({ id: accountId() });

const read = endpoint({
  method: "GET",
  path: "/accounts/:id/structure",
  access: "basic",
  summary: "Where connections of an account belong: in its customers' subaccounts, or in the account itself.",
  ids: { id: "account" },
  params,
  reply: structureView,
  handle: async ({ who, params: { id } }, { db }) => shown(db, await reach(db, who, id), { preview: false }),
});

const choose = endpoint({
  method: "POST",
  path: "/accounts/:id/structure",
  access: "collection",
  role: "administrator",
  summary: "Chooses where new connections belong; `preview` only says what that would mean.",
  description:
    "`property_manager`: each customer is a subaccount with connections of its own. `classic`: connections live in the " +
    "account. What is there already stays where it is and is collected as before.",
  ids: { id: "account" },
  params,
  body: z.object({ structure: z.enum(structures), preview: boolean().default(false) }),
  reply: structureView,
  examples: { body: { structure: "property_manager", preview: true } },
  handle: ({ who, params: { id }, body: { structure, preview } }, { db, clock }) =>
    db.transaction(async (tx) => {
      const account = await reach(tx, who, id);
      if (account.manager_id !== null)
        throw invalid("structure", "is chosen by the account that manages this one, for all its subaccounts");
      if (!preview && (await structureOf(tx, account.id))?.structure !== structure) {
        const now = clock.now();
        await chooseStructure(tx, { accountId: account.id, structure, now });
        await audit(tx, {
          at: now,
          accountId: account.id,
          actor: actorOf(who),
          action: "account.structure",
          detail: { structure },
        });
      }
      return shown(tx, account, { structure, preview });
    }),
});

/** The structure that an account collects in. */
export const structureEndpoints: Endpoint[] = [read, choose];
