import { partsOf, timezoneOf } from "../accounts/accounts.ts";
import { any, type Queryable, sql, type Tx } from "../platform/db.ts";
import type { Granularity } from "../platform/granularity.ts";
import { newId } from "../platform/id.ts";
import { invalid, Problem } from "../platform/problem.ts";
import { countAccess } from "./access.ts";
import { log } from "./activity.ts";
import {
  type Box,
  type ControlLevel,
  type MeterType,
  metricsOfType,
  type Representation,
} from "./reference.ts";
import { searchText } from "./search-text.ts";
import { shareBySelf } from "./share.ts";

/** A root meter to make. */
export interface NewMeter {
  type: MeterType;
  /** External id of the metering point; a meter without one is never recognised again. */
  ean?: string | null;
  /** Register, suffix or column of a source that sends several series for one metering point. */
  channel?: string;
  representation?: Representation | null;
  name?: string | null;
  address?: string | null;
  tags?: string[];
  /** IANA zone; the account's default when the source states none. */
  timezone?: string | null;
  /** Longitude, latitude. */
  location?: [number, number] | null;
  /** What the type is expected to have when absent. */
  metrics?: string[];
  expectedGranularity?: Granularity | null;
  /** `inbox` when absent. */
  box?: Box;
  /** `owned` when absent. */
  controlLevel?: ControlLevel;
  onHold?: boolean;
}

/** A root meter that was asked for. */
export interface MadeMeter {
  id: string;
  part: number;
  timezone: string;
  type: MeterType;
  /** False: it was there before, and nothing of it was changed. */
  created: boolean;
}

export interface CreateOptions {
  holderId: string;
  /** Epoch milliseconds. */
  now: number;
  /** The account that acts; null for the server itself. */
  actorId: string | null;
}

const rowsAtOnce = 1000;
/** Longer names and addresses are cut, or they would not fit an index entry. */
const textCharsMax = 500;
/** Longer ids are refused: a part of an id names something else. */
const idCharsMax = 100;

/**
 * Makes root meters of one account, thousands at once, and answers in the order of `specs`. A metering point (ean,
 * channel and representation) that the account has is found, not made again, so the call can be repeated. In the
 * same transaction the account's manager and its meter subscribers get their copies of new meters.
 */
export async function createMeters(
  tx: Tx,
  options: CreateOptions,
  specs: readonly NewMeter[],
): Promise<MadeMeter[]> {
  if (specs.length === 0) return [];
  const zone = await timezoneOf(tx, options.holderId);
  const made: MadeMeter[] = [];
  for (let from = 0; from < specs.length; from += rowsAtOnce) {
    made.push(...(await createSome(tx, { ...options, zone }, specs.slice(from, from + rowsAtOnce))));
  }
  const ids = made.filter((meter) => meter.created).map((meter) => meter.id);
  if (ids.length > 0) await countAccess(tx, [options.holderId]);
  await log(
    tx,
    options,
    ids.map((meterId) => ({ meterId, action: "created" })),
  );
  await shareBySelf(tx, {
    from: options.holderId,
    meterIds: ids,
    now: options.now,
    actorId: options.actorId,
  });
  return made;
}

async function createSome(
  tx: Tx,
  options: CreateOptions & { zone: string },
  specs: readonly NewMeter[],
): Promise<MadeMeter[]> {
  assertIdsFit(specs);
  const first = new Map<string, number>();
  const rows: object[] = [];
  const keys = specs.map((spec, index) => {
    const key = keyOf(spec) ?? `new ${index}`;
    if (!first.has(key)) first.set(key, index);
    return key;
  });
  const ids = specs.map(() => newId(options.now));
  const parts = await partsOf(tx, options.holderId, ids);
  for (const index of first.values())
    rows.push(rowOf(specs[index]!, { ...options, id: ids[index]!, part: parts[index]! }));
  const inserted = await insertRows(tx, options, rows);
  const found = await existing(
    tx,
    options.holderId,
    specs.filter((spec, index) => keyOf(spec) !== null && !inserted.has(ids[first.get(keys[index]!)!]!)),
  );
  return specs.map((_, index) => {
    const at = first.get(keys[index]!)!;
    const id = ids[at]!;
    const known = inserted.has(id) ? undefined : found.get(keys[index]!);
    if (known !== undefined) return { ...known, created: false };
    if (!inserted.has(id))
      throw new Problem("conflict", "A meter was removed while it was looked for; try again");
    const timezone = specs[at]!.timezone ?? options.zone;
    return { id, part: parts[at]!, timezone, type: specs[at]!.type, created: at === index };
  });
}

