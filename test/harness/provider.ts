import type { Connector } from "../../server/src/collection/connector.ts";
import { type CollectionWorld, collectionWorld } from "../../server/src/collection/harness.ts";
import { sql } from "../../server/src/platform/db.ts";
import type { Granularity } from "../../server/src/platform/granularity.ts";
import { granuleStarts } from "../../server/src/platform/time/granule.ts";
import { gridOf, query } from "../../server/src/series/series.ts";

/** What is stored of a meter: start (epoch ms) and value of all granules that have one. */
export type StoredValues = [number, number][];

/** An account that collects through a connector, with the whole engine. */
export interface ProviderWorld extends CollectionWorld {
  /** Makes a connection, without running yet; returns its id. */
  begin(credentials: Record<string, unknown>): Promise<string>;
  /** Runs all that is due, until nothing is. */
  runAll(): Promise<void>;
  /** Runs a connection by hand. */
  runAgain(id: string): Promise<void>;
  /** Root meters that a connection has found, by the provider's key. */
  sourcesOf(id: string): Promise<Map<string, string>>;
  /** Connects, accepts every meter, and collects all there is. */
  collecting(credentials: Record<string, unknown>): Promise<string>;
  connection(id: string): Promise<Record<string, unknown>>;
  /** Nothing that earlier tests left is due any more, credentials may be sent again, and the clock is back where it was. */
  rest(): Promise<void>;
  // biome-ignore lint/suspicious/noExplicitAny: tests look at whatever came back
  lastRun(id: string): Promise<any>;
  stored(meterId: string, what: StoredQuestion): Promise<StoredValues>;
}

export interface StoredQuestion {
  metric: string;
  granularity: Granularity;
  zone: string;
  from: number;
  to: number;
}

/** Makes such a world; its clock stands still at `now`. */
export async function providerWorld(connector: Connector, now: number): Promise<ProviderWorld> {
  // Places among the requests are given out by the clock, which stands still.
  const world = await collectionWorld({
    ...connector,
    limits: { ...connector.limits, perMinute: 1_000_000 },
  });
  const { api, ask, collector } = world;
  api.clock.set(now);
  const begin = async (credentials: Record<string, unknown>) =>
    (await ask("POST", "/connections", { provider: connector.name, credentials }))._id as string;
  const runAll = async () => {
    await api.db.run(sql`update provider_state set closed_until = null, failures = 0`);
    for (;;) {
      // Steps of the history follow each other after a second.
      api.clock.advance(2_000);
      if ((await collector.step()) === 0) return;
      await collector.idle();
    }
  };
  const sourcesOf = async (id: string) => {
    const rows = await api.db.rows<{ key: string; meter_id: string }>(
      sql`select key, meter_id from meter_source where connection_id = ${id} order by key`,
    );
    return new Map(rows.map(({ key, meter_id }) => [key, meter_id]));
  };
  return {
    ...world,
    begin,
    runAll,
    async runAgain(id) {
      await ask("POST", `/connections/${id}/run`);
      await runAll();
    },
    sourcesOf,
    async collecting(credentials) {
      const id = await begin(credentials);
      await runAll();
      for (const meterId of (await sourcesOf(id)).values()) {
        await ask("PUT", `/meters/${meterId}`, { box: "active" });
      }
      await runAll();
      return id;
    },
    async rest() {
      await api.db.run(sql`update connection set next_run = null`);
      await api.db.run(sql`update provider_state set next_slot = 'epoch'`);
      await api.db.run(sql`delete from refused_credentials`);
      api.clock.set(now);
    },
    connection: (id) => ask("GET", `/connections/${id}`),
    lastRun: async (id) => (await ask("GET", `/connections/${id}/runs?sort=-began`))[0],
    async stored(meterId, { metric, granularity, zone, from, to }) {
      const { part } = await api.db.one<{ part: number }>(sql`select part from meter where id = ${meterId}`);
      const grid = gridOf(granularity, zone, { from, to });
      const [answer] = await query(api.db, {
        meters: [{ rootId: meterId, part }],
        metrics: [metric],
        grids: [grid],
      });
      const starts = granuleStarts(granularity, zone, { from, to });
      return [...(answer?.values[0] ?? [])].flatMap(
        (value, i): StoredValues => (Number.isNaN(value) ? [] : [[starts[i]!, value]]),
      );
    },
  };
}
