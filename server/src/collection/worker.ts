import { takeActivated } from "../meters/meters.ts";
import { any, type Db, sql } from "../platform/db.ts";
import type { Deps } from "../platform/deps.ts";
import { pause } from "../platform/pause.ts";
import { makeBrowsers } from "./browser/browsers.ts";
import { sweepFolders } from "./browser/folder.ts";
import { claimDue } from "./claim.ts";
import { runNow } from "./connection.ts";
import type { Connector } from "./connector.ts";
import { announce, leftFor, readyEveryMs } from "./readiness.ts";
import { runConnection } from "./run.ts";

/** Collects in this process. Any number of processes can. */
export interface Collector {
  /** Begins what is due, without waiting for its end; returns how many runs. */
  step(): Promise<number>;
  /** How many runs are on in this process. */
  running(): number;
  /** Waits until no run is on. */
  idle(): Promise<void>;
  /** Begins nothing more, tells the runs to end, and waits for them; what is not done is repeated later. */
  stop(): Promise<void>;
}

/** Runs at once in one process: they mostly wait for providers. */
const atOnce = 64;
/** And of one provider, so that some that hang leave places to the others. */
const atOnceOfProvider = 16;
const pollMs = 500;
const activatedAtOnce = 500;

/** A collector that begins runs when `step` is called. */
export function makeCollector(deps: Deps, connectors: readonly Connector[]): Collector {
  const stopping = new AbortController();
  const running = new Set<Promise<void>>();
  const browsers = makeBrowsers(deps.settings.browser, deps.clock.now);
  const places = new Map<string, number>();
  const held = (provider: string) => places.get(provider) ?? 0;
  const byName = new Map(connectors.map((connector) => [connector.name, connector]));
  const idle = async () => {
    while (running.size > 0) await Promise.all(running);
  };
  let announced = Number.NEGATIVE_INFINITY;
  /** Says what this worker has, and returns the connectors that it can work. */
  const workable = async (now: number) => {
    if (now - announced >= readyEveryMs) {
      await announce(deps.db, connectors, { trouble: browsers.trouble(), now });
      announced = now;
    }
    // One that did not start the last time is tried again, as the provider is.
    return browsers.missing() === undefined ? connectors : leftFor(deps.db, connectors, now);
  };
  return {
    async step() {
      await wakeActivated(deps.db, deps.clock.now());
      const free = atOnce - running.size;
      if (free <= 0 || stopping.signal.aborted) return 0;
      const freeOf = (provider: string) => atOnceOfProvider - held(provider);
      const now = deps.clock.now();
      const claimed = await claimDue(deps.db, await workable(now), { free, freeOf, now });
      for (const each of claimed) {
        const { provider } = each;
        const connector = byName.get(provider)!;
        places.set(provider, held(provider) + 1);
        const run = runConnection(deps, { connector, claimed: each, browsers }, stopping.signal)
          .catch((error: unknown) => {
            // Its lease ends, and then it is repeated.
            deps.log.error(
              { err: error, connection: each.id, run: each.runId },
              "a run ended without a word",
            );
          })
          .finally(() => {
            places.set(provider, held(provider) - 1);
            running.delete(run);
          });
        running.add(run);
      }
      return claimed.length;
    },
    running: () => running.size,
    idle,
    async stop() {
      stopping.abort();
      await idle();
    },
  };
}

/** Meters that somebody has just moved to the box active are asked for now. A run that is on looks again at its end. */
async function wakeActivated(db: Db, now: number): Promise<void> {
  await db.transaction(async (tx) => {
    const roots = await takeActivated(tx, activatedAtOnce);
    if (roots.length === 0) return;
    const rows = await tx.rows<{ id: string }>(sql`
      select c.id from connection c
      where c.id in (select connection_id from meter_source where meter_id = ${any(roots)} and vanished is null)
        and c.run_id is null and c.state = 'collecting' and c.deleting is null and c.next_run > ${new Date(now)}
      order by c.id for no key update`);
    for (const { id } of rows) await runNow(tx, { connectionId: id, reason: "activated", now });
  });
}

/** Collects until it is stopped. */
export function startCollecting(
  deps: Deps,
  connectors: readonly Connector[],
): Pick<Collector, "running" | "stop"> {
  const collector = makeCollector(deps, connectors);
  const stopping = new AbortController();
  const loop = async () => {
    while (!stopping.signal.aborted) {
      await collector.step().catch((error: unknown) => {
        deps.log.warn({ err: error }, "looking for due connections failed; it is tried again");
      });
      await pause(pollMs, stopping.signal);
    }
  };
  // What browsers of a server that was killed have left.
  const sweeping = sweepFolders().catch((error: unknown) => {
    deps.log.warn({ err: error }, "old folders of browsers were not removed");
  });
  const looping = loop();
  return {
    running: collector.running,
    async stop() {
      stopping.abort();
      await Promise.all([looping, sweeping, collector.stop()]);
    },
  };
}
