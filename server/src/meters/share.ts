import { listSubscribers, managerOf } from "../accounts/accounts.ts";
import { any, empty, type Queryable, sql, type Tx } from "../platform/db.ts";
import { newId } from "../platform/id.ts";
import { countAccess } from "./access.ts";
import { type Doing, log } from "./activity.ts";

/**
 * Copies of meters. A copy belongs to its holder and points to the root meter; its parent is the meter that it was
 * made from and its assigner the holder of the parent. There is one copy per holder, assigner and root meter: sharing
 * again revives it. Everybody who changes copies holds the root meters first, so that a copy is never made of a meter
 * that is being revoked.
 */
export interface Sharing extends Doing {
  meterIds: readonly string[];
  /** The account that gets the copies. */
  to: string;
  /** `assigned`: generation 1, the subscriber of a root meter. `shared`: generation 2 and above, a third party. */
  as: "assigned" | "shared";
  /** Made by the server, for a manager or a subscriber: the box is the parent's, until the holder moves it. */
  bySelf: boolean;
}

/** A copy that exists now. */
export interface Copy {
  id: string;
  rootId: string;
  parentId: string;
  generation: number;
  controlLevel: string;
}

const rowsAtOnce = 2000;
/** Chains of subscribers end here. */
const levelsMax = 8;

/** Locks root meters until the end of the transaction, in the order of their ids. */
export async function holdRoots(tx: Tx, rootIds: readonly string[]): Promise<void> {
  const ids = [...new Set(rootIds)];
  await tx.run(sql`select from meter where id = ${any(ids)} order by id for no key update`);
}

/** Root meters of meters. */
export async function rootIdsOf(db: Queryable, meterIds: readonly string[]): Promise<string[]> {
  const rows = await db.rows<{ root_id: string }>(
    sql`select distinct root_id from meter where id = ${any(meterIds)}`,
  );
  return rows.map((row) => row.root_id);
}

/**
 * Makes or revives the copies for one holder, and what its manager and subscribers get of them. Meters that are
 * revoked, or that reached their holder through `to`, are left out. The caller holds the root meters.
 */
export async function share(tx: Tx, sharing: Sharing): Promise<Copy[]> {
  const copies = await copyTo(tx, sharing);
  await passOn(tx, { ...sharing, from: sharing.to, meterIds: copies.map((copy) => copy.id), level: 1 });
  return copies;
}

/**
 * What happens by itself to meters that an account has got: its manager and its meter subscribers get copies, and
 * theirs in turn. The caller holds the root meters, or has just made them.
 */
export async function shareBySelf(
  tx: Tx,
  options: Doing & { from: string; meterIds: readonly string[] },
): Promise<void> {
  await passOn(tx, { ...options, level: 0 });
}

interface PassOn extends Doing {
  from: string;
  meterIds: readonly string[];
  level: number;
}

async function passOn(tx: Tx, { from, meterIds, level, ...doing }: PassOn): Promise<void> {
  if (meterIds.length === 0 || level >= levelsMax) return;
  const manager = await managerOf(tx, from);
  const others = (await listSubscribers(tx, from)).map(({ subscriber }) => subscriber._id);
  const received = new Map<string, string[]>();
  for (const to of new Set(manager === null ? others : [manager, ...others])) {
    // Webs of accounts that subscribe to each other end: a copy of a copy goes only to who has no other. So everybody
    // gets theirs from here before anybody passes on.
    const wanted = level === 0 || to === manager ? meterIds : await withoutReference(tx, to, meterIds);
    const copies = await copyTo(tx, { ...doing, meterIds: wanted, to, as: "shared", bySelf: true });
    received.set(
      to,
      copies.map((copy) => copy.id),
    );
  }
  for (const [to, copyIds] of received) {
    await passOn(tx, { ...doing, from: to, meterIds: copyIds, level: level + 1 });
  }
}

async function withoutReference(db: Queryable, to: string, meterIds: readonly string[]): Promise<string[]> {
  const rows = await db.rows<{ id: string }>(sql`
    select m.id from meter m where m.id = ${any(meterIds)} and not exists
      (select from meter o where o.holder_id = ${to} and o.root_id = m.root_id and not o.revoked)`);
  return rows.map((row) => row.id);
}

async function copyTo(tx: Tx, sharing: Sharing): Promise<Copy[]> {
  const copies: Copy[] = [];
  for (let from = 0; from < sharing.meterIds.length; from += rowsAtOnce) {
    const meterIds = sharing.meterIds.slice(from, from + rowsAtOnce);
    copies.push(...(await copySome(tx, { ...sharing, meterIds })));
  }
  return copies;
}

