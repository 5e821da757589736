import { setTimeout as delay } from "node:timers/promises";
import type { Fault } from "./faults.ts";
import type { Utility } from "./utility.ts";

/** What a request meets before it is answered. */
export type Obstacle =
  | { kind: "maintenance" }
  | { kind: "busy"; retryAfterSeconds: number }
  | { kind: "error" }
  | null;

/** Waits when the utility is slow, and says what stands in the way of a request of a customer, or of a stranger. */
export async function obstacleOf({ faults }: Utility, username: string | null): Promise<Obstacle> {
  const slow = faults.meet("slow", username);
  if (slow !== undefined) await delay((slow.seconds ?? 2) * 1000);
  if (faults.meet("maintenance", username) !== undefined) return { kind: "maintenance" };
  const busy = faults.meet("busy", username);
  if (busy !== undefined) return { kind: "busy", retryAfterSeconds: busy.seconds ?? 1 };
  return faults.meet("error", username) === undefined ? null : { kind: "error" };
}

/** Is the session of a customer lost after so many requests? */
export function isLost({ faults }: Utility, username: string, requests: number): boolean {
  const isMet = ({ after = 8 }: Fault) => requests > after;
  return faults.meet("session_lost", username, isMet) !== undefined;
}
