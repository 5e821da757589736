import { existsSync, readdirSync, readFileSync, rmSync } from "node:fs";
import { join } from "node:path";
import { afterAll, beforeAll, beforeEach, describe, expect, test } from "vitest";
import { ftpServer, login } from "../../../test/harness/servers/ftp.ts";
import type { Deps } from "../platform/deps.ts";
import { exportJobs } from "./exports.ts";
import { cellsOf } from "./formats/harness.ts";
import { type Arrived, type ExportWorld, exportWorld } from "./harness.ts";

let world: ExportWorld;
beforeAll(async () => {
  world = await exportWorld();
});
afterAll(() => world.close());

const hour = 3_600_000;
/** Period and value of each row. */
const rowsOf = ({ text }: Arrived) =>
  cellsOf(text).map((row) => [row[11], row[14] === "" ? null : Number(row[14])]);

let meter: string;
beforeEach(async () => {
  await world.startAnew();
  meter = await world.newMeter({ name: "Main" });
});
const start = "2026-01-01T00:00:00+0100";
const runsOf = (id: string): Promise<Record<string, unknown>[]> => world.done("GET", `/exports/${id}/runs`);
const get = (id: string) => world.done("GET", `/exports/${id}`);

describe("an export", () => {
  test("sends all history at the start of the next hour, then what changes, then nothing", async () => {
    await world.store(meter, start, [1, 2, 3.25]);
    const made = await world.newExport();
    await world.pass(29 * 60_000);
    expect(world.arrived()).toEqual([]);
    await world.pass(60_000);
    const [first, ...more] = world.arrived();
    expect(more).toEqual([]);
    expect(first!.name).toMatch(new RegExp(`^${made._id}_202602101000\\d\\d\\.csv$`));
    expect(rowsOf(first!)).toEqual([
      ["2026010100", 1],
      ["2026010101", 2],
      ["2026010102", 3.25],
    ]);
    await world.pass(hour);
    expect(world.arrived()).toEqual([]);
    expect((await get(made._id)).last_run).toMatchObject({ status: "nothing_new", error: null });

    await world.store(meter, "2026-01-01T02:00:00+0100", [3.5, 4]);
    await world.pass(hour);
    const [second] = world.arrived();
    expect(rowsOf(second!)).toEqual([
      ["2026010102", 3.5],
      ["2026010103", 4],
    ]);
    expect(second!.name > first!.name).toBe(true);
    await world.store(meter, "2026-01-01T01:00:00+0100", [null], { null_removes: true });
    await world.pass(hour);
    expect(world.arrived().map(rowsOf)).toEqual([[["2026010101", null]]]);

    const runs = await runsOf(made._id);
    expect(
      runs.map(({ status, rows, attempts, error, available }) => [status, rows, attempts, error, available]),
    ).toEqual([
      ["delivered", 3, 1, null, true],
      ["delivered", 2, 1, null, true],
      ["delivered", 1, 1, null, true],
    ]);
    expect(runs.map(({ offset_from }) => offset_from)).toEqual([
      null,
      runs[0]!.offset_to,
      runs[1]!.offset_to,
    ]);
  });

  test("has names of the time of the cut, which never come twice", async () => {
    await world.store(meter, start, [1]);
    const made = await world.newExport();
    await world.done("POST", `/exports/${made._id}/run`);
    await world.work();
    await world.done("POST", "/batches", {
      document: { source: "second" },
      runs: [{ meter, metric: "energy", granularity: "hour", start, values: [2] }],
    });
    await world.done("POST", `/exports/${made._id}/run`);
    await world.work();
    const names = world.arrived().map(({ name }) => name);
    expect(names).toHaveLength(2);
    expect(new Set(names).size).toBe(2);
    const stamp = new Date(world.api.clock.now()).toISOString().replace(/\D/g, "").slice(0, 14);
    expect(names[0]).toBe(`${made._id}_${stamp}.csv`);
  });

  test("sends several files at once when one would be too large", { timeout: 120_000 }, async () => {
    const quarter = { granularity: "5min" };
    const value = (i: number) => (i % 97) / 8;
    for (let from = 0; from < 52_000; from += 13_000) {
      const at = new Date(Date.UTC(2025, 0, 1) + from * 300_000).toISOString();
      await world.store(
        meter,
        at,
        Array.from({ length: 13_000 }, (_, i) => value(from + i)),
        quarter,
      );
    }
    const made = await world.newExport({
      format: { name: "ConsumptionXLSX", params: { granularity: "5min" } },
    });
    await world.pass(hour);
    const runs = await runsOf(made._id);
    expect(runs.length).toBeGreaterThan(1);
    expect(runs.reduce((sum, { rows }) => sum + Number(rows), 0)).toBe(52_000);
    for (const { rows, status } of runs) {
      expect(rows).toBeLessThanOrEqual(60_000);
      expect(status).toBe("delivered");
    }
  });

  test("of costs leaves consumption out, and moves on past it", async () => {
    await world.store(meter, "2026-01-01T00:00:00+0100", [5], { granularity: "month" });
    const made = await world.newExport({ format: { name: "CostCSV" } });
    await world.pass(hour);
    expect(world.arrived()).toEqual([]);
    await world.store(meter, "2026-01-01T00:00:00+0100", [99.5], {
      granularity: "month",
      metric: "cost_grid_total",
      currency: "SEK",
    });
    await world.pass(hour);
    const [file] = world.arrived();
    expect(cellsOf(file!.text).map((row) => row.slice(11))).toEqual([
      ["202601", "grid_total", "cost", "99.5"],
    ]);
    expect((await runsOf(made._id))[0]!.offset_from).not.toBeNull();
  });

  test("lies in an FTP folder under its final name only, Parquet in folders of its own", async () => {
    const ftp = await ftpServer();
    try {
      await world.store(meter, start, [1, 2]);
      const target = { ftp: { host: "127.0.0.1", port: ftp.port, ...login, path: null } };
      const csv = await world.newExport({ target });
      const parquet = await world.newExport({ target, format: { name: "ConsumptionParquet" } });
      await world.pass(hour);
      const names = readdirSync(ftp.root, { recursive: true, withFileTypes: true })
        .filter((entry) => entry.isFile())
        .map((entry) => join(entry.parentPath, entry.name).slice(ftp.root.length + 1));
      const [csvRun] = await runsOf(csv._id);
      const [parquetRun, ...more] = await runsOf(parquet._id);
      expect(more).toEqual([]);
      expect(names.sort()).toEqual([csvRun!.file, parquetRun!.file].sort());
      expect(parquetRun!.file).toMatch(/^granularity=hour\/month=2026-01\/[0-9a-f]{24}_\d{14}\.parquet$/);
      expect(readFileSync(join(ftp.root, String(csvRun!.file)), "utf8").split("\n")).toHaveLength(3);
      // A download has no folders, and still says which rows it holds.
      const { headers } = await world.ask("GET", `/exports/${parquet._id}/runs/${parquetRun!._id}/file`);
      const flat = String(parquetRun!.file).replaceAll("/", "_");
      expect(headers["content-disposition"]).toBe(`attachment; filename="${flat}"`);
    } finally {
      await ftp.close();
    }
  });
});

