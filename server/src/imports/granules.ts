import { type Granularity, minutesOf } from "../platform/granularity.ts";
import { granuleEnd, granuleStart } from "../platform/time/granule.ts";
import { stretchAt } from "../platform/time/zone.ts";

const bySeconds = new Map(
  (Object.entries(minutesOf) as [Granularity, number][]).map(([name, minutes]) => [minutes * 60, name]),
);

/** Finds out which granule an interval is, in one zone. Intervals come in runs, so the last answer is remembered. */
export class Granules {
  readonly zone: string;
  /** The stretch of constant offset and the step of the last answer: within them only the step has to fit. */
  #known = { from: 1, to: 0, seconds: 0, phase: 0, granularity: "hour" as Granularity };

  constructor(zone: string) {
    this.zone = zone;
  }

  /** The granularity of the interval [start, start + seconds); `undefined` when it is no granule of the zone. */
  kindOf(start: number, seconds: number): Granularity | undefined {
    const known = this.#known;
    if (seconds === known.seconds && start >= known.from && start < known.to) {
      return (start - known.phase) % (seconds * 1000) === 0 ? known.granularity : undefined;
    }
    const fixed = bySeconds.get(seconds);
    const candidates: Granularity[] = fixed === undefined ? ["day", "month", "hour"] : [fixed];
    const found = candidates.find((granularity) => this.#isGranule(granularity, start, seconds));
    if (found !== undefined && found === fixed) this.#remember(found, start, seconds);
    return found;
  }

  /** Does a granule of this length begin at the instant? */
  begins(granularity: Granularity, start: number): boolean {
    return granuleStart(granularity, this.zone, start) === start;
  }

  #isGranule(granularity: Granularity, start: number, seconds: number): boolean {
    if (!this.begins(granularity, start)) return false;
    return granuleEnd(granularity, this.zone, start) === start + seconds * 1000;
  }

  #remember(granularity: Granularity, start: number, seconds: number): void {
    const stretch = stretchAt(this.zone, start);
    // Close to a change of the offset a granule may be shorter or longer: there the calendar is asked.
    const margin = seconds * 1000;
    const from = stretch.from + margin;
    const to = stretch.to - margin;
    if (start >= from && start < to) this.#known = { from, to, seconds, phase: start, granularity };
  }
}
