import fc from "fast-check";
import { afterAll, beforeAll, expect, test } from "vitest";
import { type ProviderWorld, providerWorld } from "../../../../test/harness/provider.ts";
import { granuleStart } from "../../platform/time/granule.ts";
import { eloverblikAt } from "./connector.ts";
import { type EmulatedEloverblik, emulateEloverblik } from "./harness.ts";

const zone = "Europe/Copenhagen";
const day = 86_400_000;
/** The clocks go back in the middle of it. */
const first = Date.parse("2026-10-18T12:00:00Z");

let provider: EmulatedEloverblik;
let world: ProviderWorld;
beforeAll(async () => {
  provider = await emulateEloverblik(first);
  const connector = { ...eloverblikAt(provider.url), historyDays: 20 };
  world = await providerWorld({ ...connector, limits: { perMinute: 100, atOnce: 4 } }, first);
});
afterAll(async () => {
  await world.close();
  await provider.close();
});

/** What goes wrong on a day; `hour` picks one of the last two hundred. */
const faults: Readonly<Record<string, (hour: number, ids: readonly string[]) => void>> = {
  nothing: () => undefined,
  "tokens end": () => provider.endTokens(),
  "no tokens": () => provider.fail(/token/, { status: 429, headers: { "retry-after": "3600" } }, 9),
  "nobody answers": () => provider.fail(/./, { status: 503 }, 99),
  "one question is answered by an error": () => provider.fail(/gettimeseries/, { status: 500 }),
  "a metering point has a fault": (_, ids) => provider.errors.set(ids[1]!, 10003),
  "a metering point is denied": (_, ids) => provider.errors.set(ids[1]!, 30006),
  "an unknown quality": () => (provider.distort = (text) => text.replace('"A04"}', '"A98"}')),
  "an hour is missing": (hour) => provider.missing.add(hour),
  "an hour has no value": (hour) => provider.qualities.set(hour, "A02"),
  "an hour is estimated": (hour) => provider.qualities.set(hour, "A03"),
  "an hour is corrected": (hour) => provider.corrections.set(hour, 1_500),
  "values are late": () => (provider.publishedUntil -= 2 * day),
};

function mendAll() {
  provider.mend();
  for (const each of [provider.errors, provider.missing, provider.qualities]) each.clear();
  provider.distort = undefined;
}

let count = 0;

const troubles = fc.array(
  fc.record({ fault: fc.constantFrom(...Object.keys(faults)), hoursBack: fc.integer({ min: 24, max: 200 }) }),
  { minLength: 10, maxLength: 10 },
);

test("whatever goes wrong on which day, in the end everything is there that was published", async () => {
  await fc.assert(
    fc.asyncProperty(troubles, async (days) => {
      await world.rest();
      mendAll();
      provider.corrections.clear();
      count++;
      const ids = [1, 2, 3].map((i) => `5713131${String(count * 10 + i).padStart(11, "0")}`);
      provider.points = ids.map((id) => ({ id, typeOfMP: "E17", occurrence: "PT1H" }));
      const liveOneDay = async (at: number) => {
        provider.now = at;
        world.api.clock.set(at);
        await world.runAll();
      };
      provider.publishedUntil = granuleStart("day", zone, first);
      provider.now = first;
      const id = await world.collecting({ token: provider.token });
      for (const [n, { fault, hoursBack }] of [...days, ...quietDays].entries()) {
        // A connection runs within a day and some minutes.
        const at = first + (n + 1) * (day + 1_800_000);
        provider.publishedUntil = granuleStart("day", zone, at);
        mendAll();
        faults[fault]!(Math.floor(at / 3_600_000 - hoursBack) * 3_600_000, ids);
        await liveOneDay(at);
      }
      expect(await world.connection(id)).toMatchObject({ state: "collecting", failure: null });
      const period = { from: first - 19 * day, to: provider.now };
      for (const [key, meterId] of await world.sourcesOf(id)) {
        const question = { metric: "energy", granularity: "hour" as const, zone, ...period };
        expect(await world.stored(meterId, question)).toEqual(provider.truth(key, "hour", period));
      }
    }),
    { numRuns: 4, endOnFailure: true },
  );
}, 120_000);

/** A failed connection comes back within two days. */
const quietDays = Array.from({ length: 3 }, () => ({ fault: "nothing", hoursBack: 24 }));
