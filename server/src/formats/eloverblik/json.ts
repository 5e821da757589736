import type { Format, Item, ReadOptions } from "../item.ts";
import { Fault, Problems } from "../problems.ts";
import { detectEncoding, texts } from "../text.ts";
import { WallClock } from "../wall-clock.ts";
import { JsonWalk } from "./json-walk.ts";
import { MarketDocument } from "./market-document.ts";

/** Zone by which Danish metering points count their days. */
export const danishZone = "Europe/Copenhagen";

/**
 * Answers of Eloverblik's customer and third-party interface (Energinet, Denmark): `MyEnergyData_MarketDocument`,
 * alone or in the list of results, and meter readings.
 */
export const eloverblikJson: Format = {
  name: "eloverblik-json",
  title: "Eloverblik JSON",
  detect(head) {
    const { encoding, markBytes } = detectEncoding(head);
    const text = new TextDecoder(encoding).decode(head.subarray(markBytes));
    if (!text.trimStart().startsWith("{")) return 0;
    if (text.includes('"MyEnergyData_MarketDocument"')) return 0.98;
    return text.includes('"meteringPointId"') && text.includes('"readings"') ? 0.95 : 0;
  },
  read,
};

async function* read(
  source: AsyncIterable<Uint8Array>,
  options: ReadOptions,
): AsyncGenerator<Item[], void, undefined> {
  const problems = new Problems();
  const zone = options.timezone ?? danishZone;
  const document = new MarketDocument(zone, new WallClock(zone), problems);
  const walk = new JsonWalk((node) => document.object(node));
  try {
    for await (const text of texts(source)) {
      walk.write(text);
      const items = document.take();
      if (problems.waiting) items.push(...problems.take());
      if (items.length > 0) yield items;
      if (document.book.full) break;
      if (document.overfull)
        throw new Fault("The values stand before their unit and meter; too many to hold.");
    }
    if (!document.book.full) walk.end();
  } catch (fault) {
    if (!(fault instanceof Fault)) throw fault;
    problems.error(fault.message, fault.place);
  }
  if (document.values === 0 && problems.errors === 0) {
    problems.error("The file holds no values. Fetch a period and metering points that have some.");
  }
  yield [...document.take(), ...problems.end()];
}
