/**
 * Where a batch begins or ends. What lies between two positions is always the same places in the store, while the
 * values there are read anew: so the last one that a consumer gets is the present one, whatever was repeated.
 *
 * Two things are walked through: the history, which is the meters of the stream by their number in its queue, block
 * by block; and the log of changes, part by part. Why one offset per part: writers of a part hold its head until they
 * commit, so a reader that keeps an offset per part waits for nobody and writes nothing.
 */
export interface Position {
  /** `first`: the history as of the creation, before any change. `again`: the same once more. `log`: changes. */
  phase: "first" | "again" | "log";
  history: HistoryPosition;
  /** Offset of the last entry that was passed, per part. */
  log: Record<string, number>;
  /** The entry behind that one, of which so many slots were given out. */
  entry: { part: number; off: number; slots: number } | null;
  /** Changes of meters with a higher number are left out as far as their history holds them. */
  base: number;
  /** What was asked of the log of invoices for the batch that begins here: the same question finds the same ones. */
  invoices: { part: number; upTo: number; limit: number } | null;
  /** `pushed_at` of the last value, epoch ms: it never goes back. */
  pushed: number;
}

/** How far the history was given out. */
export interface HistoryPosition {
  /** Meters up to this number are done. */
  done: number;
  /** Those up to this one are under way, in the order of their series and blocks; `done` when none is. */
  upTo: number;
  /** The first place of them that was not given out. */
  from: { seriesId: number; gran: number; period: number; slot: number } | null;
}

/** The beginning of a stream, or of a walk through everything once more. */
export function beginning(phase: "first" | "again", pushed: number): Position {
  return {
    phase,
    history: { done: 0, upTo: 0, from: null },
    log: {},
    entry: null,
    base: 0,
    invoices: null,
    pushed,
  };
}
