import { execFile } from "node:child_process";
import { once } from "node:events";
import { readFileSync } from "node:fs";
import { type AddressInfo, createServer } from "node:net";
import { promisify } from "node:util";
import { afterAll, describe, expect, test } from "vitest";
import { Client } from "../../client/src/client.ts";
import { type ServerProcess, scratch, server } from "../harness/process.ts";

const folder = scratch();
const blocker = createServer().listen(0, "127.0.0.1");
afterAll(() => {
  blocker.close();
  folder.remove();
});
const dataDir = `${folder.path}/demo`;
const words = ["demo", "--data-dir", dataDir, "--port", "0"];

/** Lines that the demo printed, as a person pastes them. */
const curls = ({ printed }: ServerProcess) =>
  printed()
    .split("\n")
    .filter((line) => line.trimStart().startsWith("curl "));

const paste = async (line: string) => JSON.parse((await promisify(execFile)("sh", ["-c", line])).stdout);

/** Answers to the lines about meters, costs and invoices. */
const pasted = (demo: ServerProcess) => Promise.all(curls(demo).slice(0, 5).map(paste));

const login = ({ printed }: ServerProcess) => /token +(\S+)/.exec(printed())![1]!;

const utilityUrl = ({ printed }: ServerProcess) =>
  /a utility that does not exist, answers at (http:\S+)/.exec(printed())?.[1];

test("the demo takes the next port, its curl lines work as printed, and a second start changes nothing", async () => {
  if (!blocker.listening) await once(blocker, "listening");
  const { port } = blocker.address() as AddressInfo;
  const taken = [...words.slice(0, -1), String(port)];
  const first = await server(taken);
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
  const gridTotals = async () => (await paste(curls(first)[3]!)).data[0].periods[0].grid_total;
  await expect.poll(gridTotals, { timeout: 30_000, interval: 500 }).not.toContain(null);
  // They are read one after the other from now on.
  expect(invoices).toMatchObject({ code: 200 });
  expect((await first.stop()).code).toBe(0);

  const second = await server(taken);
  expect(login(second)).toBe(login(first));
  expect((await pasted(second)).slice(0, 3)).toEqual([meters, meter, node]);
  await second.stop();
});

describe("the demo utility", { timeout: 300_000 }, () => {
  /** Waits until the demo has told something; seconds of a machine that is busy with other tests. */
  const tells = (demo: ServerProcess, what: string | RegExp) =>
    expect.poll(demo.printed, { timeout: 120_000, interval: 200 }).toMatch(what);

  test("brings meters and days while somebody looks, and says what needs a person", async () => {
    const demo = await server([...words, "--day-seconds", "10"]);
    try {
      await tells(demo, /Brf Sjöutsikten 10 +16 meters found, the first [\d,]+ values after/);
      await tells(demo, /Brf Tallen 99 +credentials refused/);
      await tells(demo, /Fastighets AB Ekorren 5 +page changed/);
      await tells(demo, /Lindqvist Bygg AB 5 +waiting for code/);
      const [all, issues, code, inbox, node] = curls(demo).slice(5);
      expect((await paste(all!)).data).toHaveLength(5);
      expect((await paste(issues!)).data.map(({ kind }: { kind: string }) => kind).sort()).toEqual([
        "credentials_refused",
        "page_changed",
        "waiting_for_code",
      ]);
      expect(await paste(code!)).toMatchObject({ code: 200 });
      await tells(demo, /Lindqvist Bygg AB 5 +7 meters found, the first/);
      const names = (await paste(inbox!)).data.map(({ type }: { type: string }) => type);
      expect(names.filter((type: string) => type === "water").length).toBeGreaterThanOrEqual(2);
      const days = (await paste(node!)).data[0].periods[0].energy;
      expect(days.filter((kWh: number | null) => kWh !== null && kWh > 0).length).toBeGreaterThan(0);
      await tells(demo, /Brf Sjöutsikten 10 +[\d,]+ values, the whole history/);
      await tells(demo, /\d{4}-\d\d-\d\d is published: [\d,]+ values arrived/);
    } finally {
      demo.process.kill("SIGKILL");
      await demo.ended;
    }
    // Nobody told it: its end of the pipe did.
    await expect.poll(() => fetch(utilityUrl(demo)!).catch(() => "gone"), { timeout: 10_000 }).toBe("gone");
  });

  test("goes on after a restart on another port, and collects no history again", async () => {
    const kept = JSON.parse(readFileSync(`${dataDir}/demo-utility.json`, "utf8"));
    const other = createServer().listen(kept.port, "127.0.0.1");
    await once(other, "listening");
    const demo = await server([...words, "--day-seconds", "10"]);
    try {
      await expect.poll(() => utilityUrl(demo), { timeout: 60_000 }).toBeDefined();
      expect(new URL(utilityUrl(demo)!).port).not.toBe(String(kept.port));
      await tells(demo, /\d{4}-\d\d-\d\d is published: [\d,]+ values arrived/);
      const client = new Client({ url: demo.url, token: login(demo) });
      const { data: connections } = await client.page("GET /connections");
      const { _id, credentials } = connections.find(({ name }) => name === "Brf Sjöutsikten 10")!;
      expect(credentials).toMatchObject({ url: utilityUrl(demo), password: "********" });
      const runs = { path: { id: _id }, query: { sort: "-began" } };
      const { data } = await client.page("GET /connections/{id}/runs", runs);
      const since = data.findIndex(({ reason }) => reason === "credentials");
      expect(data.slice(0, since).every(({ counts }) => (counts.added ?? 0) < 5_000)).toBe(true);
      expect(demo.printed()).not.toContain("16 meters found");
    } finally {
      expect((await demo.stop()).code).toBe(0);
      other.close();
    }
    await expect(fetch(utilityUrl(demo)!)).rejects.toThrow();
  });
});
