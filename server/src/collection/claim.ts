import { any, type Db, type Sql, sql, type Tx } from "../platform/db.ts";
import { newId } from "../platform/id.ts";
import { type Connection, connectionColumns } from "./connection.ts";
import type { Connector } from "./connector.ts";

/** A worker that has shown no sign for so long is dead; its run is repeated. */
export const leaseMs = 60_000;
/** So many runs in a row that did not reach a provider close it for a while. */
export const failuresToClose = 5;

/** A connection whose run has begun; `runId` is what its worker shows to be the one. */
export interface Claimed extends Connection {
  runId: string;
}

/** A run has lost its connection: to another worker, or because somebody paused, changed or deleted it. */
export class LostConnection extends Error {
  constructor() {
    super("the run has lost its connection");
    this.name = "LostConnection";
  }
}

export interface Claim {
  /** Places of this process. */
  free: number;
  /** Places of it that one provider may still have: one that hangs must not hold up the others. */
  freeOf?(provider: string): number;
  now: number;
}

/**
 * Begins runs of connections that are due, at most `free`: no more of a provider at once, over all processes, than it
 * bears, and a single one while it is away. Half of the places go to those that somebody waits for, when there are such;
 * the others to the longest due. A run whose worker died is due when its lease ends.
 */
export async function claimDue(
  db: Db,
  connectors: readonly Connector[],
  { free, freeOf = () => free, now }: Claim,
): Promise<Claimed[]> {
  const claimed: Claimed[] = [];
  const due = await dueProviders(db, connectors, now);
  for (const [i, provider] of due.entries()) {
    // Each provider that is due gets its share before one gets more.
    const share = Math.ceil((free - claimed.length) / (due.length - i));
    const room = Math.min(share, freeOf(provider.name));
    if (room <= 0) continue;
    claimed.push(...(await db.transaction((tx) => claimOf(tx, provider, { room, now }))));
  }
  return claimed;
}

/** Providers with something to do: one look into the index for each. */
async function dueProviders(db: Db, connectors: readonly Connector[], now: number): Promise<Connector[]> {
  if (connectors.length === 0) return [];
  const rows = await db.rows<{ name: string }>(sql`
    select p.name from unnest(${connectors.map(({ name }) => name)}::text[]) as p (name)
    left join provider_state s on s.provider = p.name
    where (s.closed_until is null or s.closed_until <= ${new Date(now)})
      and exists (select from connection c where c.provider = p.name and c.next_run <= ${new Date(now)})`);
  const due = new Set(rows.map(({ name }) => name));
  return connectors.filter(({ name }) => due.has(name));
}

async function claimOf(
  tx: Tx,
  { name, limits }: Connector,
  { room, now }: { room: number; now: number },
): Promise<Claimed[]> {
  const at = new Date(now);
  await tx.run(sql`
    insert into provider_state (provider, next_slot) values (${name}, 'epoch') on conflict do nothing`);
  // Claims of one provider take turns, or two processes would both see the last free place.
  const state = await tx.maybe<{ failures: number }>(sql`
    select failures from provider_state where provider = ${name} for no key update skip locked`);
  if (state === undefined) return [];
  const { running } = await tx.one<{ running: number }>(sql`
    select count(*) as running from connection
    where provider = ${name} and run_id is not null and next_run > ${at}`);
  const bears = state.failures >= failuresToClose ? 1 : limits.atOnce;
  const places = Math.max(0, Math.min(room, bears - running));
  const due = (also: Sql, most: number) =>
    tx.rows<Connection>(sql`
      select ${connectionColumns} from connection c
      where c.provider = ${name} and c.next_run <= ${at} and ${also}
      order by c.next_run limit ${most} for no key update skip locked`);
  const waitedFor = await due(isWaitedFor, Math.ceil(places / 2));
  const known = waitedFor.map(({ id }) => id);
  const rows = [...waitedFor, ...(await due(sql`c.id <> all(${known}::text[])`, places - known.length))];
  return rows.length === 0 ? [] : begin(tx, rows, now);
}

/** Somebody looks at it now. Written as in the index. */
const isWaitedFor = sql`c.next_reason in ('created', 'by_hand', 'credentials', 'activated')`;

/** Writes the runs down. What a dead worker left is closed, and its run repeated. */
async function begin(tx: Tx, rows: readonly Connection[], now: number): Promise<Claimed[]> {
  const at = new Date(now);
  const died = rows.flatMap(({ runId }) => runId ?? []);
  await tx.run(sql`
    update connection_run set ended = ${at}, outcome = 'interrupted' where id = ${any(died)} and outcome = 'running'`);
  const claimed = rows.map(
    (row): Claimed => ({
      ...row,
      runId: newId(now),
      nextReason: row.runId === null ? row.nextReason : "repeated",
    }),
  );
  await tx.run(sql`
    insert into connection_run (id, connection_id, reason, began, outcome)
    select run_id, id, reason, ${at}::timestamptz, 'running'
    from unnest(${claimed.map(({ runId }) => runId)}::text[], ${claimed.map(({ id }) => id)}::text[],
                ${claimed.map(({ nextReason }) => nextReason)}::text[]) as new (run_id, id, reason)`);
  await tx.run(sql`
    update connection c set run_id = new.run_id, next_run = ${new Date(now + leaseMs)}, version = version + 1,
      code = null, code_prompt = null, code_until = null
    from unnest(${claimed.map(({ runId }) => runId)}::text[], ${claimed.map(({ id }) => id)}::text[]) as new (run_id, id)
    where c.id = new.id`);
  return claimed;
}

/** Shows that the worker of a run lives; false when it has lost the connection. */
export async function keepLease(db: Db, { id, runId }: Claimed, now: number): Promise<boolean> {
  const kept = await db.run(sql`
    update connection set next_run = ${new Date(now + leaseMs)} where id = ${id} and run_id = ${runId}`);
  return kept === 1;
}
