import { managerOf } from "../accounts/accounts.ts";
import { type InboxMeter, inboxAfter, inboxOf, moveMeters, updateMeters } from "../meters/meters.ts";
import { any, type Queryable, sql, type Tx } from "../platform/db.ts";
import { childNamed, placeMeters } from "../trees/trees.ts";
import type { FoundMeter } from "./connector.ts";
import { type Decision, decide, type Facts, type Rule } from "./rule.ts";
import { rulesOf } from "./rules.ts";

/**
 * Rules at work. They are for found meters that lie in the inbox, so what a person has moved stays. The box is that of
 * the root meter, because it says whether values are collected, and copies follow; name, tags and place are of the
 * account whose rule it is.
 */

/** Meters in one round. */
const metersAtOnce = 1000;

interface Subject {
  meter: InboxMeter;
  facts: Facts;
}

/** What rules would do, or did, with one meter. */
export interface Outcome {
  meter: InboxMeter;
  decision: Decision;
}

interface Doing {
  now: number;
  /** The account that acts; null for the server itself. */
  actorId: string | null;
}

/** The rules of the account that holds these root meters, then those of its manager, on what has just been found. */
export async function ruleNewMeters(
  tx: Tx,
  { holderId, rootIds, ...doing }: Doing & { holderId: string; rootIds: readonly string[] },
): Promise<void> {
  if (rootIds.length === 0) return;
  const manager = await managerOf(tx, holderId);
  for (const accountId of manager === null ? [holderId] : [holderId, manager]) {
    const rules = (await rulesOf(tx, accountId)).filter((rule) => rule.enabled);
    if (rules.length === 0) continue;
    for (let from = 0; from < rootIds.length; from += metersAtOnce) {
      const meters = await inboxOf(tx, accountId, rootIds.slice(from, from + metersAtOnce));
      await act(tx, { ...doing, accountId }, outcomes(rules, await subjectsOf(tx, meters)));
    }
  }
}

/** What rules make of the found meters in an account's inbox; nothing is changed. At most `limit` of them. */
export async function tryRules(
  db: Queryable,
  { accountId, rules, limit }: { accountId: string; rules: readonly Rule[]; limit: number },
): Promise<Outcome[]> {
  const found: Outcome[] = [];
  for (let after = "", isMore = true; isMore && found.length < limit; ) {
    const meters = await inboxAfter(db, accountId, { after, limit: metersAtOnce });
    isMore = meters.length === metersAtOnce;
    after = meters.at(-1)?.id ?? after;
    found.push(...outcomes(rules, await subjectsOf(db, meters)));
  }
  return found.slice(0, limit);
}

/** Does what rules decided. Meters that have left the inbox meanwhile, or were revoked, are left alone. */
export async function act(
  tx: Tx,
  { accountId, ...doing }: Doing & { accountId: string },
  decided: readonly Outcome[],
): Promise<void> {
  await changeOwn(tx, { ...doing, accountId }, decided);
  await place(tx, { accountId, now: doing.now }, decided);
  const boxed = decided.filter(({ decision }) => decision.box !== undefined);
  for (const [holder, some] of Map.groupBy(boxed, ({ meter }) => meter.rootHolderId)) {
    await move(tx, { ...doing, accountId: holder }, some);
  }
  // Copies that follow have moved along; those that their holder had put back do not follow any more.
  await move(tx, { ...doing, accountId }, boxed);
}

/** Moves what an account still has in its inbox of these root meters. */
async function move(
  tx: Tx,
  options: Doing & { accountId: string },
  decided: readonly Outcome[],
): Promise<void> {
  const boxOf = new Map(decided.map(({ meter, decision }) => [meter.rootId, decision.box!]));
  const waiting = await inboxOf(tx, options.accountId, [...boxOf.keys()]);
  for (const [box, some] of Map.groupBy(waiting, ({ rootId }) => boxOf.get(rootId)!)) {
    await moveMeters(
      tx,
      { ...options, box },
      some.map(({ id }) => id),
    );
  }
}

async function changeOwn(
  tx: Tx,
  options: Doing & { accountId: string },
  decided: readonly Outcome[],
): Promise<void> {
  const changes = decided.flatMap(({ meter, decision: { name, tags } }) => {
    const more = tags.filter((tag) => !meter.tags.includes(tag));
    if ((name === undefined || name === meter.name) && more.length === 0) return [];
    return [
      {
        _id: meter.id,
        ...(name === undefined ? {} : { name }),
        ...(more.length === 0 ? {} : { tags: [...meter.tags, ...more].slice(0, 100) }),
      },
    ];
  });
  await updateMeters(tx, options, changes);
}

async function place(
  tx: Tx,
  { accountId, now }: { accountId: string; now: number },
  decided: readonly Outcome[],
): Promise<void> {
  const viewer = { accountId, clientId: null };
  const placed = decided.filter(({ decision }) => decision.place !== undefined);
  const byNode = Map.groupBy(placed, ({ decision: { place } }) =>
    JSON.stringify([place!.treeId, place!.child]),
  );
  for (const some of byNode.values()) {
    const { treeId, child } = some[0]!.decision.place!;
    const id = child === null ? treeId : await childNamed(tx, viewer, { parent: treeId, name: child, now });
    const meters = some.map(({ meter, decision }) => ({ _id: meter.id, factor: decision.place!.factor }));
    await placeMeters(tx, viewer, { id, meters });
  }
}

function outcomes(rules: readonly Rule[], subjects: readonly Subject[]): Outcome[] {
  return subjects.flatMap(({ meter, facts }) => {
    const decision = decide(rules, facts);
    return decision === undefined ? [] : [{ meter, decision }];
  });
}

/** Those of the meters that a connection has found, with what is known of them. */
async function subjectsOf(db: Queryable, meters: readonly InboxMeter[]): Promise<Subject[]> {
  if (meters.length === 0) return [];
  const rows = await db.rows<{ meter_id: string; provider: string; found: FoundMeter }>(sql`
    select distinct on (meter_id) meter_id, provider, found from meter_source
    where meter_id = ${any(meters.map((meter) => meter.rootId))} order by meter_id, rank desc, id`);
  const sources = new Map(rows.map((row) => [row.meter_id, row]));
  return meters.flatMap((meter) => {
    const source = sources.get(meter.rootId);
    return source === undefined ? [] : [{ meter, facts: factsOf(meter, source) }];
  });
}

function factsOf(meter: InboxMeter, { provider, found }: { provider: string; found: FoundMeter }): Facts {
  return {
    provider,
    ean: meter.ean ?? found.ean,
    name: found.name ?? meter.name ?? "",
    address: found.address ?? meter.address ?? "",
    type: meter.type,
    customerNumber: found.customer?.number ?? "",
    customerName: found.customer?.name ?? "",
    text: found.text ?? "",
    accountId: meter.rootHolderId,
  };
}
