import { dayMs, dayOf } from "./calendar.ts";
import type { SimulatedClock } from "./clock.ts";
import { between, chance, oneOf, seedOf } from "./dice.ts";

/** What can go wrong; the manual says what each one does. */
export const faultKinds = [
  "wrong_password",
  "account_locked",
  "consent",
  "captcha",
  "maintenance",
  "slow",
  "busy",
  "error",
  "session_lost",
  "empty_list",
  "half_meters",
  "layout",
  "duplicates",
  "late",
  "half_day",
  "corrections",
  "rewritten",
  "gone",
] as const;
export type FaultKind = (typeof faultKinds)[number];

export const layoutVariants = ["columns", "labels", "language", "units", "decimals"] as const;
export type LayoutVariant = (typeof layoutVariants)[number];

/** What a fault is ordered with. Times are those of the utility's clock, epoch milliseconds. */
export interface FaultOrder {
  kind: FaultKind;
  /** One customer; absent: all. */
  username?: string | null;
  from?: number;
  until?: number | null;
  /** Ends after so many hits. */
  times?: number | null;
  /** `slow`: before the answer; `busy`: what `Retry-After` says; `gone`: how long, by the machine's clock. */
  seconds?: number;
  /** `busy`, `error`: only every so many requests. */
  every?: number;
  /** `session_lost`: after so many requests of the session. */
  after?: number;
  /** `corrections`, `rewritten`: how many days back. */
  days?: number;
  variant?: LayoutVariant;
}

export interface Fault extends FaultOrder {
  id: string;
  username: string | null;
  from: number;
  until: number | null;
  times: number | null;
  /** How often it was met. */
  hits: number;
  /** Reserved logins have theirs for ever. */
  reserved: boolean;
}

/** Faults that were, are and will be: those of the past are part of what was published when. */
export interface FaultBook {
  add(order: FaultOrder): Fault;
  /** Ends a fault now, or calls it off when it has not begun. Answers whether there was one that could be ended. */
  end(id: string): boolean;
  list(): readonly Fault[];
  /** The fault of a kind that a request meets; it counts. `isMet` says whether its own condition holds. */
  meet(kind: FaultKind, username: string | null, isMet?: (fault: Fault) => boolean): Fault | undefined;
  /** When something of a customer that was due at an instant is published; infinite while nobody knows. */
  delayed(username: string, due: number, isSecondHalf: boolean): number;
  /** Orders by which values of a customer were changed afterwards, the oldest first. */
  revisions(username: string): readonly Fault[];
}

const isRevision = ({ kind }: Fault) => kind === "corrections" || kind === "rewritten";
const runs = ({ from, until }: Fault, at: number) => from <= at && at < (until ?? Infinity);
const concerns = (fault: Fault, username: string | null) =>
  fault.username === null || fault.username === username;
const isDelay = ({ kind }: Fault) => kind === "late" || kind === "half_day";

function faultOf(order: FaultOrder, known: Pick<Fault, "id" | "reserved" | "from">): Fault {
  const { username = null, until = null, times = null } = order;
  return { ...order, ...known, username, until, times, hits: 0 };
}

/** An empty book. */
export function faultBook(clock: SimulatedClock): FaultBook {
  const faults = new Map<string, Fault>();
  let ordered = 0;
  const asked = new Map<string, number>();
  // Asked for every day that is shown, so those of a customer are found once.
  const delays = new Map<string, Fault[]>();
  const delaysOf = (username: string) => {
    let found = delays.get(username);
    if (found === undefined) {
      delays.set(username, (found = list().filter((each) => isDelay(each) && concerns(each, username))));
    }
    return found;
  };
  const list = () => [...faults.values()];
  return {
    add(order) {
      const isReserved = order.from === -Infinity;
      const fault = faultOf(order, {
        id: isReserved ? `reserved-${order.username}` : `fault-${++ordered}`,
        reserved: isReserved,
        from: order.from ?? clock.now(),
      });
      faults.set(fault.id, fault);
      delays.clear();
      return fault;
    },
    end(id) {
      const fault = faults.get(id);
      if (fault === undefined || fault.reserved) return false;
      // One that has not begun never was.
      if (fault.from > clock.now()) faults.delete(id);
      else fault.until = Math.min(fault.until ?? Infinity, clock.now());
      delays.clear();
      return true;
    },
    list,
    meet(kind, username, isMet = () => true) {
      const now = clock.now();
      const fault = list().find(
        (each) =>
          each.kind === kind &&
          concerns(each, username) &&
          runs(each, now) &&
          each.hits < (each.times ?? Infinity) &&
          isMet(each),
      );
      if (fault === undefined) return undefined;
      const count = (asked.get(fault.id) ?? 0) + 1;
      asked.set(fault.id, count);
      if (fault.every !== undefined && count % fault.every !== 0) return undefined;
      fault.hits++;
      return fault;
    },
    delayed(username, due, isSecondHalf) {
      // One fault may end while another holds on.
      const holds = delaysOf(username).filter(({ kind }) => isSecondHalf || kind === "late");
      for (let at = due; ; ) {
        const holding = holds.find((each) => runs(each, at));
        if (holding === undefined) return at;
        at = holding.until ?? Infinity;
      }
    },
    revisions: (username) =>
      list()
        .filter((each) => isRevision(each) && concerns(each, username))
        .sort((a, b) => a.from - b.from),
  };
}

/** The days, the last one excluded, whose values a correction touches. */
export function revisedDays({ from, days = 3 }: Fault): { first: number; end: number } {
  const end = dayOf(from);
  return { first: end - days, end };
}

/** Kinds that end only by a person, or with the utility. */
const lasting: readonly FaultKind[] = ["wrong_password", "account_locked", "consent", "captcha", "gone"];
/** Kinds that are drawn unless others are named: all that pass by themselves. */
const passing: readonly FaultKind[] = faultKinds.filter((kind) => !lasting.includes(kind));

/** What a plan of faults is drawn from. */
export interface Drawing {
  seed: number;
  from: number;
  until: number;
  count: number;
  kinds?: readonly FaultKind[];
}

/** Faults of a time and of customers, drawn from a seed: each of hours to days, of one customer in two thirds. */
export function drawFaults(
  { seed, from, until, count, kinds = passing }: Drawing,
  usernames: readonly string[],
): FaultOrder[] {
  return Array.from({ length: count }, (_, i) => {
    const own = seedOf(seed, `fault ${i}`);
    const kind = oneOf(own, 1, kinds);
    const start = Math.floor(from + chance(own, 2) * (until - from));
    const length = between(own, 3, [3, 72]) * (dayMs / 24);
    return {
      kind,
      username: chance(own, 4) < 0.67 ? oneOf(own, 5, usernames) : null,
      from: start,
      until: Math.min(start + length, until),
      ...optionsOf(kind, own),
    };
  });
}

function optionsOf(kind: FaultKind, own: number): Partial<FaultOrder> {
  switch (kind) {
    case "slow":
      return { seconds: 1, times: between(own, 6, [1, 5]) };
    case "busy":
      return { seconds: 1, every: between(own, 6, [2, 5]), times: between(own, 7, [1, 20]) };
    case "error":
      return { every: between(own, 6, [1, 5]), times: between(own, 7, [1, 20]) };
    case "session_lost":
      return { after: between(own, 6, [3, 12]), times: between(own, 7, [1, 4]) };
    case "layout":
      return { variant: oneOf(own, 6, layoutVariants) };
    case "corrections":
      return { days: between(own, 6, [1, 20]) };
    case "rewritten":
      return { days: between(own, 6, [20, 40]) };
    default:
      return {};
  }
}
