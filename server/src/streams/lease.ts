import { type Db, sql } from "../platform/db.ts";
import { notFound, Problem } from "../platform/problem.ts";
import { repeat } from "../platform/repeat.ts";
import { newSecret } from "../platform/token.ts";

/** A lease lives so long without a sign of life. The time is that of the database: servers may disagree on theirs. */
const seconds = 5;
const renewMs = 1_500;

/**
 * Commits this statement without waiting for the disk, which costs more than all else: a lease that a crash of the
 * database takes along is one that nobody holds any more.
 */
const unsynced = sql`set_config('synchronous_commit', 'off', true) = 'off'`;

/** The right to consume a stream, which one request has at a time. */
export interface Lease {
  token: string;
  /** Aborted when the stream was deleted, or somebody else has the lease because this process slept. */
  lost: AbortSignal;
  release(): Promise<void>;
}

/**
 * Takes the lease of a stream and keeps it until it is released. It is free again at most 5 s after its process died.
 * @throws Problem 429 while somebody else consumes the stream, 404 without it
 */
export async function takeLease(db: Db, streamId: string): Promise<Lease> {
  const token = newSecret(12);
  const taken = await db.run(sql`
    update stream set lease = ${token}, lease_until = now() + make_interval(secs => ${seconds})
    where id = ${streamId} and (lease is null or lease_until < now()) and ${unsynced}`);
  if (taken === 0) throw await refusal(db, streamId);
  const lost = new AbortController();
  const stop = repeat(
    renewMs,
    async () => {
      const kept = await db.run(sql`
        update stream set lease_until = now() + make_interval(secs => ${seconds})
        where id = ${streamId} and lease = ${token} and ${unsynced}`);
      if (kept === 0) lost.abort();
    },
    () => lost.abort(),
  );
  return {
    token,
    lost: lost.signal,
    async release() {
      stop();
      await db.run(sql`
        update stream set lease = null, lease_until = null
        where id = ${streamId} and lease = ${token} and ${unsynced}`);
    },
  };
}

async function refusal(db: Db, streamId: string): Promise<Problem> {
  const found = await db.maybe(sql`select 1 as one from stream where id = ${streamId}`);
  if (found === undefined) return notFound(`stream ${streamId}`);
  return busy();
}

/** 429: one consumer at a time. */
export function busy(): Problem {
  return new Problem(
    "too_many_requests",
    "Another consumer reads this stream now; a stream has one consumer at a time. Make a stream for each",
    { retryAfterSeconds: seconds },
  );
}
