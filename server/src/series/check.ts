import { minutesOf } from "../platform/granularity.ts";
import { granuleStart } from "../platform/time/granule.ts";
import { formatTimestamp } from "../platform/time/timestamp.ts";
import { earliest, isZone, latest, stretchAt } from "../platform/time/zone.ts";
import type { Batch, Refusal, Run } from "./batch.ts";
import { metrics } from "./metric.ts";

const day = 86_400_000;
/** More reasons than this help nobody. */
const refusalsMax = 100;

/**
 * Everything that must be true of a batch before anything is stored. Returns the reasons against single values,
 * at most 100; an empty list means that the batch is stored whole.
 */
export function refusals(batch: Batch, now: number): Refusal[] {
  const found: Refusal[] = [];
  for (const [run, each] of batch.runs.entries()) {
    if (found.length >= refusalsMax) break;
    const about = refusalOfRun(each);
    if (about !== undefined) found.push({ run, index: 0, where: whereOf(each, 0), message: about });
    else
      checkValues(each, now, (index, message) => {
        if (found.length < refusalsMax) found.push({ run, index, where: whereOf(each, index), message });
      });
  }
  return found;
}

function whereOf(run: Run, index: number): string {
  return run.where?.(index) ?? `${run.metric}[${index}]`;
}

function refusalOfRun(run: Run): string | undefined {
  const metric = metrics.get(run.metric);
  if (metric === undefined) return `unknown metric "${run.metric}"`;
  if (!isZone(run.meter.timezone)) return `unknown time zone "${run.meter.timezone}"`;
  if (run.starts.length !== run.values.length) return "as many starts as values are needed";
  if (metric.cost && run.granularity !== "month") return "costs are stored per month";
  if (metric.cost && !/^[A-Z]{3}$/.test(run.currency ?? ""))
    return "a cost needs its currency, three letters such as SEK";
  if (!metric.cost && (run.currency ?? "") !== "") return "only costs have a currency";
  return undefined;
}

function checkValues(run: Run, now: number, refuse: (index: number, message: string) => void): void {
  const isGranule = granuleTest(run);
  const last = now + day;
  for (let i = 0; i < run.starts.length; i++) {
    const start = run.starts[i]!;
    const value = run.values[i]!;
    const fine = start >= earliest && start <= last && start < latest && value !== Number.POSITIVE_INFINITY;
    if (fine && value !== Number.NEGATIVE_INFINITY && isGranule(start)) continue;
    refuse(i, faultOf(run, start, value, last));
  }
}

function faultOf(run: Run, start: number, value: number, last: number): string {
  if (Math.abs(value) === Number.POSITIVE_INFINITY) return "the value is not finite";
  if (!(start >= earliest && start < latest)) return "the time is outside 1970-2099";
  if (start > last) return `${formatTimestamp(start)} lies in the future`;
  return `no ${run.granularity} of ${run.meter.timezone} begins at ${formatTimestamp(start)}`;
}

/** Whether an instant begins a granule; the stretch of constant offset is remembered, as values come in runs. */
function granuleTest({ granularity, meter }: Run): (start: number) => boolean {
  const zone = meter.timezone;
  if (granularity === "day" || granularity === "month") {
    return (start) => granuleStart(granularity, zone, start) === start;
  }
  const step = minutesOf[granularity] * 60_000;
  let from = Number.POSITIVE_INFINITY;
  let to = Number.NEGATIVE_INFINITY;
  let offset = 0;
  return (start) => {
    if (start < from || start >= to) ({ from, to, offset } = stretchAt(zone, start));
    // Close to a change of offset a granule may be longer than its step: only there the calendar is asked.
    if (start - from < step) return granuleStart(granularity, zone, start) === start;
    return (start + offset) % step === 0;
  };
}
