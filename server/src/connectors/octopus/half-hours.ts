import { z } from "zod";
import type { HttpAnswer } from "../../collection/connector.ts";
import { changedAnswer, readAnswer } from "../answer.ts";
import type { Values } from "../one-series.ts";

const halfHour = 1_800_000;

const pageSchema = z.object({
  next: z.string().nullable(),
  results: z.array(
    z.object({ consumption: z.number().nullable(), interval_start: z.string(), interval_end: z.string() }),
  ),
});

/**
 * Adds the half-hours of one page that begin within the span to `all`; returns the address of the next page.
 * @throws ProviderFailure `changed` for anything else than half-hours with offsets, and for two values of one
 */
export function readPage(
  answer: HttpAnswer,
  all: Values,
  { from, to }: { from: number; to: number },
): string | null {
  const { next, results } = readAnswer(answer, pageSchema);
  for (const { consumption, interval_start, interval_end } of results) {
    const start = instantOf(interval_start);
    if (start === undefined || start % halfHour !== 0 || instantOf(interval_end) !== start + halfHour) {
      throw changedAnswer(answer, `no half-hour: ${interval_start} to ${interval_end}`);
    }
    if (consumption === null || start < from || start >= to) continue;
    const before = all.get(start);
    if (before !== undefined && before !== consumption)
      throw changedAnswer(answer, `two values for ${interval_start}`);
    all.set(start, consumption);
  }
  return next;
}

/** The offset is there in every answer; without it the hour after the clock is set back could be either of two. */
function instantOf(text: string): number | undefined {
  if (!/^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(Z|[+-]\d\d:?\d\d)$/.test(text)) return undefined;
  const at = Date.parse(text.replace(/([+-]\d\d)(\d\d)$/, "$1:$2"));
  return Number.isNaN(at) ? undefined : at;
}
