import type { Delivery, Visit, Wanted } from "../collection/connector.ts";

/** Values by the start of their granule, epoch ms. */
export type Values = Map<number, number>;

/**
 * Values of all devices at one metering point as one series: one goes on where the other ends, when it is exchanged.
 * Where several have a value, and not the same, those of devices that stand still do not count; of what is left nobody
 * says whether it is to be added, so that it is left out and counted in `ambiguous`.
 */
export function oneSeries(devices: readonly Values[]): { values: Values; ambiguous: number } {
  const found = new Map<number, Set<number>>();
  for (const [start, value] of devices.flatMap((values) => [...values])) {
    found.set(start, (found.get(start) ?? new Set()).add(value));
  }
  const values: Values = new Map();
  let ambiguous = 0;
  for (const [start, all] of [...found].sort(([a], [b]) => a - b)) {
    if (all.size > 1) all.delete(0);
    if (all.size > 1) ambiguous++;
    else for (const value of all) values.set(start, value);
  }
  return { values, ambiguous };
}

/** Values of all devices for a span of a question as one delivery, if there are any; tells what was left out. */
export function* deliveryOf(
  visit: Pick<Visit<unknown>, "step">,
  devices: readonly Values[],
  { key, metric, granularity, from, to }: Pick<Wanted, "key" | "metric" | "granularity" | "from" | "to">,
): Generator<Delivery> {
  const { values, ambiguous } = oneSeries(devices);
  if (ambiguous > 0) visit.step("left out", { half_hours: ambiguous });
  if (values.size === 0) return;
  yield {
    ...{ key, metric, granularity },
    starts: [...values.keys()],
    values: [...values.values()],
    document: { id: `${key} ${new Date(from).toISOString()} ${new Date(to).toISOString()}` },
  };
}
