import { execFile } from "node:child_process";
import { once } from "node:events";
import { type AddressInfo, createServer } from "node:net";
import { promisify } from "node:util";
import { afterAll, expect, test } from "vitest";
import { type ServerProcess, scratch, server } from "../harness/process.ts";

const folder = scratch();
const blocker = createServer().listen(0, "127.0.0.1");
afterAll(() => {
  blocker.close();
  folder.remove();
});

/** Runs the lines that the demo printed, as a person pastes them. */
async function pasted({ printed }: ServerProcess) {
  const lines = printed()
    .split("\n")
    .filter((line) => line.trimStart().startsWith("curl "));
  return Promise.all(
    lines.map(async (line) => JSON.parse((await promisify(execFile)("sh", ["-c", line])).stdout)),
  );
}

test("the demo takes the next port, its curl lines work as printed, and a second start changes nothing", async () => {
  if (!blocker.listening) await once(blocker, "listening");
  const { port } = blocker.address() as AddressInfo;
  const words = ["demo", "--data-dir", `${folder.path}/demo`, "--port", String(port)];
  const first = await server(words);
  expect(first.printed()).toContain(`Port ${port} is taken`);
  expect(Number(new URL(first.url).port)).toBeGreaterThan(port);
  const [meters, meter, node, costs, invoices] = await pasted(first);
  expect(meters).toMatchObject({ code: 200, count: 12, data: expect.arrayContaining([]) });
  expect(meters.data).toHaveLength(5);
  expect(meters.data[0].assigner.name).toBe("BRF Solsidan");
  const months = (answer: typeof meter) => answer.data[0].periods[0].energy as number[];
  expect(months(meter).every((kWh) => kWh > 1000)).toBe(true);
  expect(months(node)).toHaveLength(12);
  // Winters are colder than summers.
  expect(months(node)[0]!).toBeGreaterThan(3 * months(node)[6]!);
  expect(costs.data[0]).toMatchObject({ currency: "SEK" });
  expect(costs.data[0].periods[0].retail_total).not.toContain(null);
  const gridTotals = async () => (await pasted(first))[3].data[0].periods[0].grid_total;
  await expect.poll(gridTotals, { timeout: 30_000, interval: 500 }).not.toContain(null);
  // They are read one after the other from now on.
  expect(invoices).toMatchObject({ code: 200 });
  expect((await first.stop()).code).toBe(0);

  const second = await server(words);
  const login = (printed: string) => /token +(\S+)/.exec(printed)![1];
  expect(login(second.printed())).toBe(login(first.printed()));
  expect((await pasted(second)).slice(0, 3)).toEqual([meters, meter, node]);
  await second.stop();
});
