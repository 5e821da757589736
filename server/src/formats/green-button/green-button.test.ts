import { describe, expect, test } from "vitest";
import { collect, iso } from "../harness.ts";
import type { Item } from "../item.ts";
import { Problems } from "../problems.ts";
import { XmlReader } from "../xml.ts";
import { Feed } from "./feed.ts";
import { greenButton } from "./green-button.ts";

const espi = 'xmlns="http://naesb.org/espi"';
const feed = (...entries: string[]) =>
  `<feed xmlns="http://www.w3.org/2005/Atom">\n${entries.join("\n")}\n</feed>`;
const entry = (self: string, content: string, ...related: string[]) =>
  `<entry><link rel="self" href="${self}"/>${related.map((href) => `<link rel="related" href="${href}"/>`).join("")}<content>${content}</content></entry>`;
const point = entry("/UsagePoint/9", `<UsagePoint ${espi}/>`);
const meterReading = entry("/UsagePoint/9/MeterReading/1", `<MeterReading ${espi}/>`, "/ReadingType/1");
const type = (uom: number, self = "/ReadingType/1") =>
  entry(
    self,
    `<ReadingType ${espi}><accumulationBehaviour>4</accumulationBehaviour><uom>${uom}</uom></ReadingType>`,
  );
const readings = (from: number, count: number) =>
  Array.from({ length: count }, (_, i) => {
    const start = 1_704_085_200 + (from + i) * 900;
    return `<IntervalReading><timePeriod><duration>900</duration><start>${start}</start></timePeriod><value>${from + i}</value></IntervalReading>`;
  }).join("");
const block = (from: number, count: number, self = "/UsagePoint/9/MeterReading/1/IntervalBlock/1") =>
  entry(self, `<IntervalBlock ${espi}>${readings(from, count)}</IntervalBlock>`);

describe("readings that wait", () => {
  /** Runs a feed that may hold only `waitingMax` readings back, settling as the format does. */
  function run(text: string, waitingMax: number) {
    const problems = new Problems();
    const feed = new Feed(problems, { timezone: undefined, unit: undefined, waitingMax });
    const xml = new XmlReader(feed);
    const items: Item[] = [];
    const bytes = Buffer.from(text);
    let settlements = 0;
    try {
      for (let at = 0; at < bytes.length; at += 200) {
        xml.write(bytes.subarray(at, at + 200));
        items.push(...feed.take());
        if (!feed.full) continue;
        settlements += 1;
        for (const some of feed.settle()) items.push(...some);
      }
      xml.end();
      items.push(...feed.take());
      for (const some of feed.settle()) items.push(...some);
    } catch (reason) {
      problems.stop(reason);
    }
    const values = items.flatMap((item) =>
      item.kind === "interval" ? [Math.round(item.value! * 1_000)] : [],
    );
    const zones = items.flatMap((item) => (item.kind === "series" ? [item.timezone] : []));
    return { values, zones, settlements, problems: problems.end() };
  }
  const all = (count: number) => Array.from({ length: count }, (_, i) => i);

  test("without local time parameters they are settled when too many wait, in the middle of a block too", () => {
    const got = run(feed(point, type(72), meterReading, block(0, 25), block(25, 25)), 10);
    expect(got.values).toEqual(all(50));
    expect(got.zones).toEqual([null]);
    expect(got.settlements).toBe(1);
    expect(got.problems).toEqual([]);
  });

  test("with a unit that comes last nothing is lost within the limit", () => {
    const got = run(feed(block(0, 25), block(25, 25), meterReading, point, type(72)), 1_000);
    expect(got.values).toEqual(all(50));
  });

  test("beyond the limit a unit that has not come is asked for", () => {
    const got = run(feed(block(0, 25), meterReading, point, type(72), block(25, 25)), 10);
    expect(got.problems).toMatchObject([{ severity: "error", message: expect.stringMatching(/unit/) }]);
  });

  test("a second reading type after values that only one could explain is an error", () => {
    const loose = (from: number) => block(from, 25, `/Loose/${from}`);
    const got = run(feed(point, type(72), loose(0), loose(25), type(42, "/ReadingType/2")), 10);
    expect(got.problems).toMatchObject([
      { severity: "error", message: expect.stringMatching(/second reading type/) },
    ]);
  });
});

test("memory and the event loop stay calm in a long file on one line", async () => {
  const many = feed(point, type(72), meterReading, block(0, 40_000)).replaceAll("\n", "");
  let longest = 0;
  let last = performance.now();
  const timer = setInterval(() => {
    longest = Math.max(longest, performance.now() - last);
    last = performance.now();
  }, 1);
  const got = await collect(greenButton, many, { pieceBytes: 10_000_000, timezone: "Europe/Berlin" });
  clearInterval(timer);
  expect(got.intervals).toHaveLength(40_000);
  expect(iso(got.intervals.at(-1)!.start)).toBe(
    new Date((1_704_085_200 + 39_999 * 900) * 1_000).toISOString(),
  );
  // The promise is 100 ms; a busy test machine gets some more.
  expect(longest).toBeLessThan(500);
});

test("UTF-16 and single entries are recognised, other markup is not", () => {
  const sure = (text: string | Buffer) => greenButton.detect(Buffer.from(text as string), "file.xml");
  expect(sure(feed(point))).toBe(1);
  expect(sure(Buffer.from(`\ufeff${feed(point)}`, "utf16le"))).toBe(1);
  expect(sure(point)).toBe(1);
  expect(sure("<feed xmlns='http://www.w3.org/2005/Atom'/>")).toBeLessThan(1);
  expect(sure("<html></html>")).toBe(0);
  expect(sure('{"a": "http://naesb.org/espi"}')).toBe(0);
  expect(sure("")).toBe(0);
});
