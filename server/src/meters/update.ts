import { any, type Queryable, sql, sqlState, type Tx } from "../platform/db.ts";
import { invalid, Problem } from "../platform/problem.ts";
import { countAccess } from "./access.ts";
import { type Doing, log } from "./activity.ts";
import { addActivated } from "./collecting.ts";
import { type Meter, ownMeter } from "./meter.ts";
import type { Box, MeterType, Representation } from "./reference.ts";
import { Refusals } from "./refusals.ts";
import { searchText } from "./search-text.ts";
import { holdRoots, rootIdsOf } from "./share.ts";

/** What a holder may change of its own reference. */
export interface OwnChange {
  name?: string | null | undefined;
  address?: string | null | undefined;
  tags?: string[] | undefined;
  box?: Box | undefined;
  on_hold?: boolean | undefined;
}

/** What only the holder of the root meter may change; every copy shows it. */
export interface RootChange {
  type?: MeterType | undefined;
  ean?: string | null | undefined;
  representation?: Representation | null | undefined;
  expected_granularity?: string | null | undefined;
  location?: [number, number] | null | undefined;
  open_channel_ids?: string[] | null | undefined;
}

export type Change = OwnChange & RootChange;

const rootFields = [
  "type",
  "ean",
  "representation",
  "expected_granularity",
  "location",
  "open_channel_ids",
] as const;
const ownFields = ["name", "address", "tags", "box", "on_hold"] as const;

/**
 * Changes a meter of an account; returns its id. Fields that are sent as they are change nothing, so a client may
 * send back the whole object. Throws 404 for a foreign id, 403 for a revoked meter or a fact of the root meter that
 * belongs to somebody else, 409 when the account has another meter with this ean.
 */
export async function updateMeter(
  tx: Tx,
  options: Doing & { accountId: string; id: string },
  change: Change,
): Promise<string> {
  const { root_id: rootId } = await ownMeter(tx, options.accountId, options.id);
  await holdRoots(tx, [rootId]);
  const meter = await ownMeter(tx, options.accountId, options.id);
  if (meter.revoked)
    throw new Problem("forbidden", "Access to this meter was withdrawn; it cannot be changed");
  const changed = changedFields(meter, change);
  const ofRoot = rootFields.filter((field) => changed.includes(field));
  if (ofRoot.length > 0) {
    if (meter.parent_id !== null) throw notYours(ofRoot);
    await changeRoot(tx, { ...options, meter }, change);
  }
  if (ownFields.some((field) => changed.includes(field))) await changeOwn(tx, { ...options, meter }, change);
  // Setting the box, even to what it is, ends that it follows the parent's.
  if (change.box !== undefined) await moveTo(tx, { ...options, ids: [meter.id], box: change.box });
  const others = changed.filter((field) => field !== "box");
  if (others.length > 0) {
    await log(tx, options, [{ meterId: meter.id, action: "updated", detail: { fields: others } }]);
  }
  return meter.id;
}

/** Changes many meters of an account, all or none; errors carry the index. Returns the ids, in order. */
export async function updateMeters(
  tx: Tx,
  options: Doing & { accountId: string },
  changes: readonly (Change & { _id: string })[],
): Promise<string[]> {
  const refusals = new Refusals();
  const ids: string[] = [];
  // Roots in one order for all batches, or two of them could wait for each other.
  const known = await tx.rows<{ root_id: string }>(sql`
    select distinct root_id from meter where holder_id = ${options.accountId}
      and (id = ${any(changes.map((one) => one._id))} or root_id = ${any(changes.map((one) => one._id))})`);
  await holdRoots(
    tx,
    known.map((row) => row.root_id),
  );
  for (const [index, { _id, ...change }] of changes.entries()) {
    try {
      ids.push(await updateMeter(tx, { ...options, id: _id }, change));
    } catch (error) {
      if (!(error instanceof Problem) || error.code === "conflict") throw error;
      const code = error.code === "not_found" || error.code === "forbidden" ? error.code : "invalid";
      const [field, messages] = Object.entries(error.errors ?? {})[0] ?? ["_id", [error.message]];
      for (const message of messages) refusals.add(code, `${index}.${field}`, message);
    }
  }
  refusals.throwIfAny();
  return ids;
}

function changedFields(meter: Meter, change: Change): (keyof Change)[] {
  const same = (one: unknown, other: unknown) =>
    JSON.stringify(one ?? null) === JSON.stringify(other ?? null);
  return [...ownFields, ...rootFields].filter((field) => {
    if (change[field] === undefined) return false;
    if (field === "open_channel_ids") return !same(change[field] ?? [], meter[field]);
    return !same(change[field], meter[field]);
  });
}

function notYours(fields: readonly string[]): Problem {
  const remedy =
    "belongs to the holder of the root meter; ask them to change it there, or leave the field out";
  return new Problem("forbidden", `${fields[0]} ${remedy}`, {
    errors: Object.fromEntries(fields.map((field) => [field, [remedy]])),
  });
}

type Target = Doing & { accountId: string; meter: Meter };

