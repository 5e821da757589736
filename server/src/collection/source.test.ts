import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { boundsOf, type EventKind } from "./meter-event.ts";
import { growingRanks } from "./source.ts";

test("ranks in a new order never fall, and stand strictly in that order", () => {
  fc.assert(
    fc.property(fc.array(fc.integer({ min: -50, max: 50 }), { minLength: 1, maxLength: 8 }), (ranks) => {
      const grown = growingRanks(ranks);
      for (const [i, rank] of grown.entries()) {
        expect(rank).toBeGreaterThanOrEqual(ranks[i]!);
        if (i > 0) expect(rank).toBeLessThan(grown[i - 1]!);
      }
      expect(growingRanks(grown)).toEqual(grown);
      expect(grown.at(-1)).toBe(ranks.at(-1));
    }),
  );
});

describe("days of a holder", () => {
  const event = (kind: EventKind, day: string, sourceId: string | null = null) => ({ kind, day, sourceId });

  test.for([
    ["none", [], null, null],
    ["an end", [event("contract_ended", "2026-03-01")], null, "2026-03-01"],
    [
      "the earlier end",
      [event("contract_ended", "2026-03-01"), event("moved_out", "2026-02-01")],
      null,
      "2026-02-01",
    ],
    ["a begin", [event("moved_in", "2026-03-01")], "2026-03-01", null],
    [
      "left and back",
      [event("moved_out", "2026-02-01"), event("moved_in", "2026-05-01")],
      "2026-05-01",
      null,
    ],
    [
      "left, back and left",
      [event("moved_out", "2026-02-01"), event("moved_in", "2026-05-01"), event("moved_out", "2026-09-01")],
      "2026-05-01",
      "2026-09-01",
    ],
    [
      "in and out on one day",
      [event("moved_out", "2026-05-01"), event("moved_in", "2026-05-01")],
      "2026-05-01",
      null,
    ],
    ["of another source", [event("contract_ended", "2026-03-01", "other")], null, null],
    ["of this source", [event("contract_ended", "2026-03-01", "this")], null, "2026-03-01"],
    ["a new device", [event("meter_exchanged", "2026-03-01"), event("id_changed", "2026-03-01")], null, null],
  ] as const)("%s", ([_, events, from, to]) => {
    expect(boundsOf(events, "this")).toEqual({ from, to });
  });
});
