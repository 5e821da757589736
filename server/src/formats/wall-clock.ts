import { granuleEnd, granuleStart } from "../platform/time/granule.ts";
import { localToUtc } from "../platform/time/zone.ts";
import type { Resolution } from "./resolution.ts";

const day = 86_400_000;

/** How often a wall-clock time happens: once, never (spring) or twice (autumn). */
export type Fit = "unique" | "skipped" | "repeated";

/**
 * Turns wall-clock times of one zone into instants, fast: one look-up per local day, except on the days on which
 * the clocks change. Local times are epoch milliseconds of the same clock reading in UTC.
 */
export class WallClock {
  /** How often the last time that was asked for happens. */
  fit: Fit = "unique";
  readonly #zone: string;
  #from = Number.NaN;
  #offset = Number.NaN;

  /** @param zone IANA name that the machine knows */
  constructor(zone: string) {
    this.#zone = zone;
  }

  /** The instant of `local`; of a repeated time the `later` or the earlier one, of a skipped one the change itself. */
  utc(local: number, later = false): number {
    if (local >= this.#from && local < this.#from + day) {
      if (!Number.isNaN(this.#offset)) return local - this.#offset;
    } else {
      this.#look(local);
      if (!Number.isNaN(this.#offset)) return local - this.#offset;
    }
    const mapped = localToUtc(this.#zone, local, later ? "later" : "earlier");
    this.fit = mapped.kind;
    return mapped.utc;
  }

  /** Seconds of the local day or month that begins at the instant `start`; undefined when none begins there. */
  calendarSeconds(start: number, resolution: "day" | "month"): number | undefined {
    if (granuleStart(resolution, this.#zone, start) !== start) return undefined;
    return (granuleEnd(resolution, this.#zone, start) - start) / 1000;
  }

  /** Keeps the offset of the local day when both its ends have the same, so that no change lies in it. */
  #look(local: number): void {
    this.#from = Math.floor(local / day) * day;
    const first = localToUtc(this.#zone, this.#from, "earlier");
    const last = localToUtc(this.#zone, this.#from + day, "later");
    const plain = first.kind === "unique" && last.kind === "unique" && last.utc - first.utc === day;
    this.#offset = plain ? this.#from - first.utc : Number.NaN;
    if (plain) this.fit = "unique";
  }
}

/** A label as the wall clock reads it (epoch milliseconds of the same reading in UTC) and the instant it means. */
export interface Label {
  local: number;
  utc: number;
}

const lengths = new Set([300, 600, 900, 1800, 3600]);

/**
 * The resolution of an interval that is printed as two wall-clock labels; undefined when it is none that we keep
 * (a week, a bill). The printed difference decides first, because files print the hour before the clocks go back as
 * 02:00 to 03:00 although two hours lie between these labels; then the real one (01:00 to 03:00 in spring).
 */
export function spanOf(start: Label, endLocal: number, clock: WallClock): Resolution | undefined {
  const printed = (endLocal - start.local) / 1000;
  if (lengths.has(printed)) return printed;
  if (printed >= 80_000 && start.local % day === 0 && endLocal % day === 0) {
    if (printed * 1000 === day) return "day";
    const from = new Date(start.local);
    const monthEnd = Date.UTC(from.getUTCFullYear(), from.getUTCMonth() + 1, 1);
    return from.getUTCDate() === 1 && endLocal === monthEnd ? "month" : undefined;
  }
  for (const later of [false, true]) {
    const real = (clock.utc(endLocal, later) - start.utc) / 1000;
    if (lengths.has(real)) return real;
  }
  return undefined;
}

/**
 * Tells the two passes of the repeated autumn hour apart by the order of the labels in the file, per series. Files
 * print the passes one after the other (02:00 02:30 02:00 02:30) or label by label (02:00 02:00 02:30 02:30); in an
 * ascending file the first of two is summer time, in a descending one the last.
 */
export class RepeatedHour {
  #day = Number.NaN;
  #previous = Number.NaN;
  #secondPass = false;

  /**
   * The instant of a label; call for each label of the series, in file order.
   * @param local wall-clock time as epoch milliseconds
   */
  utc(local: number, clock: WallClock, descending: boolean): number {
    const utc = clock.utc(local);
    if (clock.fit !== "repeated") return utc;
    const today = Math.floor(local / day);
    if (today !== this.#day) {
      this.#day = today;
      this.#previous = Number.NaN;
      this.#secondPass = false;
    }
    const back = descending ? local > this.#previous : local < this.#previous;
    if (back) this.#secondPass = true;
    const second = this.#secondPass || local === this.#previous;
    this.#previous = local;
    return second === descending ? utc : clock.utc(local, true);
  }
}