describe("a target that fails", () => {
  test("gets one file with everything once it works, and the stream waits for it", async () => {
    await world.store(meter, start, [1]);
    const made = await world.newExport();
    world.statuses.push(500, 503);
    await world.pass(hour);
    const [failed, ...others] = await runsOf(made._id);
    expect(others).toEqual([]);
    expect(failed).toMatchObject({
      status: "failed",
      attempts: 1,
      error: "The server failed or was busy.",
      next_attempt: expect.any(String),
    });
    // Nothing is tried before its time, not by the schedule either.
    await world.pass(60_000);
    expect((await runsOf(made._id))[0]).toMatchObject({ attempts: 1 });
    await world.store(meter, "2026-01-01T01:00:00+0100", [2]);
    await world.pass(10 * 60_000);
    expect((await runsOf(made._id))[0]).toMatchObject({ attempts: 2, status: "failed" });
    await world.pass(30 * 60_000);
    const arrived = world.arrived();
    expect(arrived.map(({ name }) => name)).toEqual([
      failed!.file,
      failed!.file,
      failed!.file,
      arrived[3]!.name,
    ]);
    expect(new Set(arrived.slice(0, 3).map(({ text, key }) => text + key)).size).toBe(1);
    expect(rowsOf(arrived[2]!)).toEqual([["2026010100", 1]]);
    expect(rowsOf(arrived[3]!)).toEqual([["2026010101", 2]]);
    expect((await get(made._id)).next_attempt).toBeNull();
  });

  test("is paused after a day and a half, its owner told once before and once then", async () => {
    await world.store(meter, start, [1]);
    const hook = await world.done("POST", "/webhooks", {
      url: "https://example.com/hook",
      events: ["export.failed"],
    });
    const made = await world.newExport({ name: "Night" });
    world.statuses.push(...Array(100).fill(500));
    let passed = 0;
    while (!(await get(made._id)).paused && passed < 200) {
      await world.pass(30 * 60_000);
      passed++;
    }
    const [run] = await runsOf(made._id);
    expect(run).toMatchObject({ attempts: 24, status: "failed" });
    expect(passed / 2).toBeGreaterThan(24);
    expect(await get(made._id)).toMatchObject({
      paused: true,
      paused_reason: "The server failed or was busy.",
      next_run: null,
      next_attempt: null,
    });
    const told = await world.api.db.rows<{ body: string }>({
      name: "test-told",
      text: "select body from webhook_delivery where webhook_id = $1 order by id",
      values: [hook._id],
    });
    expect(told.map(({ body }) => JSON.parse(body).data)).toEqual([
      expect.objectContaining({
        paused: false,
        export: { _id: made._id, name: "Night" },
        run: { _id: run!._id },
      }),
      expect.objectContaining({ paused: true, reason: "The server failed or was busy." }),
    ]);
    world.statuses.length = 0;
    world.arrived();
    expect((await world.ask("POST", `/exports/${made._id}/run`)).status).toBe(409);
    await world.done("POST", `/exports/${made._id}/resume`);
    await world.work();
    expect(world.arrived().map(({ name }) => name)).toEqual([run!.file]);
    expect(await get(made._id)).toMatchObject({
      paused: false,
      paused_reason: null,
      next_run: expect.any(String),
    });
  });

  test("is paused at once when no repeat can help, and after a third refused login", async () => {
    await world.store(meter, start, [1]);
    const [gone, locked] = [await world.newExport(), await world.newExport()];
    world.statuses.push(404, 401, 401, 401);
    await world.done("POST", `/exports/${gone._id}/run`);
    await world.work();
    expect(await get(gone._id)).toMatchObject({
      paused: true,
      paused_reason: expect.stringMatching(/did not allow/),
    });
    await world.done("DELETE", `/exports/${gone._id}`);
    for (let attempt = 1; attempt <= 3; attempt++) {
      expect((await get(locked._id)).paused).toBe(false);
      await world.pass(hour);
    }
    expect(await get(locked._id)).toMatchObject({
      paused: true,
      paused_reason: expect.stringMatching(/login/),
    });
    await world.pass(10 * hour);
    expect((await runsOf(locked._id))[0]).toMatchObject({ attempts: 3 });
  });

  test("is given up for another one by a change of the target", async () => {
    await world.store(meter, start, [1]);
    const made = await world.newExport({ target: { http: { url: "http://127.0.0.1:1/" } } });
    await world.pass(hour);
    expect((await runsOf(made._id))[0]).toMatchObject({ status: "failed" });
    const url = `http://127.0.0.1:${world.receiver.port}/`;
    await world.done("PUT", `/exports/${made._id}`, { target: { http: { url } } });
    await world.pass(0);
    expect(world.arrived()).toHaveLength(1);
  });
});

