import type { FoundMeter, Wanted } from "../collection/connector.ts";
import type { Granularity } from "../platform/granularity.ts";
import { calendarIndex, calendarStart } from "../platform/time/granule.ts";
import { type RecordOptions, record } from "./record.ts";
import { type WriteOptions, writeCase } from "./write-case.ts";

export interface RecordCaseOptions extends Omit<RecordOptions, "wantedOf">, WriteOptions {
  /** Days of values that are asked for. */
  days: number;
  /** Meters that values are asked of. */
  metersMax: number;
  /** IANA zone of the days of meters that say none. */
  zone: string;
}

/** What a recording came to. */
export interface Recorded {
  meters: number;
  values: number;
  invoices: number;
  requests: number;
  /** How the run ended, when it failed: that is a case too. */
  failure: string | undefined;
  /** Why no case was written; empty when it was. */
  problems: string[];
}

/**
 * Runs a connector against its provider and writes a case of it, without secrets and personal data: all meters, and the
 * values of the last whole days (the last whole month) that are usually there.
 */
export async function recordCase(options: RecordCaseOptions): Promise<Recorded> {
  const recording = await record({ ...options, wantedOf: (found) => wantedOf(found, options) });
  const problems = await writeCase(recording, options);
  const { found, told, failure, exchanges } = recording;
  return {
    meters: found.length,
    values: (told.deliveries ?? []).reduce((sum, { values }) => sum + (values as unknown[]).length, 0),
    invoices: told.invoices?.length ?? 0,
    requests: exchanges.length,
    failure: failure === undefined ? undefined : `${failure.kind}: ${failure.message}`,
    problems,
  };
}

function wantedOf(found: readonly FoundMeter[], options: RecordCaseOptions): Wanted[] {
  return found.slice(0, options.metersMax).flatMap(({ key, metrics, timezone = options.zone }) =>
    metrics.flatMap(({ metric, granularities }) =>
      granularities.map((granularity) => {
        return {
          key,
          metric,
          granularity,
          ...lastWhole(granularity, timezone, options),
          reason: "new" as const,
        };
      }),
    ),
  );
}

function lastWhole(
  granularity: Granularity,
  zone: string,
  { now, days, connector }: RecordCaseOptions,
): { from: number; to: number } {
  const until = now - connector.latenessHours * 3_600_000;
  const unit = granularity === "month" ? "month" : "day";
  const end = calendarIndex(unit, zone, until);
  const count = unit === "month" ? 1 : days;
  return { from: calendarStart(zone, end - count, unit), to: calendarStart(zone, end, unit) };
}
