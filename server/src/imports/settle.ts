import type { SpooledColumns } from "./spool.ts";

/** Values of one series to store: ascending, each start once, none missing. */
export interface Settled {
  starts: Float64Array;
  values: Float64Array;
  /** Epoch milliseconds; NaN when the source states none. */
  versions: Float64Array;
  qualities: Uint8Array;
  /** Starts of which the source says that there is no value. */
  missing: number;
  /** Rows that said again what another row says, or what a newer one corrects. */
  duplicates: number;
}

/** Two rows that say different things about one start, with nothing that tells which is right. */
export interface Conflict {
  start: number;
  /** Indices into the columns. */
  rows: [number, number];
}

/**
 * Orders the values of a series and decides between several for one start: the newest version wins; equal ones are
 * one. Conflicts are told, and such a series is not to be stored. The columns may be handed out as they are.
 */
export function settle(columns: SpooledColumns, onConflict: (conflict: Conflict) => void): Settled {
  if (isSettled(columns)) {
    const { starts, values, versions, qualities } = columns;
    return { starts, values, versions, qualities, missing: 0, duplicates: 0 };
  }
  const { starts } = columns;
  const order = orderOf(starts);
  const kept = new Uint32Array(starts.length);
  let count = 0;
  let missing = 0;
  for (let from = 0; from < order.length; ) {
    let to = from + 1;
    while (to < order.length && starts[order[to]!] === starts[order[from]!]) to++;
    const winner = to === from + 1 ? order[from]! : decide(columns, order.subarray(from, to), onConflict);
    if (Number.isNaN(columns.values[winner]!)) missing++;
    else kept[count++] = winner;
    from = to;
  }
  const rows = kept.subarray(0, count);
  return {
    starts: Float64Array.from(rows, (row) => starts[row]!),
    values: Float64Array.from(rows, (row) => columns.values[row]!),
    versions: Float64Array.from(rows, (row) => columns.versions[row]!),
    qualities: Uint8Array.from(rows, (row) => columns.qualities[row]!),
    missing,
    duplicates: starts.length - count - missing,
  };
}

/** Is there nothing to order, decide or leave out? */
function isSettled({ starts, values }: SpooledColumns): boolean {
  for (let i = 0; i < starts.length; i++) {
    if (Number.isNaN(values[i]!) || (i > 0 && starts[i]! <= starts[i - 1]!)) return false;
  }
  return true;
}

/** Indices by start, equal ones in the order of the file. */
function orderOf(starts: Float64Array): Uint32Array {
  const order = Uint32Array.from(starts.keys());
  let ascending = true;
  for (let i = 1; ascending && i < starts.length; i++) ascending = starts[i]! >= starts[i - 1]!;
  return ascending ? order : order.sort((a, b) => starts[a]! - starts[b]! || a - b);
}

/** The row that counts among several for one start: of the newest version; one that has no version is as good. */
function decide(
  { starts, values, versions }: SpooledColumns,
  rows: Uint32Array,
  onConflict: (conflict: Conflict) => void,
): number {
  let newest = Number.NEGATIVE_INFINITY;
  for (const row of rows) if (versions[row]! > newest) newest = versions[row]!;
  const candidates = rows.filter((row) => !(versions[row]! < newest));
  // A row without a value does not speak against one that has one.
  const winner = candidates.find((row) => !Number.isNaN(values[row]!)) ?? candidates[0]!;
  const rival = candidates.find((row) => !Number.isNaN(values[row]!) && values[row] !== values[winner]);
  if (rival !== undefined) onConflict({ start: starts[winner]!, rows: [winner, rival] });
  return winner;
}
