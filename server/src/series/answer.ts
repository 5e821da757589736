import type { Deps } from "../platform/deps.ts";
import { Raw } from "../platform/http/endpoint.ts";
import { JsonBytes } from "../platform/value-json.ts";
import { AnswerCache, type Look } from "./answer-cache.ts";
import { type Element, writeElements } from "./answer-json.ts";
import type { Asked, AskedMeter } from "./asked.ts";
import { meterElements } from "./elements.ts";
import { defaultMetric, estimatedFrom } from "./metric.ts";

const jsonType = "application/json; charset=utf-8";

function bytesOf(elements: readonly Element[]): Buffer {
  const json = new JsonBytes(1 << 16);
  json.raw('{"code":200,"message":"OK","profiling":null,"data":');
  writeElements(json, elements);
  json.raw("}");
  return json.finish();
}

export function answer(elements: readonly Element[]): Raw {
  return new Raw(jsonType, bytesOf(elements));
}

/** One cache of answers per database. */
const caches = new WeakMap<Deps["db"], AnswerCache>();

export function cacheOf(db: Deps["db"]): AnswerCache {
  let found = caches.get(db);
  if (found === undefined) caches.set(db, (found = new AnswerCache(db)));
  return found;
}

/** The answer for one meter; from memory when neither the values nor the question changed. */
export async function meterAnswer(
  meter: AskedMeter,
  asked: Asked,
  deps: Deps,
  { look, header }: { look: Look; header: (name: string, value: string) => void },
): Promise<Raw> {
  const write = async () => bytesOf(await meterElements([meter], asked, deps));
  const metrics = asked.metrics.length > 0 ? asked.metrics : [defaultMetric(meter.type)];
  const onlyValues = asked.asOf === undefined && !asked.origin && !asked.status;
  // Open ends and estimates move with the clock.
  const timeless =
    asked.periods.every((each) => each.end !== null) && !metrics.some((name) => estimatedFrom(name));
  if (!onlyValues || !timeless) return new Raw(jsonType, await write());
  const periods = asked.periods.map((each) => each.text).join("+");
  const shape = `${meter.askedId}/${periods}/${asked.timezone ?? meter.timezone}`;
  const key = { meter, granularity: asked.granularity, metrics, shape };
  const cache = cacheOf(deps.db);
  const kept = await cache.kept(key, await cache.version(key, meter.askedId, look), write);
  header("ETag", kept.etag);
  return new Raw(jsonType, kept.body);
}
