import { parseDay } from "./calendar.ts";
import { type SimulatedClock, simulatedClock } from "./clock.ts";
import { type FaultBook, faultBook } from "./faults.ts";
import type { Invoice } from "./invoices.ts";
import { Logins } from "./logins.ts";
import { type Publication, publicationAt } from "./publication.ts";
import { makeWorld, pivotOf, type World } from "./world.ts";

/** A utility company with its customers, its time and its troubles. */
export interface Utility {
  world: World;
  clock: SimulatedClock;
  faults: FaultBook;
  logins: Logins;
  /** Invoices that were issued, or would have been had their month come in time, by metering point and month. */
  issued: Map<string, Invoice | undefined>;
  /** What can be seen now, or what could be seen at an instant. */
  published(at?: number): Publication;
}

export interface UtilityOptions {
  /** Decides customers, values and when they are published; 1 when absent. */
  seed?: number;
  /** Ordinary customers beside the reserved logins; 20 when absent. */
  customers?: number;
  /** Where the clock begins, epoch milliseconds; the machine's time when absent. */
  now?: number;
  /** Simulated seconds per second; 1 when absent. */
  speed?: number;
  /** The clock never gets ahead of the machine's. */
  catchesUp?: boolean;
  /** `YYYY-MM-DD`: events of a year are laid out from this day on; the first day of the clock's year when absent. */
  pivot?: string;
  /** The machine's clock. */
  wall?: () => number;
}

/** @throws RangeError when `pivot` is no day */
export function makeUtility({
  seed = 1,
  customers = 20,
  speed = 1,
  catchesUp = false,
  wall = Date.now,
  ...more
}: UtilityOptions): Utility {
  const now = more.now ?? wall();
  const pivot = more.pivot === undefined ? pivotOf(now) : parseDay(more.pivot);
  if (pivot === undefined) throw new RangeError(`${more.pivot} is no day: write YYYY-MM-DD`);
  const clock = simulatedClock(now, { speed, wall, catchesUp });
  const world = makeWorld({ seed, customers, pivot });
  const faults = faultBook(clock);
  for (const { username, situation } of world.customers.values()) {
    if (situation?.fault !== undefined) faults.add({ ...situation.fault, username, from: -Infinity });
  }
  return {
    world,
    clock,
    faults,
    logins: new Logins(world, faults),
    issued: new Map(),
    published: (at = clock.now()) => publicationAt({ world, faults, now: at }),
  };
}
