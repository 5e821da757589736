import type { Wanted } from "../../collection/connector.ts";
import { localOf } from "../../platform/time/zone.ts";

/** Local calendar months, counted from the year 0, that hold what is wanted: each once, ascending. */
export function monthsOf(wanted: readonly Pick<Wanted, "from" | "to">[], zone: string): number[] {
  const months = new Set<number>();
  for (const { from, to } of wanted) {
    for (let month = monthAt(zone, from); month <= monthAt(zone, to - 1); month++) months.add(month);
  }
  return [...months].sort((a, b) => a - b);
}

/** The local month of an instant. */
export function monthAt(zone: string, at: number): number {
  const local = new Date(localOf(zone, at));
  return local.getUTCFullYear() * 12 + local.getUTCMonth();
}

/** `2026/03` */
export function monthText(month: number): string {
  return `${Math.floor(month / 12)}/${String((month % 12) + 1).padStart(2, "0")}`;
}
