import { entriesAfter, headsOf } from "../changes/changes.ts";
import type { Db } from "../platform/db.ts";
import { waitingInvoices } from "./invoice-batch.ts";
import type { Position } from "./position.ts";
import { batchAt, type Stream } from "./stream.ts";

/** Entries are counted up to here. */
const entriesMax = 10_000;

/** How far the consumer of a stream is behind, as far as it has confirmed. */
export interface Lag {
  /** Age of the oldest change that it has not confirmed; 0 when there is none. */
  seconds: number;
  /** Changes that it has not confirmed, 10,000 at most; a change is a run of values. */
  entries: number;
  /** It has not got all of the history yet. */
  history: boolean;
}

/** Measures the lag of a stream now. */
export async function lagOf(db: Db, stream: Stream, now: number): Promise<Lag> {
  const position = (await batchAt(db, stream.id, stream.lastOffset ?? 0))?.position;
  if (position === undefined) return lag(now, { oldest: stream.created, entries: 0, history: true });
  return stream.resource === "invoices"
    ? invoiceLag(db, stream, { position, now })
    : consumptionLag(db, stream, { position, now });
}

interface Place {
  position: Position;
  now: number;
}

async function invoiceLag(db: Db, stream: Stream, { position, now }: Place): Promise<Lag> {
  const { oldest, count } = await waitingInvoices(db, stream, position);
  return lag(now, { oldest: oldest ?? now, entries: count, history: position.phase !== "log" });
}

async function consumptionLag(db: Db, stream: Stream, { position, now }: Place): Promise<Lag> {
  const isFirst = position.phase !== "log";
  const history = isFirst || position.history.done < stream.seq || stream.filledPart !== null;
  let oldest = isFirst ? stream.created : now;
  let entries = 0;
  for (const head of await headsOf(db, stream.parts)) {
    const after = position.log[head.part];
    if (after === undefined || head.off <= after || entries >= entriesMax) continue;
    const question = { part: head.part, after, upTo: head.off, limit: entriesMax - entries };
    const found = await entriesAfter(db, question);
    entries += found.length;
    if (found.length > 0) oldest = Math.min(oldest, found[0]!.off / 1000);
  }
  return lag(now, { oldest, entries, history });
}

function lag(now: number, { oldest, ...rest }: { oldest: number; entries: number; history: boolean }): Lag {
  return { seconds: Math.max(0, Math.round((now - oldest) / 1000)), ...rest };
}
