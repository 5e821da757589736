import { type Db, type Queryable, sql, type Tx } from "../platform/db.ts";
import { failuresToClose } from "./claim.ts";
import { type Connector, ProviderFailure } from "./connector.ts";

/** Requests of the last so many milliseconds may be sent together. */
const burstMs = 10_000;
/** A request that would wait for longer is not sent. */
const waitMsMax = 300_000;

/** A limit of requests, and the name under which places are given out. */
export interface Limit {
  name: string;
  perMinute: number;
}

/** The limits that a request to a provider falls under, the tighter one first: who waits for it takes no other place. */
export function limitsOf({ name, limits }: Connector, named: string | undefined): Limit[] {
  const tighter = named === undefined ? undefined : limits.named?.[named];
  return [
    ...(tighter === undefined ? [] : [{ name: `${name} ${named}`, perMinute: tighter }]),
    { name, perMinute: limits.perMinute },
  ];
}

/**
 * Takes the next free place among the requests to a provider, over all processes; returns how many milliseconds to wait
 * for it.
 * @throws ProviderFailure `busy` when others have taken all places of the next minutes
 */
export async function takeSlot(db: Db, { name, perMinute }: Limit, now: number): Promise<number> {
  const stepMs = 60_000 / perMinute;
  const { slot } = await db.one<{ slot: number }>(sql`
    insert into provider_state as s (provider, next_slot)
    values (${name}, ${new Date(now - burstMs + stepMs)})
    on conflict (provider) do update
      set next_slot = greatest(s.next_slot, ${new Date(now - burstMs)}::timestamptz)
        + make_interval(secs => ${stepMs / 1000})
    returning (extract(epoch from next_slot) * 1000)::float8 as slot`);
  const wait = slot - stepMs - now;
  if (wait <= waitMsMax) return Math.max(0, wait);
  await db.run(sql`
    update provider_state set next_slot = next_slot - make_interval(secs => ${stepMs / 1000}) where provider = ${name}`);
  throw new ProviderFailure("busy", "the limit of requests to this provider is used up", {
    retryAfterSeconds: waitMsMax / 1000,
  });
}

const closedMsMin = 60_000;
const closedMsMax = 1_800_000;

/**
 * Keeps book of whether a provider is there. After some failures in a row nobody asks it for a while, or until it said
 * to come back; then one at a time.
 */
export async function noteProvider(
  tx: Tx,
  provider: string,
  {
    reached,
    retryAfterSeconds,
    now,
  }: { reached: boolean; retryAfterSeconds?: number | undefined; now: number },
): Promise<void> {
  if (reached) {
    await tx.run(sql`
      update provider_state set failures = 0, closed_until = null
      where provider = ${provider} and (failures > 0 or closed_until is not null)`);
    return;
  }
  const { failures } = await tx.one<{ failures: number }>(sql`
    insert into provider_state as s (provider, next_slot, failures) values (${provider}, ${new Date(now)}, 1)
    on conflict (provider) do update set failures = s.failures + 1 returning failures`);
  const over = failures - failuresToClose;
  // Until then it may be about one customer, for whom others must not wait.
  if (over < 0) return;
  const breakMs = Math.min(closedMsMin * 2 ** over, closedMsMax);
  const askedMs = Math.min((retryAfterSeconds ?? 0) * 1000, closedMsMax);
  const closedMs = Math.max(breakMs, askedMs);
  await tx.run(sql`
    update provider_state set closed_until = greatest(closed_until, ${new Date(now + closedMs)}::timestamptz)
    where provider = ${provider}`);
}

/**
 * May this question be put to a provider that refuses repeats? If so, it is written down, and false for as long as the
 * provider would refuse it. Always true for others.
 */
export async function mayAsk(
  db: Queryable,
  { limits }: Connector,
  { connectionId, question, now }: { connectionId: string; question: string; now: number },
): Promise<boolean> {
  if (limits.repeatHours === undefined) return true;
  const until = new Date(now + limits.repeatHours * 3_600_000);
  const taken = await db.run(sql`
    insert into provider_question as q (connection_id, question, until)
    values (${connectionId}, ${question.slice(0, 500)}, ${until})
    on conflict (connection_id, question) do update set until = excluded.until where q.until <= ${new Date(now)}`);
  return taken === 1;
}