describe("a worker that dies", () => {
  /** A database that fails from the moment the receiver has got a file. */
  const dyingDeps = (): Deps => {
    const { deps } = world.api;
    const before = world.receiver.received.length;
    const isDead = () => world.receiver.received.length > before;
    return {
      ...deps,
      db: {
        ...deps.db,
        transaction: (work) => (isDead() ? Promise.reject(new Error("killed")) : deps.db.transaction(work)),
        run: (query) => (isDead() ? Promise.reject(new Error("killed")) : deps.db.run(query)),
      },
    };
  };

  test("between delivery and commit: the next one sends the same file under the same name", async () => {
    await world.store(meter, start, [1]);
    const made = await world.newExport();
    await world.done("POST", `/exports/${made._id}/run`);
    await expect(world.work(dyingDeps())).rejects.toThrow("killed");
    expect((await runsOf(made._id))[0]).toMatchObject({ status: "waiting", attempts: 1 });
    // Values that came meanwhile belong to the next file.
    await world.store(meter, "2026-01-01T01:00:00+0100", [2]);
    await world.pass(hour);
    const [first, again, next] = world.arrived();
    expect(again).toEqual(first);
    expect(rowsOf(next!)).toEqual([["2026010101", 2]]);
    expect((await runsOf(made._id)).map(({ status, attempts }) => [status, attempts])).toEqual([
      ["delivered", 2],
      ["delivered", 1],
    ]);
  });

  test("with its disk: the file is made again from the same offsets", async () => {
    await world.store(meter, start, [1, 2]);
    const made = await world.newExport();
    world.statuses.push(500);
    await world.pass(hour);
    rmSync(join(world.dataDir, "exports", made._id), { recursive: true });
    // A correction of what the file holds: it may come in it already, and comes after it.
    await world.store(meter, start, [1.5]);
    await world.pass(hour);
    const [first, again, next] = world.arrived();
    expect(again!.name).toBe(first!.name);
    expect(rowsOf(again!).map(([period]) => period)).toEqual(["2026010100", "2026010101"]);
    expect(rowsOf(next!)).toEqual([["2026010100", 1.5]]);
  });

  test("and two that live: one of them works", async () => {
    await world.store(meter, start, [1]);
    const made = await world.newExport();
    const run = exportJobs.find(({ name }) => name === "export")!;
    const { signal } = new AbortController();
    await Promise.all([1, 2, 3].map(() => run.run({ exportId: made._id }, world.api.deps, signal)));
    expect(world.arrived()).toHaveLength(1);
    expect(await runsOf(made._id)).toHaveLength(1);
  });
});

