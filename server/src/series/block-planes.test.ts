import fc from "fast-check";
import { describe, expect, test } from "vitest";
import {
  canonicalRuns,
  changeRuns,
  confirmRuns,
  flagsOf,
  neverWritten,
  qualityOf,
  RunsBuilder,
  runsWithin,
  type Source,
  type SourceRuns,
  sourceAt,
  writeRuns,
} from "./block-planes.ts";

const slots = 40;
const source: fc.Arbitrary<Source> = fc
  .tuple(fc.nat(3), fc.nat(2), fc.nat(2))
  .map(([doc, later, flags]) => ({ doc, confirmed: doc + later, flags }));
const range = fc
  .tuple(fc.nat(slots), fc.nat(slots))
  .map(([a, b]) => ({ from: Math.min(a, b), to: Math.max(a, b) }));
const plane = fc.array(source, { maxLength: slots });

function runsOf(plane: Source[]): SourceRuns {
  const builder = new RunsBuilder();
  for (const slot of plane) builder.append(1, slot);
  return builder.finish();
}

const spread = (runs: SourceRuns) => Array.from({ length: slots }, (_, slot) => sourceAt(runs, slot));
const padded = (plane: Source[]) => [...plane, ...Array(slots - plane.length).fill(neverWritten)];

function expectCanonical(runs: SourceRuns): void {
  const sources = runs.length.map((_, run) => ({
    doc: runs.doc[run],
    confirmed: runs.confirmed[run],
    flags: runs.flags[run],
  }));
  expect(runs.length.every((length) => length > 0)).toBe(true);
  expect(sources.at(-1)).not.toEqual(neverWritten);
  for (let run = 1; run < sources.length; run++) expect(sources[run]).not.toEqual(sources[run - 1]);
}

describe("source runs", () => {
  test("a day written into an empty month is one run behind a gap", () => {
    const runs = writeRuns(runsOf([]), { from: 24, to: 48 }, { doc: 7, confirmed: 7, flags: 0 });
    expect(runs).toEqual({ length: [24, 24], doc: [0, 7], confirmed: [0, 7], flags: [0, 0] });
  });

  test("are canonical and hold what was appended", () => {
    fc.assert(
      fc.property(plane, (plane) => {
        const runs = runsOf(plane);
        expectCanonical(runs);
        expect(spread(runs)).toEqual(padded(plane));
      }),
    );
  });

  test("become canonical whatever they were cut into", () => {
    fc.assert(
      fc.property(plane, (plane) => {
        const cut = {
          length: plane.flatMap(() => [0, 1]),
          doc: plane.flatMap(({ doc }) => [doc, doc]),
          confirmed: plane.flatMap(({ confirmed }) => [confirmed, confirmed]),
          flags: plane.flatMap(({ flags }) => [flags, flags]),
        };
        expect(canonicalRuns(cut)).toEqual(runsOf(plane));
      }),
    );
  });

  test("writing a range changes exactly its slots", () => {
    fc.assert(
      fc.property(plane, range, source, (plane, range, source) => {
        const before = runsOf(plane);
        const copy = structuredClone(before);
        const after = writeRuns(before, range, source);
        expectCanonical(after);
        expect(spread(after)).toEqual(padded(plane).fill(source, range.from, range.to));
        expect(before).toEqual(copy);
      }),
    );
  });

  test("confirming keeps the writer and never goes back", () => {
    fc.assert(
      fc.property(plane, range, fc.nat(6), (plane, range, doc) => {
        const after = confirmRuns(runsOf(plane), range, doc);
        expectCanonical(after);
        expect(spread(after)).toEqual(
          padded(plane).map((source, slot) =>
            slot >= range.from && slot < range.to
              ? { ...source, confirmed: Math.max(source.confirmed, doc) }
              : source,
          ),
        );
      }),
    );
  });

  test("a range is covered by its runs without overlap", () => {
    fc.assert(
      fc.property(plane, range, (plane, { from, to }) => {
        const found: Source[] = [];
        let next = from;
        for (const run of runsWithin(runsOf(plane), from, to)) {
          expect(run.from).toBe(next);
          expect(run.to).toBeGreaterThan(run.from);
          for (let slot = run.from; slot < run.to; slot++) found.push(run.source);
          next = run.to;
        }
        expect(found).toEqual(padded(plane).slice(from, to));
      }),
    );
  });

  test.each([
    [1, { doc: 5, confirmed: 4, flags: 0 }],
    [1, { doc: -1, confirmed: 0, flags: 0 }],
    [1, { doc: 2 ** 31, confirmed: 2 ** 31, flags: 0 }],
    [1, { doc: 1.5, confirmed: 2, flags: 0 }],
    [1, { doc: 1, confirmed: 1, flags: 256 }],
    [5000, { doc: 1, confirmed: 1, flags: 0 }],
    [-1, { doc: 1, confirmed: 1, flags: 0 }],
  ])("%d slots of %j are refused", (length, source) => {
    expect(() => new RunsBuilder().append(length, source)).toThrow(RangeError);
  });

  test("a change that makes an impossible source is refused", () => {
    const runs = runsOf([{ doc: 3, confirmed: 5, flags: 0 }]);
    expect(() => changeRuns(runs, { from: 0, to: 1 }, (source) => ({ ...source, confirmed: 2 }))).toThrow(
      RangeError,
    );
  });

  test("flags hold both facts", () => {
    for (const derived of [false, true]) {
      for (let quality = 0; quality <= 7; quality++) {
        const flags = flagsOf({ derived, quality });
        expect([(flags & 1) === 1, qualityOf(flags)]).toEqual([derived, quality]);
      }
    }
    expect(() => flagsOf({ derived: false, quality: 8 })).toThrow(RangeError);
  });
});
