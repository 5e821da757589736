import { JsonBytes } from "../platform/value-json.ts";
import { metrics } from "../series/series.ts";
import { meterText, pieceBytes, pushedText, type Shown } from "./batch-json.ts";
import type { StreamRun } from "./gather.ts";

/** Bytes of a value and its start, about. */
const valueBytes = 20;
/** A run has as many bytes at most: a block of values. */
const runBytes = 65_536;

/**
 * The text of `{offset, resource, records}` with a record per run of values and two lists in it: starts in seconds
 * since 1970 and values. A tenth of the bytes that a value has by itself. In pieces, `before` and `after` around it.
 */
export function* columnPieces(
  batch: Shown,
  { before, after }: { before: string; after: string },
): Generator<Buffer, void, undefined> {
  const room = 1_024 + valueBytes * batch.count + 300 * batch.runs.length;
  let json = new JsonBytes(Math.min(room, pieceBytes + runBytes));
  json.raw(`${before}{"offset":${batch.offset},"resource":"${batch.resource}","records":[`);
  json.raw(batch.invoices.map((invoice) => JSON.stringify(invoice)).join(","));
  for (const [i, run] of batch.runs.entries()) {
    if (json.length > pieceBytes) {
      yield json.finish();
      json = new JsonBytes(pieceBytes + runBytes);
    }
    if (i > 0) json.raw(",");
    json.raw(`{"meter":${meterText(run)},"columns":{${aboutText(run)},"start":`);
    json.values(run.starts.map((start) => start / 1000));
    json.raw(',"value":').values(run.values).raw("}}");
  }
  json.raw(`]}${after}`);
  yield json.finish();
}

function aboutText({ granularity, metric, updated, pushedAt, currency }: StreamRun): string {
  const cost = metrics.get(metric)?.cost === true ? { currency } : {};
  const about = { granularity, metric, updated, pushed_at: pushedText(pushedAt), ...cost };
  return JSON.stringify(about).slice(1, -1);
}