describe("rights", () => {
  test("are looked at before sending: what may not be read any more is left out of the file", async () => {
    const other = await world.newMeter({ name: "Other" });
    await world.store(meter, start, [1]);
    await world.store(other, start, [7]);
    const made = await world.newExport();
    world.statuses.push(500);
    await world.pass(hour);
    await world.done("PUT", `/meters/${other}`, { box: "ignored" });
    await world.pass(hour);
    const [first, second] = world.arrived();
    expect(
      cellsOf(first!.text)
        .map((row) => row[0])
        .sort(),
    ).toEqual([meter, other].sort());
    expect(second!.name).toBe(first!.name);
    expect(cellsOf(second!.text).map((row) => row[0])).toEqual([meter]);
    expect(await runsOf(made._id)).toMatchObject([{ status: "delivered", rows: 1 }]);
  });

  test("that are all gone withdraw the file, and bring the history when they come back", async () => {
    await world.store(meter, start, [1]);
    const made = await world.newExport();
    world.statuses.push(500);
    await world.pass(hour);
    await world.done("PUT", `/meters/${meter}`, { box: "ignored" });
    world.arrived();
    await world.pass(hour);
    expect(world.arrived()).toEqual([]);
    expect(await runsOf(made._id)).toMatchObject([{ status: "withdrawn", available: false }]);
    await world.done("PUT", `/meters/${meter}`, { box: "active" });
    await world.pass(hour);
    expect(world.arrived().map(rowsOf)).toEqual([[["2026010100", 1]]]);
  });

  test("that are gone keep a file from being sent again, and from being downloaded", async () => {
    await world.store(meter, start, [1]);
    const made = await world.newExport();
    await world.pass(hour);
    const [run] = await runsOf(made._id);
    const path = `/exports/${made._id}/runs/${run!._id}`;
    expect((await world.ask("GET", `${path}/file`)).status).toBe(200);
    await world.done("PUT", `/meters/${meter}`, { box: "ignored" });
    expect((await world.ask("GET", `${path}/file`)).status).toBe(403);
    expect((await world.ask("POST", `${path}/resend`)).status).toBe(403);
  });
});

