import { type Head, headsOf } from "../changes/changes.ts";
import type { Db } from "../platform/db.ts";
import { Gathering } from "./gather.ts";
import { gatherHistory } from "./history.ts";
import { gatherLog } from "./log.ts";
import type { Content, Found } from "./piece.ts";
import { beginning, type Position } from "./position.ts";
import type { Batch, Stream } from "./stream.ts";
import { takeUp } from "./take-up.ts";

/** Values and costs: what lies behind a position, as much as there is room for. */
export async function newConsumption(
  db: Db,
  known: Stream,
  { behind, lease, limit, now }: { behind: Position; lease: string; limit: number; now: number },
): Promise<Found> {
  const stream = await takeUp(db, known, { lease, done: behind.history.done });
  // Before any value is read: what is committed later lies behind these.
  const heads = new Map((await headsOf(db, stream.parts)).map((head) => [head.part, head]));
  const start = hasGap(behind, [...heads.values()])
    ? beginning("again", behind.pushed)
    : structuredClone(behind);
  for (const part of stream.parts) start.log[part] ??= heads.get(part)?.off ?? 0;
  const gathering = new Gathering({ db, stream, start, end: null, heads, limit });
  const more = await gather(gathering, { limit, now });
  if (await missedEntries(db, start, gathering.position)) {
    return { stream, start, position: behind, more: true, runs: [], invoices: [], count: 0 };
  }
  return { stream, start, position: gathering.position, more, ...contentOf(gathering) };
}

/** The values of a batch that was issued before; `undefined` when the log does not reach back to it. */
export async function sameConsumption(db: Db, stream: Stream, batch: Batch): Promise<Content | undefined> {
  const { start, position } = batch;
  const gathering = new Gathering({ db, stream, start, end: position, heads: new Map(), limit: 0 });
  if (start.phase === "log") await gatherLog(gathering);
  await gatherHistory(gathering, start.phase === "first" ? stream.created : batch.created);
  return (await missedEntries(db, start, position)) ? undefined : contentOf(gathering);
}

const contentOf = ({ runs, count }: Gathering): Content => ({ runs, invoices: [], count });

/** Looked at after the entries were read: what is purged meanwhile may be missing. */
async function missedEntries(db: Db, start: Position, end: Position): Promise<boolean> {
  const moved = Object.keys(end.log).filter((part) => end.log[part] !== start.log[part]);
  return hasGap(start, await headsOf(db, moved.map(Number)));
}

function hasGap({ log }: Position, heads: readonly Head[]): boolean {
  return heads.some(({ part, purged }) => log[part] !== undefined && purged > log[part]);
}

/** Gathers what lies behind a position; returns whether there may be more. */
async function gather(
  gathering: Gathering,
  { limit, now }: { limit: number; now: number },
): Promise<boolean> {
  const { position, start, stream } = gathering;
  let more = false;
  if (start.phase === "log") {
    const isPending = start.history.from !== null || start.history.done < stream.seq;
    // Meters that come later, with years of history, must not keep the changes of the others waiting.
    if (isPending) gathering.room = Math.ceil(limit / 2);
    more = await gatherLog(gathering);
    gathering.room = limit - gathering.count;
  }
  await gatherHistory(gathering, start.phase === "first" ? stream.created : now);
  const { history } = position;
  if (history.from !== null || history.done < stream.seq || stream.filledPart !== null) return true;
  if (position.phase === "log") return more;
  position.phase = "log";
  return true;
}
