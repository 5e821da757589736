import { Temporal } from "temporal-polyfill";
import type { Client } from "../../../client/src/client.ts";
import { type Answer, type Difference, differ, type Held, keep, keyOf } from "../held.ts";
import type { Connected } from "./people.ts";
import type { Truth, Utility } from "./utility.ts";

/** What Metertree holds, against what the utility has published. */
export interface Compared extends Difference {
  meters: number;
  /** Meters of the utility that were not found, or not by the one connection. */
  unknown: number;
}

const zone = "Europe/Stockholm";

/** Meters of an account by their connection and the key of the utility. */
export async function metersOf(client: Client): Promise<Map<string, string>> {
  const ids = new Map<string, string>();
  for await (const { _id } of client.list("GET /meters", { query: { box: "active" } })) {
    const sources = await client.call("GET /meters/{id}/sources", { path: { id: _id } });
    for (const { connection, key } of sources) ids.set(`${connection?._id} ${key}`, _id);
  }
  return ids;
}

/** What adding up begins with. */
export const nothingCompared = (): Compared => ({
  meters: 0,
  unknown: 0,
  compared: 0,
  missing: 0,
  extra: 0,
  wrong: 0,
  examples: [],
});

/**
 * Compares every value of every meter of a connection, meter by meter, as the API gives it out.
 * @param years all that values may be of
 */
export async function compare(
  { client, ids, utility }: { client: Client; ids: ReadonlyMap<string, string>; utility: Utility },
  { connected, at, years }: { connected: Connected; at: number; years: readonly number[] },
): Promise<Compared> {
  const total = nothingCompared();
  const lines = new Map<string, Truth[]>();
  for await (const line of utility.truth(connected.username, at)) {
    lines.set(line.meter, [...(lines.get(line.meter) ?? []), line]);
  }
  for (const [meter, all] of lines) {
    const id = ids.get(`${connected.id} ${meter}`);
    // Months are asked for where there is nothing finer.
    const fine = all.filter(({ granularity }) => granularity !== "month");
    const told = fine.length > 0 ? fine : all;
    if (id === undefined) {
      if (told.every(({ starts }) => starts.length === 0)) continue;
      total.unknown++;
      if (total.examples.length < 5) total.examples.push(`${meter} of ${connected.username} was not found`);
      continue;
    }
    total.meters++;
    for (const line of told)
      add(total, differ(expectedOf(line, id), await foundOf(client, { line, id, years })));
  }
  return total;
}

/** The first and the last month of a meter are told by the utility, and may be no months that can be held. */
function expectedOf({ metric, granularity, starts, ends, values }: Truth, meter: string): Held {
  const about = { meter, metric, currency: "", granularity };
  const isFirst = (at: number | string) =>
    Temporal.Instant.fromEpochMilliseconds(new Date(at).getTime()).toZonedDateTimeISO(zone).day === 1;
  const isWhole = (start: number | string, i: number) =>
    ends === undefined || (isFirst(start) && isFirst(ends[i]!));
  return new Map(
    starts.flatMap((start, i) =>
      isWhole(start, i) ? [[keyOf({ ...about, start }), Number(values[i])] as const] : [],
    ),
  );
}

async function foundOf(
  client: Client,
  { line, id, years }: { line: Truth; id: string; years: readonly number[] },
): Promise<Held> {
  const { granularity, metric } = line;
  const held: Held = new Map();
  const answers = await client.call("GET /consumptions/{id}/{granularity}/{period}", {
    path: { id, granularity, period: years.join("+") },
    query: { metrics: [metric] },
  });
  keep(held, answers as unknown as Answer[], { meter: { id, timezone: zone }, granularity, prefix: "" });
  return held;
}

/** Adds up what was found. */
export function add(total: Difference, more: Difference): void {
  total.compared += more.compared;
  total.missing += more.missing;
  total.extra += more.extra;
  total.wrong += more.wrong;
  total.examples.push(...more.examples.slice(0, Math.max(0, 5 - total.examples.length)));
}
