import { entriesAfter, headsOf } from "../changes/changes.ts";
import type { Queryable } from "../platform/db.ts";
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
export async function lagOf(db: Queryable, stream: Stream, now: number): Promise<Lag> {
  const position = (await batchAt(db, stream.id, stream.lastOffset ?? 0))?.position;
  const history =
    position === undefined ||
    position.phase !== "log" ||
    position.history.done < stream.seq ||
    stream.filledPart !== null;
  let oldest = history && position?.phase !== "log" ? stream.created : now;
  let entries = 0;
  for (const head of await headsOf(db, stream.parts)) {
    const after = position?.log[head.part];
    if (after === undefined || head.off <= after || entries >= entriesMax) continue;
    const found = await entriesAfter(db, {
      part: head.part,
      after,
      upTo: head.off,
      limit: entriesMax - entries,
    });
    entries += found.length;
    if (found.length > 0) oldest = Math.min(oldest, found[0]!.off / 1000);
  }
  return { seconds: Math.max(0, Math.round((now - oldest) / 1000)), entries, history };
}