function assertIdsFit(specs: readonly NewMeter[]): void {
  for (const { ean, channel } of specs) {
    if ((ean?.length ?? 0) > idCharsMax) throw invalid("ean", `has more than ${idCharsMax} characters`);
    if ((channel?.length ?? 0) > idCharsMax)
      throw invalid("channel", `has more than ${idCharsMax} characters`);
  }
}

/** What makes two specs the same metering point; null when nothing can. */
function keyOf({
  ean,
  channel,
  representation,
}: Pick<NewMeter, "ean" | "channel" | "representation">): string | null {
  return ean === undefined || ean === null
    ? null
    : JSON.stringify([ean, channel ?? "", representation ?? ""]);
}

function rowOf(spec: NewMeter, { id, part, zone }: { id: string; part: number; zone: string }): object {
  const tags = [...new Set(spec.tags ?? [])];
  const { ean = null } = spec;
  const [name, address] = [spec.name, spec.address].map((text) => text?.slice(0, textCharsMax) ?? null) as [
    string | null,
    string | null,
  ];
  return {
    id,
    part,
    ean,
    name,
    address,
    tags,
    channel: spec.channel ?? "",
    representation: spec.representation ?? null,
    type: spec.type,
    timezone: spec.timezone ?? zone,
    location: spec.location ?? null,
    metrics: spec.metrics ?? metricsOfType[spec.type],
    expected_granularity: spec.expectedGranularity ?? null,
    box: spec.box ?? "inbox",
    control_level: spec.controlLevel ?? "owned",
    on_hold: spec.onHold ?? false,
    search: searchText({ name, address, ean, tags }),
  };
}

/** Text of a document as the database takes it: without NUL and half characters. */
function storable(_name: string, value: unknown): unknown {
  return typeof value === "string" ? value.toWellFormed().replaceAll("\0", "") : value;
}

/** Inserts what is not there; returns the ids of the new ones. */
async function insertRows(
  tx: Tx,
  { holderId, now }: CreateOptions,
  rows: readonly object[],
): Promise<Set<string>> {
  const at = new Date(now);
  const inserted = await tx.rows<{ id: string }>(sql`
    insert into meter (id, root_id, holder_id, root_holder_id, created, updated, part, ean, channel, name, address,
      tags, representation, type, timezone, location, metrics, expected_granularity, box, control_level, on_hold, search)
    select id, id, ${holderId}, ${holderId}, ${at}, ${at}, part, ean, channel, name, address,
      tags, representation, type, timezone, location, metrics, expected_granularity, box, control_level, on_hold, search
    from jsonb_to_recordset(${JSON.stringify(rows, storable)}::jsonb) as spec (id text, part int, ean text, channel text,
      name text, address text, tags text[], representation text, type text, timezone text, location float8[],
      metrics text[], expected_granularity text, box text, control_level text, on_hold boolean, search text)
    order by spec.ean, spec.channel, spec.representation
    on conflict do nothing returning id`);
  return new Set(inserted.map((row) => row.id));
}

interface Known {
  id: string;
  part: number;
  timezone: string;
  type: MeterType;
  ean: string;
  channel: string;
  representation: Representation | null;
}

async function existing(
  db: Queryable,
  holderId: string,
  specs: readonly NewMeter[],
): Promise<Map<string, Omit<MadeMeter, "created">>> {
  if (specs.length === 0) return new Map();
  const rows = await db.rows<Known>(sql`
    select id, part, timezone, type, ean, channel, representation from meter
    where holder_id = ${holderId} and parent_id is null and ean = ${any(specs.map((spec) => spec.ean))}`);
  return new Map(
    rows.map(({ id, part, timezone, type, ...identity }) => [keyOf(identity)!, { id, part, timezone, type }]),
  );
}
