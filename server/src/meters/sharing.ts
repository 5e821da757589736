import { accountRefs } from "../accounts/accounts.ts";
import { any, type Queryable, sql, type Tx } from "../platform/db.ts";
import { Problem } from "../platform/problem.ts";
import type { Doing } from "./activity.ts";
import { ownMeter } from "./meter.ts";
import { Refusals } from "./refusals.ts";
import { type Copy, holdRoots, revoke, rootIdsOf, share } from "./share.ts";

/** What an account asks to share or assign: its own meter (or the root of it) and who gets a copy. */
export interface Wish {
  _id: string;
  holder: string;
}

/** Wishes of one account, all done or none. */
export interface Wishes extends Doing {
  accountId: string;
  as: "assigned" | "shared";
}

/**
 * Shares or assigns meters. Answers one copy per wish, in order; what was shared before stays as it is. Throws with
 * a message per index: 404 for meters and accounts that are not there, 400 for what makes no sense, 403 for a meter
 * whose own access was withdrawn.
 */
export async function grant(tx: Tx, options: Wishes, wishes: readonly Wish[]): Promise<object[]> {
  const accounts = await accountRefs(
    tx,
    wishes.map((wish) => wish.holder),
  );
  const refusals = new Refusals();
  const meters = await ownMeters(tx, options.accountId, { ids: wishes.map((wish) => wish._id), refusals });
  for (const [index, wish] of wishes.entries()) {
    if (!accounts.has(wish.holder)) refusals.add("not_found", `${index}.holder`, "no such account");
    if (wish.holder === options.accountId)
      refusals.add("invalid", `${index}.holder`, "is this account; name another");
    const meter = meters[index];
    if (meter === undefined) continue;
    if (meter.revoked)
      refusals.add("forbidden", `${index}._id`, "access to this meter was withdrawn; it cannot be shared");
    else if (options.as === "assigned" && meter.generation > 0) {
      refusals.add("invalid", `${index}._id`, "only a root meter can be assigned; share this one instead");
    }
  }
  refusals.throwIfAny();
  const copies = new Map<string, Copy>();
  for (const [holder, indexes] of Map.groupBy(wishes.keys(), (index) => wishes[index]!.holder)) {
    const meterIds = indexes.map((index) => meters[index]!.id);
    const made = await share(tx, { ...options, meterIds, to: holder, bySelf: false });
    for (const copy of made) copies.set(`${holder} ${copy.rootId}`, copy);
  }
  const shown = wishes.map(({ holder }, index) => {
    const copy = copies.get(`${holder} ${meters[index]!.root_id}`);
    if (copy === undefined)
      refusals.add("invalid", `${index}.holder`, "is where this meter came from; name another");
    return { ...copy, holder: accounts.get(holder) };
  });
  refusals.throwIfAny();
  return shown.map(({ id, rootId, parentId, generation, controlLevel, holder }) => ({
    _id: id,
    root: { _id: rootId },
    parent: { _id: parentId },
    holder,
    generation,
    control_level: controlLevel,
    revoked: false,
  }));
}

interface Revocable {
  id: string;
  root_id: string;
  holder_id: string;
  assigner_id: string | null;
  parent_holder_id: string | null;
}

/**
 * Revokes copies that this account made, with all that was made of them. Throws 404 for ids that it neither made nor
 * holds, and 403 for its own meters that others gave it.
 */
export async function withdraw(
  tx: Tx,
  options: Doing & { accountId: string },
  ids: readonly string[],
): Promise<void> {
  const { accountId } = options;
  await holdRoots(tx, await rootIdsOf(tx, ids));
  const rows = await tx.rows<Revocable>(sql`
    select m.id, m.root_id, m.holder_id, m.assigner_id, p.holder_id as parent_holder_id
    from meter m left join meter p on p.id = m.parent_id where m.id = ${any(ids)}`);
  const found = new Map(rows.map((row) => [row.id, row]));
  const refusals = new Refusals();
  for (const [index, id] of ids.entries()) {
    const meter = found.get(id);
    if (meter?.assigner_id === accountId || meter?.parent_holder_id === accountId) continue;
    if (meter?.holder_id !== accountId) refusals.add("not_found", String(index), "Resource not found");
    else {
      const remedy = "name the copies in its children; to put a meter away, move it to the box ignored";
      refusals.add(
        "forbidden",
        String(index),
        `only the account that shared a meter may revoke it: ${remedy}`,
      );
    }
  }
  refusals.throwIfAny();
  await revoke(tx, options, ids);
}

/** Own references behind ids, roots held; what is not there is told to `refusals`. */
async function ownMeters(
  tx: Tx,
  accountId: string,
  { ids, refusals }: { ids: string[]; refusals: Refusals },
) {
  const find = (db: Queryable, id: string) => ownMeter(db, accountId, id).catch(onlyNotFound);
  const roots: string[] = [];
  for (const [index, id] of ids.entries()) {
    const meter = await find(tx, id);
    if (meter === undefined) refusals.add("not_found", `${index}._id`, "Resource not found");
    else roots.push(meter.root_id);
  }
  refusals.throwIfAny();
  await holdRoots(tx, roots);
  const meters = [];
  for (const id of ids) meters.push(await find(tx, id));
  return meters;
}

function onlyNotFound(error: unknown): undefined {
  if (!(error instanceof Problem) || error.code !== "not_found") throw error;
}
