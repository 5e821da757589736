import { pieces } from "../chunks.ts";
import type { Format, Item, ReadOptions } from "../item.ts";
import { Problems } from "../problems.ts";
import { Lines, withoutMark } from "./lines.ts";
import { Records } from "./records.ts";

/**
 * NEM12 (interval data) and NEM13 (register readings) of the Australian market, by AEMO's "Meter
 * Data File Format Specification NEM12 & NEM13": CSV records, times in UTC+10 all year.
 */
export const nem12: Format = {
  name: "nem12",
  title: "NEM12 / NEM13 (Australia)",
  detect,
  read,
};

function detect(head: Uint8Array): number {
  const text = withoutMark(Buffer.from(head.subarray(0, 1_000)).toString("latin1")).trimStart();
  const first = text.split("\n", 1)[0]!.trimEnd();
  if (/^"?100"?,"?NEM1[23]"?(,|$)/.test(first)) return 1;
  // Retailers leave the header out; a stream record with its unit and minutes is as telling.
  if (/^200,[A-Z0-9]{10,11},([^,]{0,240},){6}(1|5|10|15|30|60)(,|$)/.test(first)) return 0.9;
  if (/^250,[A-Z0-9]{10,11},([^,]{0,240},){5}[IE],/.test(first)) return 0.9;
  return first.startsWith("100,NEM") ? 0.5 : 0;
}

async function* read(
  source: AsyncIterable<Uint8Array>,
  options: ReadOptions,
): AsyncGenerator<Item[], void, undefined> {
  const problems = new Problems();
  const records = new Records(problems, options);
  const lines = new Lines();
  const readAll = (found: string[]) => {
    let line = lines.count - found.length;
    for (const text of found) records.read(text, ++line);
  };
  try {
    for await (const piece of pieces(source)) {
      readAll(lines.write(piece));
      if (problems.waiting) yield problems.take();
      yield records.take();
    }
    readAll(lines.end());
    records.end();
  } catch (reason) {
    problems.stop(reason);
  }
  yield records.take();
  yield problems.end();
}
