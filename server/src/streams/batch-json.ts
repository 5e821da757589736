import { stretchAt } from "../platform/time/zone.ts";
import { JsonBytes } from "../platform/value-json.ts";
import { metrics } from "../series/series.ts";
import type { Cut } from "./cut.ts";
import type { StreamRun } from "./gather.ts";

const day = 86_400_000;
const minute = 60_000;
const zero = 48;
/** Longest text of a value, its comma included. */
const numberBytesMax = 27;

/** Pieces are as long at least: the client reads one while the next is written. */
export const pieceBytes = 1_048_576;
/** A run holds as many bytes at most: a block of values. */
const runBytes = 262_144;
/** Bytes of a value, about. */
const valueBytes = 170;

/** A batch, or that there is none behind an offset. */
export type Shown = Pick<Cut, "resource" | "runs" | "invoices" | "count"> & { offset: number | null };

/**
 * The text of `{offset, resource, records}`, in pieces, `before` and `after` around it. Each value is a text that
 * differs from the one before it in the number and a few digits: those are patched, and the rest is copied as one.
 */
export function* batchPieces(
  batch: Shown,
  { before, after }: { before: string; after: string },
): Generator<Buffer, void, undefined> {
  const room = 1_024 + valueBytes * batch.count;
  let json = new JsonBytes(Math.min(room, pieceBytes + runBytes));
  json.raw(`${before}{"offset":${batch.offset},"resource":"${batch.resource}","records":[`);
  json.raw(batch.invoices.map((invoice) => JSON.stringify(invoice)).join(","));
  let last: string | undefined;
  for (const run of batch.runs) {
    if (json.length > pieceBytes) {
      yield json.finish();
      json = new JsonBytes(pieceBytes + runBytes);
    }
    if (last === run.meterId) json.raw(",");
    else {
      json.raw(`${last === undefined ? "" : "]},"}{"meter":${meterText(run)},"values":[`);
      last = run.meterId;
    }
    writeRun(json, run);
  }
  json.raw(`${last === undefined ? "" : "]}"}]}${after}`);
  yield json.finish();
}

/** The meter of a run, as records name it. */
export function meterText({ meterId, ean, timezone, rootId }: StreamRun): string {
  return JSON.stringify({ _id: meterId, ean, timezone, root_id: rootId });
}

const opening = '{"value":';

function writeRun(json: JsonBytes, run: StreamRun): void {
  const { starts, values } = run;
  const tail = new Tail(run);
  json.raw(opening);
  json.direct(values.length * (tail.bytes.length + numberBytesMax), (bytes, from) => {
    let at = from;
    for (let i = 0; i < values.length; i++) {
      at = json.numberAt(values[i]!, at);
      tail.turnTo(starts[i]!);
      bytes.set(tail.bytes, at);
      at += tail.bytes.length;
    }
    // Behind the last value the next one would begin.
    return at - opening.length - 1;
  });
}

/** What stands behind the numbers of a run, up to the next number. */
class Tail {
  readonly bytes: Buffer;
  readonly #zone: string;
  /** Where the digits of the period and of the start stand. */
  readonly #period: number;
  readonly #start: number;
  /** How many digits the period has: 6, 8, 10 or 12. */
  readonly #digits: number;
  /** Where the zone keeps its offset, and the days that stand there. */
  #stretch = { from: 0, to: 0, offset: 0 };
  #localDay = Number.NaN;
  #utcDay = Number.NaN;
  #second = 0;

  constructor({ granularity, metric, currency, updated, pushedAt, timezone }: StreamRun) {
    this.#zone = timezone;
    this.#digits = granularity === "month" ? 6 : granularity === "day" ? 8 : granularity === "hour" ? 10 : 12;
    const head = `,"granularity":"${granularity}","metric":"${metric}","updated":${updated},"period":"`;
    const middle = `","pushed_at":"${pushedText(pushedAt)}","start":"`;
    const cost = metrics.get(metric)?.cost === true ? `,"currency":${JSON.stringify(currency)}` : "";
    const text = `${head}${"0".repeat(this.#digits)}${middle}0000-00-00T00:00:00+0000"${cost}},${opening}`;
    this.bytes = Buffer.from(text);
    this.#period = head.length;
    this.#start = head.length + this.#digits + middle.length;
  }

  /** Writes the digits of a granule that begins at `start`. */
  turnTo(start: number): void {
    if (start >= this.#stretch.to || start < this.#stretch.from) this.#stretch = stretchAt(this.#zone, start);
    this.#turnPeriod(start + this.#stretch.offset);
    this.#turnStart(start);
  }

  #turnPeriod(local: number): void {
    const { bytes } = this;
    const at = this.#period;
    let past = local - this.#localDay;
    if (!(past >= 0 && past < day)) {
      this.#localDay = Math.floor(local / day) * day;
      past = local - this.#localDay;
      const date = new Date(local);
      writeDigits(bytes, at, date.getUTCFullYear(), 4);
      writePair(bytes, at + 4, date.getUTCMonth() + 1);
      if (this.#digits > 6) writePair(bytes, at + 6, date.getUTCDate());
    }
    if (this.#digits <= 8) return;
    const minutes = (past / minute) | 0;
    const hours = (minutes / 60) | 0;
    writePair(bytes, at + 8, hours);
    if (this.#digits > 10) writePair(bytes, at + 10, minutes - 60 * hours);
  }

  #turnStart(start: number): void {
    const { bytes } = this;
    const at = this.#start;
    let past = start - this.#utcDay;
    if (!(past >= 0 && past < day)) {
      this.#utcDay = Math.floor(start / day) * day;
      past = start - this.#utcDay;
      const date = new Date(start);
      writeDigits(bytes, at, date.getUTCFullYear(), 4);
      writePair(bytes, at + 5, date.getUTCMonth() + 1);
      writePair(bytes, at + 8, date.getUTCDate());
    }
    const seconds = (past / 1000) | 0;
    const minutes = (seconds / 60) | 0;
    const hours = (minutes / 60) | 0;
    writePair(bytes, at + 11, hours);
    writePair(bytes, at + 14, minutes - 60 * hours);
    // Zones had offsets with parts of a minute until 1972.
    const second = seconds - 60 * minutes;
    if (second !== this.#second) writePair(bytes, at + 17, (this.#second = second));
  }
}

/** `2019-03-19 09:20:35`, UTC. */
export function pushedText(at: number): string {
  return new Date(at).toISOString().slice(0, 19).replace("T", " ");
}

/** Writes two digits. */
function writePair(bytes: Uint8Array, at: number, value: number): void {
  const tens = (value / 10) | 0;
  bytes[at] = zero + tens;
  bytes[at + 1] = zero + value - 10 * tens;
}

function writeDigits(bytes: Uint8Array, at: number, value: number, count: number): void {
  let rest = value;
  for (let i = at + count - 1; i >= at; i--) {
    const tens = (rest / 10) | 0;
    bytes[i] = zero + rest - 10 * tens;
    rest = tens;
  }
}