describe("delivered files", () => {
  test("are downloaded and sent again as they were, and go after their days", async () => {
    await world.store(meter, start, [1]);
    const made = await world.newExport();
    await world.pass(hour);
    const [first] = world.arrived();
    const [run] = await runsOf(made._id);
    const path = `/exports/${made._id}/runs/${run!._id}`;
    await world.store(meter, start, [2]);
    const file = await world.ask("GET", `${path}/file`);
    expect(file.text).toBe(first!.text);
    expect(file.headers).toMatchObject({
      "content-type": "text/csv; charset=utf-8",
      "content-disposition": `attachment; filename="${run!.file}"`,
      "x-content-type-options": "nosniff",
    });
    await world.done("POST", `${path}/resend`);
    await world.work();
    expect(world.arrived()).toEqual([first]);
    expect(await world.done("GET", path)).toMatchObject({ resent: expect.any(String), attempts: 1 });

    const tidy = exportJobs.find(({ name }) => name === "tidy-exports")!;
    world.api.clock.advance(31 * 24 * hour);
    await tidy.run({}, world.api.deps, new AbortController().signal);
    expect((await world.ask("GET", `${path}/file`)).json).toMatchObject({
      code: 409,
      message: "The file is not here any more: files are kept 30 days",
    });
    expect(await world.done("GET", path)).toMatchObject({ available: false, status: "delivered" });
  });

  test("that cannot be sent again say why", async () => {
    await world.store(meter, start, [1]);
    const made = await world.newExport();
    await world.pass(hour);
    const [run] = await runsOf(made._id);
    const path = `/exports/${made._id}/runs/${run!._id}`;
    world.statuses.push(404);
    await world.done("POST", `${path}/resend`);
    await world.work();
    expect(await world.done("GET", path)).toMatchObject({
      resent: null,
      resend_error: expect.stringMatching(/did not allow/),
      status: "delivered",
    });
    expect((await get(made._id)).paused).toBe(false);
  });

  test("go with their export and with its account", async () => {
    await world.store(meter, start, [1]);
    const [one, two] = [await world.newExport(), await world.newExport()];
    await world.pass(hour);
    const folder = (id: string) => join(world.dataDir, "exports", id);
    expect([existsSync(folder(one._id)), existsSync(folder(two._id))]).toEqual([true, true]);
    await world.done("DELETE", `/exports/${one._id}`);
    expect(existsSync(folder(one._id))).toBe(false);
    await world.api.db.run({
      name: "test-drop",
      text: "delete from export where id = $1",
      values: [two._id],
    });
    const tidy = exportJobs.find(({ name }) => name === "tidy-exports")!;
    await tidy.run({}, world.api.deps, new AbortController().signal);
    expect(existsSync(folder(two._id))).toBe(false);
  });
});

describe("what is due", () => {
  test("is sent off once, however many workers look", async () => {
    const made = await Promise.all(Array.from({ length: 5 }, () => world.newExport()));
    world.api.clock.advance(hour);
    const due = exportJobs.find(({ name }) => name === "exports-due")!;
    const { signal } = new AbortController();
    await Promise.all([1, 2, 3, 4].map(() => due.run({}, world.api.deps, signal)));
    const sent = world.api.sentJobs.filter(({ name }) => name === "export").map(({ data }) => data);
    expect(sent).toHaveLength(5);
    expect(new Set(sent.map((data) => JSON.stringify(data))).size).toBe(5);
    for (const { _id } of made) {
      expect((await get(_id)).next_run > new Date(world.api.clock.now()).toISOString()).toBe(true);
    }
  });

  test("after a long stop runs once, and its time is in the future again", async () => {
    const made = await world.newExport({ frequency: "daily", timezone: "Europe/Stockholm" });
    expect(made.next_run).toMatch(/T23:00:00\+0000$/);
    await world.pass(5 * 24 * hour);
    const { next_run } = await get(made._id);
    expect(Date.parse(next_run) - world.api.clock.now()).toBeGreaterThan(0);
    expect(Date.parse(next_run) - world.api.clock.now()).toBeLessThanOrEqual(24 * hour);
  });

  test("is not sent while the export is paused, and nothing is lost", async () => {
    await world.store(meter, start, [1]);
    const made = await world.newExport();
    expect(await world.done("POST", `/exports/${made._id}/pause`)).toMatchObject({
      paused: true,
      paused_reason: "Paused on request.",
      next_run: null,
    });
    await world.pass(3 * hour);
    expect(world.arrived()).toEqual([]);
    await world.done("POST", `/exports/${made._id}/resume`);
    await world.pass(hour);
    expect(world.arrived().map(rowsOf)).toEqual([[["2026010100", 1]]]);
  });

  test("stops when the export is deleted while a file is sent", async () => {
    await world.store(meter, start, [1]);
    const made = await world.newExport();
    const { deps } = world.api;
    const run = exportJobs.find(({ name }) => name === "export")!;
    const deleting: Deps = {
      ...deps,
      egress: {
        ...deps.egress,
        async request(...call) {
          const answer = await deps.egress.request(...call);
          await world.done("DELETE", `/exports/${made._id}`);
          return answer;
        },
      },
    };
    await run.run({ exportId: made._id }, deleting, new AbortController().signal);
    expect(world.arrived()).toHaveLength(1);
    expect((await world.ask("GET", `/exports/${made._id}`)).status).toBe(404);
  });
});
