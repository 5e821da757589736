import { setImmediate as turn } from "node:timers/promises";
import { pieces } from "../chunks.ts";
import type { Format, Item, ReadOptions } from "../item.ts";
import { Problems } from "../problems.ts";
import { XmlReader } from "../xml.ts";
import { Feed } from "./feed.ts";

/**
 * Green Button / ESPI (NAESB REQ.21): an Atom feed whose entries hold usage points, meter readings,
 * reading types and interval blocks that links tie together.
 */
export const greenButton: Format = {
  name: "green-button",
  title: "Green Button (ESPI XML)",
  detect,
  read,
};

function detect(head: Uint8Array): number {
  // UTF-16 shows as ASCII when the zero bytes are left out.
  const text = Buffer.from(head.filter((byte) => byte !== 0)).toString("latin1");
  if (!/^[\u00ef\u00bb\u00bf\u00ff\u00fe\s]*</.test(text.slice(0, 1_000))) return 0;
  if (text.includes("http://naesb.org/espi")) return 1;
  return text.includes("http://www.w3.org/2005/Atom") ? 0.6 : 0;
}

async function* read(
  source: AsyncIterable<Uint8Array>,
  options: ReadOptions,
): AsyncGenerator<Item[], void, undefined> {
  const problems = new Problems();
  const feed = new Feed(problems, { timezone: options.timezone, unit: options.unit });
  const xml = new XmlReader(feed);
  try {
    for await (const piece of pieces(source)) {
      xml.write(piece);
      if (problems.waiting) yield problems.take();
      yield feed.take();
      if (feed.full) yield* settled(feed);
    }
    xml.end();
    yield feed.take();
    yield* settled(feed);
    feed.end();
  } catch (reason) {
    problems.stop(reason);
    yield feed.take();
  }
  yield problems.end();
}

async function* settled(feed: Feed): AsyncGenerator<Item[], void, undefined> {
  for (const items of feed.settle()) {
    yield items;
    await turn();
  }
}
