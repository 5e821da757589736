import fc from "fast-check";
import { describe, expect, test } from "vitest";
import type { ConnectionState } from "../collection/collection.ts";
import { type Granularity, granularities } from "../platform/granularity.ts";
import { granuleStarts } from "../platform/time/granule.ts";
import { gapsOf, granulesOf } from "./gaps.ts";
import { connectionOf, meterOutlook, type OutlookParts, outlookOf } from "./harness.ts";
import { isExpected, type Reason, reasons } from "./reason.ts";
import { firstOf, type SeriesFacts, whyMissing } from "./why.ts";

const day = 86_400_000;
const hour = 3_600_000;
const now = Date.UTC(2026, 9, 20, 9, 30);
const zone = "Europe/Stockholm";
const at = (text: string) => Date.parse(text);

const facts = (more: Partial<SeriesFacts> = {}): SeriesFacts => ({
  metric: "energy",
  granularity: "hour",
  zone,
  first: at("2026-01-01T00:00:00+01:00"),
  hasValues: true,
  isCollected: true,
  outlook: meterOutlook(),
  now,
  ...more,
});

const connected = { firstAsked: at("2026-01-01T00:00:00+01:00"), until: at("2026-10-19T00:00:00+02:00") };
const collected = (more: OutlookParts = {}, rest: Partial<SeriesFacts> = {}) =>
  facts({
    outlook: meterOutlook(
      outlookOf({
        ...more,
        cursor: more.cursor === null ? null : { ...connected, latenessMs: 10 * hour, ...more.cursor },
      }),
    ),
    ...rest,
  });
const failing = (state: ConnectionState, since: string, more: object = {}) => ({
  connection: connectionOf({
    state,
    stateSince: at(since),
    failingSince: at(since),
    failure: "unreachable",
    nextRun: now + hour,
    ...more,
  }),
});

const verdict = (series: SeriesFacts, start: string) => whyMissing(series).verdictAt(at(start));

