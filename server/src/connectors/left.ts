import { type FoundMeter, ProviderFailure, type Visit } from "../collection/connector.ts";
import { dayOf, dayText } from "./windows.ts";

const day = 86_400_000;
const key = "ended";

/**
 * Remembers since when a customer has left every meter, by the calendar of `zone`: the last values still come, so the
 * contract is over only `days` after that was first seen.
 * @throws ProviderFailure `ended`, with `message`, when it is
 */
export async function endWhenLeft(
  { memory, now }: Pick<Visit<unknown>, "memory" | "now">,
  meters: readonly FoundMeter[],
  { zone, days, message }: { zone: string; days: number; message: string },
): Promise<void> {
  const today = dayText(dayOf(zone, now));
  const hasLeft = meters.length > 0 && meters.every(({ ended }) => ended !== undefined && ended <= today);
  const seen = memory.get(key);
  if (hasLeft && seen === undefined) await memory.set(key, today);
  else if (hasLeft && now - Date.parse(seen!) > days * day) throw new ProviderFailure("ended", message);
  else if (!hasLeft && seen !== undefined) await memory.set(key, null);
}
