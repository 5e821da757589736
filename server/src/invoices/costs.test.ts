import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { newMeter } from "../../../test/harness/meters.ts";
import { sumExact } from "../platform/decimal.ts";
import { type InvoiceWorld, invoiceWorld, type TestInvoice } from "./harness.ts";

let world: InvoiceWorld;
beforeAll(async () => {
  world = await invoiceWorld();
});
afterAll(() => world.close());

let points = 735_200;
async function point(timezone = "Europe/Stockholm") {
  const ean = String(++points);
  const meter = await newMeter(world.api, world.owner, { ean, timezone });
  const invoice = (more: Partial<TestInvoice>) => world.settle({ number: ean, ean, rows: [], ...more });
  const consume = (granularity: string, start: string, values: number[]) =>
    world.api.call("POST", "/batches", {
      token: world.owner.token,
      body: {
        document: { source: "meter" },
        runs: [{ meter: meter.id, metric: "energy", granularity, start, values }],
      },
    });
  return { ean, id: meter.id, invoice, consume };
}
const usage = (amount: string) => ({ name: "Elnät elöverföring", amount });

describe("a period over several months", () => {
  test("is spread by days, a leap February included, and the parts sum to the row", async () => {
    const { id, invoice } = await point();
    const { results } = await invoice({
      period: ["2024-01-15", "2024-03-10"],
      rows: [{ name: "Elnät abonnemang", amount: "100.00" }],
    });
    expect(results[0].invoice_rows[0].spread).toBe("days");
    const costs = await world.costs(id, "grid_subscription", "202401-202403");
    expect(costs).toEqual([30.36, 51.78, 17.86]);
    expect(sumExact(costs as number[])).toBe(100);
  });

  test("follows complete days of consumption, also over a change of the clock", async () => {
    const { id, invoice, consume } = await point();
    // 28 days of March at 1, three at 10; 30 days of April at 2.
    await consume("day", "2025-03-01T00:00:00+0100", [
      ...Array(28).fill(1),
      10,
      10,
      10,
      ...Array(30).fill(2),
    ]);
    const { results } = await invoice({ period: ["2025-03-01", "2025-04-30"], rows: [usage("118.00")] });
    expect(results[0].invoice_rows[0].spread).toBe("consumption");
    expect(await world.costs(id, "grid_usage", "202503-202504")).toEqual([58, 60]);
    // What is fixed does not follow it.
    const fixed = await invoice({
      number: "fixed",
      period: ["2025-03-01", "2025-04-30"],
      rows: [{ name: "Elnät abonnemang", amount: "61" }],
    });
    expect(fixed.results[0].invoice_rows[0].spread).toBe("days");
    expect(await world.costs(id, "grid_subscription", "202503-202504")).toEqual([31, 30]);
  });

  test("follows hours by the days that they add up to", async () => {
    const { id, invoice, consume } = await point();
    await consume("hour", "2025-03-30T00:00:00+0100", [
      ...Array(23).fill(1),
      ...Array(24).fill(2),
      ...Array(24).fill(1),
    ]);
    const { results } = await invoice({ period: ["2025-03-30", "2025-04-01"], rows: [usage("95.00")] });
    expect(results[0].invoice_rows[0].spread).toBe("consumption");
    expect(await world.costs(id, "grid_usage", "202503-202504")).toEqual([71, 24]);
  });

  test("follows months when the period is made of whole ones", async () => {
    const { id, invoice, consume } = await point();
    await consume("month", "2025-01-01T00:00:00+0100", [300, 100]);
    const { results } = await invoice({ period: ["2025-01-01", "2025-02-28"], rows: [usage("-40.01")] });
    expect(results[0].invoice_rows[0].spread).toBe("consumption");
    expect(await world.costs(id, "grid_usage", "202501-202502")).toEqual([-30.01, -10]);
  });

  test("goes by days while a single day is missing, and by consumption when it is read again", async () => {
    const { id, invoice, consume } = await point();
    await consume("day", "2025-04-29T00:00:00+0200", [1, 1]);
    const { _id, results } = await invoice({ period: ["2025-04-29", "2025-05-01"], rows: [usage("30.00")] });
    expect(results[0].invoice_rows[0].spread).toBe("days");
    expect(await world.costs(id, "grid_usage", "202504-202505")).toEqual([20, 10]);
    await consume("day", "2025-05-01T00:00:00+0200", [4]);
    await world.api.call("POST", `/invoices/${_id}/retry`, { token: world.owner.token });
    await world.work();
    expect(await world.costs(id, "grid_usage", "202504-202505")).toEqual([10, 20]);
  });

  test("that lies ahead is stored when its month begins", async () => {
    const { id, invoice } = await point();
    const start = world.api.clock.now();
    await invoice({
      period: ["2026-01-01", "2026-03-31"],
      rows: [{ name: "Elnät abonnemang", amount: "90.00" }],
    });
    expect(await world.costs(id, "grid_subscription", "202601-202603")).toEqual([31, null, null]);
    world.api.clock.set(Date.UTC(2026, 1, 1, 1));
    await world.tend();
    expect(await world.costs(id, "grid_subscription", "202601-202603")).toEqual([31, 28, null]);
    world.api.clock.set(Date.UTC(2026, 2, 20));
    await world.tend();
    expect(await world.costs(id, "grid_subscription", "202601-202603")).toEqual([31, 28, 31]);
    world.api.clock.set(start);
  });

  test("that lies ahead is stored with all others at once, however many they are", async () => {
    const start = world.api.clock.now();
    const points = await Promise.all(
      Array.from({ length: 10 }, async (_, i) => {
        const ean = `73577700${i}`;
        return { ean, id: (await newMeter(world.api, world.owner, { ean })).id };
      }),
    );
    // Ten meters, ten years, a metric and a total.
    const period: [string, string] = ["2026-02-01", "2036-01-31"];
    const rows = points.map(({ ean }) => ({ name: "Elnät abonnemang", amount: "3652.00", ean, period }));
    await world.settle({ number: "ahead", rows });
    world.api.clock.set(Date.UTC(2036, 0, 2));
    await world.tend();
    for (const { id } of points) expect(await world.costs(id, "grid_subscription", "203601")).toEqual([31]);
    world.api.clock.set(start);
  });
});