describe("the reason for a missing value", () => {
  test.for<[string, SeriesFacts, string, Reason]>([
    ["nobody uploaded it", facts(), "2026-10-01T00:00:00+02:00", "not_uploaded"],
    ["uploads take two days", facts(), "2026-10-19T08:00:00+02:00", "late_as_usual"],
    ["before the first value", facts(), "2025-12-31T23:00:00+01:00", "not_started"],
    ["never anything", facts({ first: null }), "2026-10-01T00:00:00+02:00", "never_had"],
    ["nobody wants it", facts({ isCollected: false }), "2026-10-01T00:00:00+02:00", "not_collected"],
    [
      "a month waits ten days for its upload",
      facts({ granularity: "month", now: at("2026-10-10T00:00:00+02:00") }),
      "2026-09-01T00:00:00+02:00",
      "late_as_usual",
    ],
    ["and not longer", facts({ granularity: "month" }), "2026-09-01T00:00:00+02:00", "not_uploaded"],
    ["comes by 10 the next day", collected(), "2026-10-19T23:00:00+02:00", "late_as_usual"],
    ["should have come yesterday", collected(), "2026-10-18T23:00:00+02:00", "not_delivered"],
    ["asked long ago", collected(), "2026-03-01T00:00:00+01:00", "not_delivered"],
    [
      "never asked, history goes on",
      collected({ cursor: { firstAsked: now - 10 * day } }, { first: null }),
      "2026-10-01T00:00:00+02:00",
      "history_pending",
    ],
    [
      "older than what the provider has",
      collected({ cursor: { firstAsked: now - 10 * day } }, { first: null }),
      "2026-09-01T00:00:00+02:00",
      "before_history",
    ],
    [
      "found, but not asked for yet",
      collected({ cursor: null }, { first: null }),
      "2026-10-01T00:00:00+02:00",
      "not_asked_yet",
    ],
    [
      "credentials refused since then",
      collected(failing("credentials_refused", "2026-10-10T12:00:00+02:00")),
      "2026-10-12T00:00:00+02:00",
      "credentials_refused",
    ],
    [
      "refused only after it should have come",
      collected(failing("credentials_refused", "2026-10-10T12:00:00+02:00")),
      "2026-10-08T00:00:00+02:00",
      "not_delivered",
    ],
    [
      "refused just before it should have come",
      collected(failing("credentials_refused", "2026-10-10T09:00:00+02:00")),
      "2026-10-09T00:00:00+02:00",
      "credentials_refused",
    ],
    [
      "consent",
      collected(failing("consent_expired", "2026-10-01T00:00:00+02:00")),
      "2026-10-12T00:00:00+02:00",
      "consent_expired",
    ],
    [
      "provider down",
      collected(failing("provider_unreachable", "2026-10-01T00:00:00+02:00")),
      "2026-10-12T00:00:00+02:00",
      "provider_unreachable",
    ],
    [
      "today too, as nothing will come",
      collected(failing("provider_unreachable", "2026-10-01T00:00:00+02:00")),
      "2026-10-20T00:00:00+02:00",
      "provider_unreachable",
    ],
    [
      "page changed",
      collected(failing("page_changed", "2026-10-01T00:00:00+02:00")),
      "2026-10-12T00:00:00+02:00",
      "page_changed",
    ],
    [
      "busy",
      collected(failing("collecting", "2026-10-01T00:00:00+02:00", { failure: "busy" })),
      "2026-10-12T00:00:00+02:00",
      "provider_busy",
    ],
    [
      "paused",
      collected(failing("paused", "2026-10-01T00:00:00+02:00")),
      "2026-10-12T00:00:00+02:00",
      "paused",
    ],
    [
      "a code is waited for",
      collected(failing("waiting_for_code", "2026-10-01T00:00:00+02:00")),
      "2026-10-12T00:00:00+02:00",
      "waiting_for_code",
    ],
    [
      "contract ended at the provider",
      collected(failing("contract_ended", "2026-10-01T00:00:00+02:00")),
      "2026-10-12T00:00:00+02:00",
      "contract_ended",
    ],
    ["moved out", collected({ to: at("2026-10-05T00:00:00+02:00") }), "2026-10-05T00:00:00+02:00", "ended"],
    [
      "the day before",
      collected({ to: at("2026-10-05T00:00:00+02:00") }),
      "2026-10-04T23:00:00+02:00",
      "not_delivered",
    ],
    [
      "moved in later",
      collected({ from: at("2026-10-05T00:00:00+02:00") }, { first: null }),
      "2026-10-04T23:00:00+02:00",
      "not_started",
    ],
    [
      "vanished at the provider",
      collected({ vanished: at("2026-10-05T00:00:00+02:00") }),
      "2026-10-06T00:00:00+02:00",
      "meter_vanished",
    ],
    [
      "connection deleted",
      collected({ connection: null, lastFound: at("2026-10-05T00:00:00+02:00") }),
      "2026-10-06T00:00:00+02:00",
      "connection_removed",
    ],
    [
      "missing before it was",
      collected({ connection: null, lastFound: at("2026-10-05T00:00:00+02:00") }),
      "2026-10-01T00:00:00+02:00",
      "not_delivered",
    ],
    [
      "quarters from a provider of hours",
      collected({}, { granularity: "15min", first: null }),
      "2026-10-01T00:00:00+02:00",
      "never_had",
    ],
    [
      "days follow from hours",
      collected({}, { granularity: "day" }),
      "2026-10-19T00:00:00+02:00",
      "late_as_usual",
    ],
    [
      "a month whose last hour is late",
      collected({}, { granularity: "month", now: at("2026-10-01T09:00:00+02:00") }),
      "2026-09-01T00:00:00+02:00",
      "late_as_usual",
    ],
    [
      "a month that the holder left within",
      collected({ to: at("2026-09-20T00:00:00+02:00") }, { granularity: "month" }),
      "2026-09-01T00:00:00+02:00",
      "ended",
    ],
  ])("%s", ([_, series, start, reason]) => {
    expect(verdict(series, start).reason).toBe(reason);
  });

  test("of two sources is the one that gives hope", () => {
    const refused = outlookOf({
      ...failing("credentials_refused", "2026-10-01T00:00:00+02:00"),
      cursor: connected,
    });
    const late = outlookOf({ cursor: { ...connected, latenessMs: 48 * hour } });
    const series = (...outlooks: (typeof refused)[]) => facts({ outlook: meterOutlook(...outlooks) });
    expect(verdict(series(refused, late), "2026-10-18T00:00:00+02:00").reason).toBe("late_as_usual");
    expect(verdict(series(refused, late), "2026-10-10T00:00:00+02:00").reason).toBe("credentials_refused");
  });
});

