import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { testUtility } from "../../../simulator/src/harness.ts";
import type { Connector } from "../collection/connector.ts";
import { type CollectionWorld, collectionWorld, heldBrowsers, noBrowser } from "../collection/harness.ts";
import { sql } from "../platform/db.ts";
import { granuleStarts } from "../platform/time/granule.ts";
import { gridOf, query } from "../series/series.ts";
import { demoBrowser } from "./demo-browser/connector.ts";
import { demoHttp } from "./demo-http/connector.ts";

type Utility = Awaited<ReturnType<typeof testUtility>>;
interface Truth {
  ean: string;
  meter: string;
  starts: number[];
  values: number[];
}

const now = Date.parse("2026-11-01T12:00:00Z");
const first = Date.parse("2026-10-20T22:00:00Z");

/** Logins and granularities whose values are compared. */
type Compared = readonly (readonly [string, "hour" | "15min"])[];

/** The connectors of the demo utility. Reading is the same; what differs is how pages and files are come by. */
const suites: readonly { connector: Connector; missing: string | undefined; values: Compared }[] = [
  {
    connector: demoHttp,
    missing: undefined,
    values: [
      ["demo", "hour"],
      ["quarter", "15min"],
      ["duplicates", "hour"],
      ["halves", "hour"],
      ["columns", "hour"],
      ["session", "hour"],
      ["flaky", "hour"],
      ["exchange", "hour"],
      ["busy", "hour"],
    ],
  },
  {
    connector: demoBrowser,
    missing: noBrowser,
    values: [
      ["quarter", "15min"],
      ["session", "hour"],
    ],
  },
];

