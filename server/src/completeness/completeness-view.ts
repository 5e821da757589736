import { z } from "zod";
import { formatTimestamp, timestampText } from "../platform/http/schema.ts";
import type { Gap } from "./gaps.ts";
import { isExpected, reasonMeanings, reasons } from "./reason.ts";

/** A gap as answers show it. */
export const gapView = z.object({
  from: timestampText().describe("Start of the first value that is missing"),
  to: timestampText().describe("End of the last one"),
  count: z.int(),
  reason: z.enum(reasons),
  expected: z.boolean().describe("False: nobody expects these values, and they are not counted as missing"),
  who_acts: z.enum(["nobody", "customer", "operator", "provider"]),
  next_try: timestampText().nullable().describe("When a connection asks for them again by itself"),
  connection: z.object({ _id: z.string() }).nullable().describe("The one that does"),
});

/** Shows a gap. */
export function viewGap({ from, to, count, reason, nextTry, connectionId }: Gap): z.output<typeof gapView> {
  return {
    from: formatTimestamp(from),
    to: formatTimestamp(to),
    count,
    reason,
    expected: isExpected(reason),
    who_acts: reasonMeanings[reason].who,
    next_try: nextTry === null ? null : formatTimestamp(nextTry),
    connection: connectionId === null ? null : { _id: connectionId },
  };
}