describe("the next try", () => {
  const next = now + 2 * hour;
  const cursor = { until: now - day, gapsAsked: now - hour, oldGapsAsked: now - 3 * day, firstAsked: 0 };
  const working = collected({ connection: connectionOf({ nextRun: next }), cursor }, { first: 0 });

  test.for<[string, number, number | null]>([
    ["the next run, while the provider corrects", now - 2 * day, next],
    ["a day after gaps were last asked for", now - 10 * day, now - hour + day],
    ["a week after old gaps were", now - 40 * day, now - 3 * day + 7 * day],
    ["never, after more than a year", now - 401 * day, null],
  ])("is %s", ([_, start, nextTry]) => {
    expect(whyMissing(working).verdictAt(start)).toMatchObject({ reason: "not_delivered", nextTry });
  });

  test("is now while a run is on, and never when none begins by itself", () => {
    const of = (more: object) =>
      whyMissing(collected({ connection: connectionOf(more), cursor }, { first: 0 })).verdictAt(now - 2 * day)
        .nextTry;
    expect(of({ nextRun: next, runId: "r" })).toBe(now);
    expect(of({ nextRun: null })).toBe(null);
  });
});

test("the first value is read from statistics, and from finer ones", () => {
  const stat = (first: number) => ({ first, last: first, min: 1, max: 1, sum: 1, count: 1 });
  expect(firstOf(undefined, "month", zone)).toBe(null);
  expect(firstOf({ month: stat(202603) }, "month", zone)).toBe(at("2026-03-01T00:00:00+01:00"));
  expect(firstOf({ month: stat(202603), hour: stat(2026021507) }, "month", zone)).toBe(
    at("2026-02-15T07:00:00+01:00"),
  );
  expect(firstOf({ "15min": stat(202602150745) }, "hour", zone)).toBe(at("2026-02-15T07:45:00+01:00"));
  expect(firstOf({ "15min": stat(202602150745) }, "30min", zone)).toBe(null);
  // The hour that is there twice: when the value is the first one's, that one is not missing.
  expect(firstOf({ hour: stat(2025102602) }, "hour", zone)).toBe(at("2025-10-26T02:00:00+01:00"));
});

const zones = [
  "Europe/Stockholm",
  "Australia/Lord_Howe",
  "Asia/Kolkata",
  "Pacific/Apia",
  "America/St_Johns",
  "Etc/GMT-1",
];
const states: ConnectionState[] = [
  "checking",
  "collecting",
  "paused",
  "credentials_refused",
  "provider_unreachable",
];
const instant = fc.integer({ min: now - 60 * day, max: now + 2 * day });
const maybe = fc.option(instant, { nil: null });
const anyOutlook = fc
  .record({
    state: fc.constantFrom(...states),
    failingSince: maybe,
    hasConnection: fc.boolean(),
    hasCursor: fc.boolean(),
    from: maybe,
    to: maybe,
    vanished: maybe,
    lastFound: instant,
    firstAsked: instant,
    until: instant,
    gapsAsked: maybe,
    latenessMs: fc.integer({ min: 0, max: 20 * day }),
    nextRun: maybe,
    brings: fc.subarray([...granularities], { minLength: 1 }),
  })
  .map(
    ({
      state,
      failingSince,
      hasConnection,
      hasCursor,
      brings,
      nextRun,
      firstAsked,
      until,
      gapsAsked,
      latenessMs,
      ...rest
    }) =>
      outlookOf({
        ...rest,
        granularities: brings,
        connection: hasConnection
          ? connectionOf({
              state,
              failingSince,
              stateSince: failingSince ?? now - day,
              failure: failingSince === null ? null : "busy",
              nextRun,
            })
          : null,
        cursor: hasCursor ? { firstAsked, until, gapsAsked, latenessMs } : null,
      }),
  );