async function copySome(tx: Tx, sharing: Sharing): Promise<Copy[]> {
  const { to, now } = sharing;
  const cyclic = await passedThrough(tx, to, sharing.meterIds);
  const parents = sharing.meterIds.filter((id) => !cyclic.has(id));
  if (parents.length === 0) return [];
  const before = await liveCopies(tx, to, parents);
  const at = new Date(now);
  const generation = sharing.as === "assigned" ? sql`1` : sql`greatest(p.generation, 1) + 1`;
  const level = sharing.as === "assigned" ? "subscribed" : "shared";
  const copies = await tx.rows<Copy>(sql`
    insert into meter (id, root_id, parent_id, holder_id, root_holder_id, assigner_id, generation, control_level,
      box, box_follows, name, address, created, updated, part, ean, channel, type, timezone, representation, location,
      metrics, expected_granularity, readings_blocked, has_active_complaints, open_channel_ids, search)
    select distinct on (p.root_id) new.id, p.root_id, p.id, ${to}, p.root_holder_id, p.holder_id, ${generation},
      ${level}, case when ${sharing.bySelf} then p.box else 'inbox' end, ${sharing.bySelf}, p.name, p.address,
      ${at}::timestamptz, ${at}::timestamptz, p.part, p.ean, p.channel, p.type, p.timezone, p.representation,
      p.location, p.metrics, p.expected_granularity, p.readings_blocked,
      (select root.has_active_complaints from meter root where root.id = p.root_id), p.open_channel_ids,
      split_part(p.search, ${"\u0004"}, 1) || ${"\u0004\u0005"}
    from unnest(${parents}::text[], ${parents.map(() => newId(now))}::text[]) as new (parent_id, id)
    join meter p on p.id = new.parent_id
    where not p.revoked
    order by p.root_id, p.generation, p.id
    on conflict (holder_id, root_id, assigner_id) where parent_id is not null do update set
      revoked = false,
      parent_id = case when meter.revoked then excluded.parent_id else meter.parent_id end,
      generation = case when meter.revoked then excluded.generation
                        else least(meter.generation, excluded.generation) end,
      control_level = case when meter.revoked or excluded.generation < meter.generation
                           then excluded.control_level else meter.control_level end,
      box = case when meter.revoked and meter.box_follows
                 then (select parent.box from meter parent where parent.id = excluded.parent_id) else meter.box end,
      entered = case when meter.revoked then excluded.entered else meter.entered end,
      updated = excluded.updated
    returning id, root_id as "rootId", parent_id as "parentId", generation, control_level as "controlLevel"`);
  const news = copies.filter((copy) => !before.has(copy.id));
  if (news.length > 0) await countAccess(tx, [to]);
  await log(tx, sharing, [
    ...news.map(({ parentId }) => ({
      meterId: parentId,
      action: sharing.as,
      detail: { holder: to, automatic: sharing.bySelf },
    })),
    ...news.map(({ id }) => ({ meterId: id, action: "received" as const })),
  ]);
  return copies;
}

/** Which of the meters are held by `to`, or came to their holder through it: a copy would lead in a circle. */
async function passedThrough(db: Queryable, to: string, meterIds: readonly string[]): Promise<Set<string>> {
  const rows = await db.rows<{ id: string }>(sql`
    with recursive up as (
      select id as start, parent_id, holder_id from meter where id = ${any(meterIds)}
      union all
      select up.start, m.parent_id, m.holder_id from up join meter m on m.id = up.parent_id
    )
    select distinct start as id from up where holder_id = ${to}`);
  return new Set(rows.map((row) => row.id));
}

async function liveCopies(db: Queryable, to: string, parents: readonly string[]): Promise<Set<string>> {
  const rows = await db.rows<{ id: string }>(sql`
    select id from meter where parent_id = ${any(parents)} and holder_id = ${to} and not revoked`);
  return new Set(rows.map((row) => row.id));
}

/** Revokes copies and all that was made of them. The caller holds the root meters. */
export async function revoke(tx: Tx, doing: Doing, copyIds: readonly string[]): Promise<void> {
  const revoked = await tx.rows<{ id: string; holder_id: string }>(sql`
    with recursive down as (
      select id from meter where id = ${any(copyIds)}
      union
      select m.id from down join meter m on m.parent_id = down.id
    )
    update meter set revoked = true, updated = ${new Date(doing.now)}
    from down where meter.id = down.id and meter.parent_id is not null and not meter.revoked
    returning meter.id, meter.holder_id`);
  await countAccess(
    tx,
    revoked.map((row) => row.holder_id),
  );
  await log(
    tx,
    doing,
    revoked.map(({ id }) => ({ meterId: id, action: "revoked" })),
  );
}

/** All live meters of `from` also go to `to`, by themselves: a new subscriber, or a new manager. */
export async function shareAll(tx: Tx, options: Doing & { from: string; to: string }): Promise<void> {
  const { from, to, ...doing } = options;
  const rows = await tx.rows<{ id: string; root_id: string }>(
    sql`select id, root_id from meter where holder_id = ${from} and not revoked order by id`,
  );
  await holdRoots(
    tx,
    rows.map((row) => row.root_id),
  );
  await share(tx, { ...doing, meterIds: rows.map((row) => row.id), to, as: "shared", bySelf: true });
}

/**
 * Revokes everything that `from` shared with or assigned to `to`: an ended subscription, a released subaccount.
 * Without `to`, from everybody: a deleted account.
 */
export async function revokeAll(tx: Tx, options: Doing & { from: string; to?: string }): Promise<void> {
  const { from, to, ...doing } = options;
  const holder = to === undefined ? empty : sql`and holder_id = ${to}`;
  const rows = await tx.rows<{ id: string; root_id: string }>(sql`
    select id, root_id from meter where assigner_id = ${from} and not revoked ${holder} order by id`);
  if (rows.length === 0) return;
  await holdRoots(
    tx,
    rows.map((row) => row.root_id),
  );
  await revoke(
    tx,
    doing,
    rows.map((row) => row.id),
  );
}