async function changeOwn(tx: Tx, { meter, now }: Target, change: OwnChange): Promise<void> {
  const { name = meter.name, address = meter.address, tags = meter.tags, on_hold = meter.on_hold } = change;
  // The ean may have changed just before.
  const { ean } = await tx.one<{ ean: string | null }>(sql`select ean from meter where id = ${meter.id}`);
  await tx.run(sql`
    update meter set name = ${name}, address = ${address}, tags = ${tags}, on_hold = ${on_hold},
      search = ${searchText({ name, address, ean, tags })}, updated = ${new Date(now)}
    where id = ${meter.id}`);
}

/**
 * Moves meters of an account to a box, thousands at once. Ids that are not its own references, or whose access was
 * withdrawn, are left out.
 */
export async function moveMeters(
  tx: Tx,
  options: Doing & { accountId: string; box: Box },
  ids: readonly string[],
): Promise<void> {
  if (ids.length === 0) return;
  await holdRoots(tx, await rootIdsOf(tx, ids));
  const own = await tx.rows<{ id: string }>(sql`
    select id from meter where id = ${any(ids)} and holder_id = ${options.accountId} and not revoked`);
  await moveTo(tx, { ...options, ids: own.map((row) => row.id) });
}

async function moveTo(
  tx: Tx,
  { ids, box, now, actorId }: Doing & { ids: readonly string[]; box: Box },
): Promise<void> {
  const moved = await tx.rows<{ id: string; holder_id: string }>(sql`
    with recursive down as (
      select id from meter where id = ${any(ids)}
      union
      select m.id from down join meter m on m.parent_id = down.id where m.box_follows
    )
    update meter set box = ${box}, entered = nextval('meter_entered_seq'), updated = ${new Date(now)} from down
    where meter.id = down.id and meter.box <> ${box} returning meter.id, meter.holder_id`);
  await countAccess(
    tx,
    moved.map((row) => row.holder_id),
  );
  if (box === "active" && moved.length > 0) {
    await addActivated(
      tx,
      moved.map((row) => row.id),
    );
  }
  await tx.run(sql`update meter set box_follows = false where id = ${any(ids)} and box_follows`);
  const asked = new Set(ids);
  const events = moved.map(({ id }) => ({
    meterId: id,
    action: "moved" as const,
    detail: { to: box, automatic: !asked.has(id) },
  }));
  await log(tx, { now, actorId }, events);
}

async function changeRoot(tx: Tx, { meter, now, accountId }: Target, change: RootChange): Promise<void> {
  const {
    type = meter.type,
    ean = meter.ean,
    representation = meter.representation,
    expected_granularity = meter.expected_granularity,
    location = meter.location,
  } = change;
  const channels =
    change.open_channel_ids === undefined ? meter.open_channel_ids : (change.open_channel_ids ?? []);
  await assertOwnChannels(tx, accountId, channels);
  const update = sql`
    update meter set type = ${type}, ean = ${ean}, representation = ${representation},
      expected_granularity = ${expected_granularity}, location = ${location}::float8[],
      open_channel_ids = ${channels}, updated = ${new Date(now)}
    where root_id = ${meter.root_id}`;
  try {
    await tx.run(update);
  } catch (error) {
    if (sqlState(error) !== "23505") throw error;
    throw new Problem("conflict", "ean: another meter of this account has it", {
      errors: { ean: ["another meter of this account has it, with the same representation"] },
    });
  }
  if (ean !== meter.ean) await renewSearch(tx, meter.root_id);
}

async function assertOwnChannels(db: Queryable, accountId: string, ids: readonly string[]): Promise<void> {
  if (ids.length === 0) return;
  const { count } = await db.one<{ count: number }>(
    sql`select count(*) as count from open_channel where account_id = ${accountId} and id = ${any(ids)}`,
  );
  if (count < new Set(ids).size)
    throw invalid("open_channel_ids", "names a channel that is not this account's");
}

async function renewSearch(tx: Tx, rootId: string): Promise<void> {
  const rows = await tx.rows<{
    id: string;
    name: string | null;
    address: string | null;
    ean: string | null;
    tags: string[];
  }>(sql`select id, name, address, ean, tags from meter where root_id = ${rootId}`);
  await tx.run(sql`
    update meter set search = new.search
    from unnest(${rows.map((row) => row.id)}::text[], ${rows.map(searchText)}::text[]) as new (id, search)
    where meter.id = new.id`);
}

/** Adds metrics to root meters and all their copies, as values of them arrive. */
export async function addMetrics(
  tx: Tx,
  rootIds: readonly string[],
  metrics: readonly string[],
): Promise<void> {
  if (rootIds.length === 0 || metrics.length === 0) return;
  const missing = await tx.rows<{ id: string }>(sql`
    select id from meter where id = ${any(rootIds)} and not metrics @> ${metrics}::text[]`);
  if (missing.length === 0) return;
  const ids = missing.map((row) => row.id);
  await holdRoots(tx, ids);
  await tx.run(sql`
    update meter set metrics = metrics || array(select name from unnest(${metrics}::text[]) as name
                                                where name <> all(meter.metrics))
    where root_id = ${any(ids)} and not metrics @> ${metrics}::text[]`);
}