/** Places as they are looked up: neighbours together. */
function rangesOf(places: readonly number[]): { from: number; to: number }[] {
  const ranges: { from: number; to: number }[] = [];
  for (const place of places) {
    const last = ranges.at(-1);
    if (last?.to === place) last.to++;
    else ranges.push({ from: place, to: place + 1 });
  }
  return ranges;
}

test("gaps are exactly the missing values, each with the reason of each, whatever the state, hole and zone", () => {
  fc.assert(
    fc.property(
      fc.constantFrom<Granularity>("15min", "hour", "day", "month"),
      fc.constantFrom(...zones),
      fc.tuple(fc.nat(40 * day), fc.nat(20 * day)),
      fc.array(fc.tuple(fc.nat(3_000), fc.nat(300)), { maxLength: 6 }),
      fc.record({
        first: maybe,
        isCollected: fc.boolean(),
        outlooks: fc.array(anyOutlook, { maxLength: 2 }),
        from: maybe,
        to: maybe,
      }),
      (granularity, timezone, [back, length], holes, { first, isCollected, outlooks, from, to }) => {
        const why = whyMissing({
          metric: "energy",
          granularity,
          zone: timezone,
          first,
          hasValues: first !== null,
          isCollected,
          outlook: { outlooks, from, to },
          now,
        });
        const begin = granularity === "month" ? now - 30 * back : now - back;
        const period = { from: begin, to: begin + (granularity === "month" ? 20 * length : length) };
        const granules = granulesOf({ granularity, zone: timezone, now }, period);
        const count = granules.starts.length - 1;
        const missing = new Set(
          count > 0
            ? holes.flatMap(([hole, n]) => Array.from({ length: n }, (_, i) => (hole + i) % count))
            : [],
        );
        const places = [...missing].sort((a, b) => a - b);
        const gaps = gapsOf(rangesOf(places), granules, why);
        const found = gaps.flatMap((gap) => {
          const starts = granuleStarts(granularity, timezone, gap).filter(
            (start, i, all) => start !== all[i + 1],
          );
          expect(gap.count).toBe(starts.length);
          return starts.map((start) => ({ start, reason: gap.reason, nextTry: gap.nextTry }));
        });
        const wanted = places
          .filter((place) => granules.starts[place + 1] !== granules.starts[place])
          .map((place) => granules.starts[place]!)
          .map((start) => {
            const { reason, nextTry } = why.verdictAt(start);
            return { start, reason, nextTry };
          });
        expect(found).toEqual(wanted);
        for (const { to: end } of gaps) expect(end).toBeLessThanOrEqual(now);
      },
    ),
    { numRuns: 2_000 },
  );
});

test("what is not expected never needs a complaint", () => {
  expect(reasons.filter((reason) => !isExpected(reason))).toEqual([
    "not_collected",
    "ended",
    "not_started",
    "before_history",
    "never_had",
  ]);
});

test("a day that the zone skipped is not missing", () => {
  const series = facts({ zone: "Pacific/Apia", granularity: "day", first: 0 });
  const month = { from: at("2011-12-01T00:00:00-10:00"), to: at("2012-01-01T00:00:00+14:00") };
  const granules = granulesOf(series, month);
  const gaps = gapsOf([{ from: 0, to: granules.starts.length - 1 }], granules, whyMissing(series));
  expect(gaps.reduce((sum, { count }) => sum + count, 0)).toBe(30);
  expect(gaps.at(-1)!.to).toBe(month.to);
});