for (const { connector, missing, values } of suites) {
  describe.skipIf(missing !== undefined)(connector.name, () => {
    const isHttp = connector === demoHttp;
    let world: CollectionWorld;
    let utility: Utility;
    beforeAll(async () => {
      utility = await testUtility({ now });
      // The clock stands still, and places among the requests are given out by it.
      world = await collectionWorld({ ...connector, limits: { perMinute: 1_000_000, atOnce: 8 } });
      world.api.clock.set(now);
    });
    afterAll(async () => {
      await world.close();
      await utility.close();
    });

    /** A provider that failed for one test is open for the next. */
    async function runAll(): Promise<void> {
      await world.api.db.run(sql`update provider_state set closed_until = null, failures = 0`);
      while ((await world.collector.step()) > 0) await world.collector.idle();
    }

    async function connect(username: string, password = "demo", url = utility.url): Promise<string> {
      const credentials = { url, username, password };
      const { _id } = await world.ask("POST", "/connections", { provider: connector.name, credentials });
      return _id;
    }

    const connection = (id: string) => world.ask("GET", `/connections/${id}`);

    async function lastRun(id: string) {
      return (await world.ask("GET", `/connections/${id}/runs?sort=-began`))[0];
    }

    /** Meters that a connection found, by the key of the utility. */
    async function sourcesOf(id: string): Promise<Map<string, string>> {
      const rows = await world.api.db.rows<{ key: string; meter_id: string }>(
        sql`select key, meter_id from meter_source where connection_id = ${id} order by key`,
      );
      return new Map(rows.map(({ key, meter_id }) => [key, meter_id]));
    }

    /** Connects, accepts the first meters that are found, and collects. */
    async function collecting(username: string, keys: readonly string[]): Promise<string> {
      const id = await connect(username);
      await runAll();
      const found = await sourcesOf(id);
      for (const key of keys) await world.ask("PUT", `/meters/${found.get(key)!}`, { box: "active" });
      await runAll();
      return id;
    }

    /** What is stored of a meter from `first` on, by start; without those that are not there. */
    async function stored(
      meterId: string,
      { metric = "energy", granularity = "hour" as "hour" | "15min" | "month", from = first } = {},
    ): Promise<[number, number][]> {
      const { db } = world.api;
      const { part } = await db.one<{ part: number }>(sql`select part from meter where id = ${meterId}`);
      const grid = gridOf(granularity, "Europe/Stockholm", { from, to: now });
      const [answer] = await query(db, {
        meters: [{ rootId: meterId, part }],
        metrics: [metric],
        grids: [grid],
      });
      const starts = granuleStarts(granularity, "Europe/Stockholm", { from, to: now });
      const values = [...(answer?.values[0] ?? [])];
      return values.flatMap((value, i): [number, number][] =>
        Number.isNaN(value) ? [] : [[starts[i]!, value]],
      );
    }

    async function truth(username: string, granularity: string, from = "2026-10-21"): Promise<Truth[]> {
      return utility.truth(`customer=${username}&granularity=${granularity}&from=${from}&to=2026-11-01`);
    }

    const told = ({ starts, values }: Truth) =>
      starts.map((start, i) => [new Date(start).getTime(), Number(values[i])]);

    // Before other connections of the account have brought theirs.
    test.runIf(isHttp)("invoices are those of the utility, once each, with its totals", async () => {
      const told = (await utility.order("GET", "/control/invoices?customer=kund0002")).json.invoices;
      expect(told.length).toBeGreaterThan(10);
      const id = await connect("kund0002", "sol-0002");
      await runAll();
      await world.ask("POST", `/connections/${id}/run`);
      await runAll();
      expect((await lastRun(id)).counts.invoices).toBe(told.length);
      const names = (await world.ask("GET", "/invoices?limit=300")).map(
        (each: { file: { name: string } }) => each.file.name,
      );
      expect(names.toSorted()).toEqual(
        told.map(({ number }: { number: string }) => `${number}.xml`).toSorted(),
      );

      // Each is read in a thread of its own, which takes its time.
      await world.readInvoices(4);
      const read = await world.ask("GET", "/invoices?status=completed");
      const totals = read.flatMap(({ results }: { results: { invoice_number: string; totals: object }[] }) =>
        results.map((result) => [result.invoice_number, result.totals]),
      );
      expect(totals).toHaveLength(4);
      for (const [number, amounts] of totals) {
        const { net, vat, gross, rounding, payable } = told.find(
          (each: { number: string }) => each.number === number,
        );
        const truth = Object.entries({ net, vat, gross, rounding, payable, prepaid: "0" });
        expect([number, amounts]).toEqual([
          number,
          Object.fromEntries(truth.map(([key, text]) => [key, Number(text)])),
        ]);
      }

      await world.ask("POST", `/connections/${id}/run`);
      await runAll();
      expect((await lastRun(id)).counts.invoices).toBeUndefined();
      const { trace } = await world.ask("GET", `/connections/${id}/runs/${(await lastRun(id))._id}`);
      expect(trace.filter(({ url }: { url: string }) => url.endsWith(".xml"))).toEqual([]);
    });

    describe("values are those that the utility published", () => {
      test.each(values)("%s, by %s, over the night in October", async (username, granularity) => {
        const lines = (await truth(username, granularity)).slice(0, 2);
        expect(lines.length).toBeGreaterThan(0);
        const id = await collecting(
          username,
          lines.map(({ meter }) => meter),
        );
        expect(await connection(id)).toMatchObject({ state: "collecting", failure: null });
        const found = await sourcesOf(id);
        for (const line of lines) {
          expect(await stored(found.get(line.meter)!, { granularity })).toEqual(told(line));
        }
      });

      test("months of water", async () => {
        const from = "2026-03-01";
        const all: (Truth & { metric: string })[] = (await truth("demo", "month", from)) as never;
        const water = all.find(({ metric }) => metric !== "energy")!;
        const id = await collecting("demo", [water.meter]);
        const meterId = (await sourcesOf(id)).get(water.meter)!;
        const span = {
          metric: "flow",
          granularity: "month" as const,
          from: Date.parse("2026-02-28T23:00:00Z"),
        };
        expect(water.starts.length).toBeGreaterThan(5);
        expect(await stored(meterId, span)).toEqual(told(water));
      });

      test.runIf(isHttp)("a correction is read again", async () => {
        const [line] = await truth("corrected", "hour");
        const id = await collecting("corrected", [line!.meter]);
        await utility.order("POST", "/control/faults", {
          kind: "corrections",
          username: "corrected",
          days: 5,
        });
        const [after] = await truth("corrected", "hour");
        expect(after!.values).not.toEqual(line!.values);
        await world.ask("POST", `/connections/${id}/run`);
        await runAll();
        expect(await stored((await sourcesOf(id)).get(line!.meter)!)).toEqual(told(after!));
        expect((await lastRun(id)).counts.replaced).toBeGreaterThan(0);
      });
    });

    describe("every meter is found", () => {
      test("over contracts and pages, with the customer and address", async () => {
        const id = await connect("demo");
        await runAll();
        const { json } = await utility.order("GET", "/control/customers");
        const demo = json.customers.find((each: { username: string }) => each.username === "demo");
        expect((await sourcesOf(id)).size).toBe(demo.meters.length);
        expect((await lastRun(id)).counts.meters).toBe(16);
      });

      test.runIf(isHttp)(
        "of those that are shown: none, or half, and the others when they are back",
        async () => {
          const none = await connect("empty");
          await runAll();
          expect(await connection(none)).toMatchObject({ state: "collecting", failure: null });
          expect((await sourcesOf(none)).size).toBe(0);

          const fault = { kind: "half_meters", username: "demo" };
          const { json } = await utility.order("POST", "/control/faults", fault);
          const id = await connect("demo");
          await runAll();
          const { size } = await sourcesOf(id);
          expect([size > 0, size < 16]).toEqual([true, true]);
          await utility.order("DELETE", `/control/faults/${json.id}`);
          await world.ask("POST", `/connections/${id}/run`);
          await runAll();
          expect((await sourcesOf(id)).size).toBe(16);
        },
      );
    });

    describe("what stands in the way is told as what it is", () => {
      test.each([
        ["changed", "credentials", "credentials_refused"],
        ["locked", "credentials", "credentials_refused"],
        ["consent", "consent", "consent_expired"],
        ["captcha", "person", "person_needed"],
        ["maintenance", "unreachable", "provider_unreachable"],
        ["error", "unreachable", "provider_unreachable"],
        ["labels", "changed", "page_changed"],
        ["translated", "changed", "page_changed"],
        ["ended", "ended", "contract_ended"],
      ])("%s is %s", async (username, failure, state) => {
        const id = await connect(username);
        await runAll();
        expect(await connection(id)).toMatchObject({ failure, state });
        expect((await sourcesOf(id)).size).toBe(0);
      });

      test.each(isHttp ? ["units", "decimals"] : ["units"])(
        "files of %s are not guessed at: nothing is stored",
        async (username) => {
          const [line] = await truth(username, "hour");
          const id = await collecting(username, [line!.meter]);
          expect(await connection(id)).toMatchObject({ failure: "changed", state: "page_changed" });
          expect(await stored((await sourcesOf(id)).get(line!.meter)!)).toEqual([]);
        },
      );

      test("a utility that wants to be left alone for an hour: the run ends, and the next one begins then", async () => {
        const fault = { kind: "busy", username: "kund0001", seconds: 3_600 };
        const { json } = await utility.order("POST", "/control/faults", fault);
        const id = await connect("kund0001", "sol-0001");
        await runAll();
        const view = await connection(id);
        expect(view).toMatchObject({ failure: "busy", state: "checking" });
        expect(Date.parse(view.next_run) - now).toBeGreaterThanOrEqual(3_600_000);
        await utility.order("DELETE", `/control/faults/${json.id}`);
      });

      test("what was entered is told nowhere", async () => {
        const secret = "hemligt-0003";
        const id = await connect("kund0003", secret);
        await runAll();
        expect(await connection(id)).toMatchObject({ failure: "credentials" });
        const run = await world.ask("GET", `/connections/${id}/runs/${(await lastRun(id))._id}`);
        expect(run.trace.length).toBeGreaterThan(1);
        const rows = await world.api.db.rows(sql`select to_jsonb(r) as row from connection_run r`);
        expect(JSON.stringify([run, rows, world.api.logLines])).not.toContain(secret);
      });

      test("nobody answers", async () => {
        const id = await connect("demo", "demo", "http://127.0.0.1:9");
        await runAll();
        expect(await connection(id)).toMatchObject({ failure: "unreachable", state: "provider_unreachable" });
      });
    });

    describe.skipIf(isHttp)("a browser that is killed while values are read", () => {
      /** Is the run on that asks for values? */
      const isReading = async (id: string) => {
        const running = await world.api.db.maybe<{ steps: { name: string }[] }>(
          sql`select steps from connection_run where connection_id = ${id} and outcome = 'running'`,
        );
        return running?.steps.some(({ name }) => name === "read") === true;
      };

      test.each([
        ["host", "duplicates"],
        ["chromium", "halves"],
      ] as const)(
        "%s: the run is interrupted and repeated, nothing is stored twice",
        async (victim, username) => {
          const [line] = await truth(username, "hour");
          const id = await connect(username);
          await runAll();
          const meterId = (await sourcesOf(id)).get(line!.meter)!;
          await world.ask("PUT", `/meters/${meterId}`, { box: "active" });
          await world.collector.step();
          await expect.poll(() => isReading(id), { timeout: 20_000 }).toBe(true);
          await expect.poll(() => heldBrowsers()[0]?.chromium, { timeout: 20_000 }).toBeDefined();
          process.kill(heldBrowsers()[0]![victim]!, "SIGKILL");
          await world.collector.idle();
          expect(await lastRun(id)).toMatchObject({ outcome: "interrupted", message: expect.any(String) });
          expect(await connection(id)).toMatchObject({ failure: null, state: "collecting" });
          expect(heldBrowsers()).toEqual([]);
          world.api.clock.advance(61_000);
          await runAll();
          expect(await connection(id)).toMatchObject({ failure: null, state: "collecting" });
          expect(await stored(meterId)).toEqual(told(line!));
          expect((await lastRun(id)).counts.replaced ?? 0).toBe(0);
        },
      );
    });

    describe("a code", () => {
      const told = async (id: string, step: string) =>
        (await lastRun(id)).steps.filter(({ name }: { name: string }) => name === step).length;
      const withCodes = async (...codes: string[]) => {
        const id = await connect("code");
        await world.collector.step();
        for (const [i, code] of codes.entries()) {
          const asked = i === 0 ? "Enter the code" : "Älvdal Energi says that the code was wrong";
          await expect.poll(() => told(id, "waiting for a code"), { timeout: 20_000 }).toBe(i + 1);
          await expect
            .poll(async () => (await connection(id)).code?.prompt ?? "", { timeout: 20_000 })
            .toContain(asked);
          await world.ask("POST", `/connections/${id}/code`, { code });
          await expect.poll(() => told(id, "got a code"), { timeout: 20_000 }).toBe(i + 1);
        }
        await world.collector.idle();
        return id;
      };

      test("is asked for, and the session is kept for the next run", async () => {
        const id = await withCodes("123456");
        expect(await connection(id)).toMatchObject({ state: "collecting", failure: null });
        await world.ask("POST", `/connections/${id}/run`);
        await runAll();
        expect(await connection(id)).toMatchObject({ state: "collecting", failure: null });
        expect((await lastRun(id)).steps.map(({ name }: { name: string }) => name)).not.toContain("log in");
      });

      test("that is wrong is asked for again", async () => {
        const id = await withCodes("654321", "123456");
        expect(await connection(id)).toMatchObject({ state: "collecting", failure: null });
      });

      test("that is wrong three times ends the login, and says so", async () => {
        const id = await withCodes("654321", "654322", "654323");
        expect(await connection(id)).toMatchObject({ state: "waiting_for_code", failure: "code" });
      });
    });
  });
}
