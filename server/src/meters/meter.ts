import { type AccountRef, accountRefs } from "../accounts/accounts.ts";
import { any, type Queryable, type Sql, sql } from "../platform/db.ts";
import { notFound } from "../platform/problem.ts";
import { formatTimestamp } from "../platform/time/timestamp.ts";
import type { Box, ControlLevel, MeterType, Representation } from "./reference.ts";
import { type ConsumptionStats, shownStats, statsOf } from "./stats.ts";

/** A meter as its holder has it: a root meter or a copy of one. */
export interface Meter {
  id: string;
  root_id: string;
  parent_id: string | null;
  holder_id: string;
  root_holder_id: string;
  assigner_id: string | null;
  generation: number;
  control_level: ControlLevel;
  box: Box;
  revoked: boolean;
  name: string | null;
  address: string | null;
  tags: string[];
  on_hold: boolean;
  /** Epoch milliseconds. */
  created: number;
  part: number;
  ean: string | null;
  type: MeterType;
  timezone: string;
  representation: Representation | null;
  location: [number, number] | null;
  metrics: string[];
  expected_granularity: string | null;
  readings_blocked: boolean;
  has_active_complaints: boolean;
  open_channel_ids: string[];
}

/** The columns of `Meter`, of the table `meter` under the name `m`. */
export const meterColumns = sql`m.id, m.root_id, m.parent_id, m.holder_id, m.root_holder_id, m.assigner_id,
  m.generation, m.control_level, m.box, m.revoked, m.name, m.address, m.tags, m.on_hold,
  (extract(epoch from m.created) * 1000)::float8 as created, m.part, m.ean, m.type, m.timezone, m.representation,
  m.location, m.metrics, m.expected_granularity, m.readings_blocked, m.has_active_complaints, m.open_channel_ids`;

/** A node on the way from the root of a tree to a meter. */
export interface PathStep {
  _id: string;
  name: string;
}

/**
 * What trees know of meters. Trees stand above meters, so nothing here imports them: they hand this in where they
 * list the endpoints that show meters (see `meterObjectEndpoints`).
 */
export interface Places {
  /** Paths to the places of meters in the account's trees, root first; meters without a place are absent. */
  pathsOf(db: Queryable, accountId: string, meterIds: readonly string[]): Promise<Map<string, PathStep[][]>>;
  /** Subquery of the ids of all meters below any of the nodes of the account; null when it has none of them. */
  below(db: Queryable, accountId: string, nodeIds: readonly string[]): Promise<Sql | null>;
}

/**
 * The account's own reference behind an id, which is its own or that of its root meter. A live one goes before a
 * revoked one, one nearer to the root before others. Throws the 404 of the contract.
 */
export async function ownMeter(db: Queryable, accountId: string, id: string): Promise<Meter> {
  const meter = await db.maybe<Meter>(sql`
    select ${meterColumns} from meter m
    where m.holder_id = ${accountId} and (m.id = ${id} or m.root_id = ${id})
    order by (m.id = ${id}) desc, m.revoked, m.generation, m.created, m.id limit 1`);
  if (meter === undefined) throw notFound(`meter ${id} of account ${accountId}`);
  return meter;
}

/** Meters by id, in the order of the ids; missing ones are left out. */
export async function metersById(db: Queryable, ids: readonly string[]): Promise<Meter[]> {
  const rows = await db.rows<Meter>(sql`select ${meterColumns} from meter m where m.id = ${any(ids)}`);
  const byId = new Map(rows.map((row) => [row.id, row]));
  return ids.flatMap((id) => byId.get(id) ?? []);
}

interface Child {
  id: string;
  parent_id: string;
  holder_id: string;
}

/** Meters of one holder as answers show them, in the order given. */
export async function showMeters(
  db: Queryable,
  meters: readonly Meter[],
  places: Pick<Places, "pathsOf">,
): Promise<object[]> {
  if (meters.length === 0) return [];
  const ids = meters.map((meter) => meter.id);
  const active = meters.filter((meter) => meter.box === "active").map((meter) => meter.id);
  const [children, stats, paths] = await Promise.all([
    db.rows<Child>(sql`
      select id, parent_id, holder_id from meter
      where parent_id = ${any(ids)} and not revoked order by created, id`),
    statsOf(
      db,
      meters.map(({ root_id, part }) => ({ rootId: root_id, part })),
    ),
    active.length === 0 ? new Map() : places.pathsOf(db, meters[0]!.holder_id, active),
  ]);
  const accounts = await accountRefs(db, [
    ...meters.flatMap(({ holder_id, root_holder_id, assigner_id }) =>
      assigner_id === null ? [holder_id, root_holder_id] : [holder_id, root_holder_id, assigner_id],
    ),
    ...children.map((child) => child.holder_id),
  ]);
  const childrenOf = Map.groupBy(children, (child) => child.parent_id);
  return meters.map((meter) =>
    view(meter, {
      accounts,
      children: childrenOf.get(meter.id) ?? [],
      stats: stats.get(meter.root_id),
      paths: paths.get(meter.id) ?? [],
    }),
  );
}

interface Shown {
  accounts: Map<string, AccountRef>;
  children: Child[];
  stats: ConsumptionStats | undefined;
  paths: PathStep[][];
}

/** A meter as the API writes it. */
function view(meter: Meter, { accounts, children, stats, paths }: Shown): object {
  const account = (id: string | null) => (id === null ? null : (accounts.get(id) ?? null));
  const rootHolder = account(meter.root_holder_id);
  return {
    _id: meter.id,
    ean: meter.ean,
    name: meter.name,
    address: meter.address,
    tags: meter.tags,
    holder: account(meter.holder_id),
    root: {
      _id: meter.root_id,
      holder: rootHolder === null ? null : { _id: rootHolder._id, name: rootHolder.name },
    },
    assigner: account(meter.assigner_id),
    children: children.flatMap(({ id, holder_id }) => {
      const holder = account(holder_id);
      return holder === null ? [] : [{ _id: id, holder }];
    }),
    created: formatTimestamp(meter.created),
    location: meter.location,
    timezone: meter.timezone,
    control_level: meter.control_level,
    generation: meter.generation,
    box: meter.box,
    revoked: meter.revoked,
    type: meter.type,
    metrics: meter.metrics,
    consumption_stats: shownStats(meter.metrics, stats),
    readings_stats: null,
    has_active_complaints: meter.has_active_complaints,
    readings_blocked: meter.readings_blocked,
    on_hold: meter.on_hold,
    representation: meter.representation,
    open_channel_ids: meter.open_channel_ids.length === 0 ? null : meter.open_channel_ids,
    active_box_tree_paths: paths,
    expected_granularity: meter.expected_granularity,
  };
}
