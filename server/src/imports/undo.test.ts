import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { newAccount } from "../../../test/harness/accounts.ts";
import { sql } from "../platform/db.ts";
import { type ImportWorld, importWorld } from "./harness.ts";
import { importJobs } from "./imports.ts";

let world: ImportWorld;
beforeAll(async () => {
  world = await importWorld();
});
afterAll(() => world.close());

/** Hours of 1 March 2025 in Stockholm. */
const file = (rows: Record<string, readonly (number | null)[]>, name = "table.csv") => {
  const lines = Object.entries(rows).flatMap(([meter, values]) =>
    values.flatMap((value, hour) =>
      value === null ? [] : [`${meter};2025-03-01 ${String(hour).padStart(2, "0")}:00;${value}`],
    ),
  );
  return { file: name, content: `meter;start;kWh\n${lines.join("\n")}\n` };
};
const zone: [string, string] = ["timezone", "Europe/Stockholm"];
const active: [string, string] = ["active", "true"];
const settle = async (...parts: Parameters<ImportWorld["settle"]>[0]) => {
  world.api.clock.advance(1000);
  return world.settle([...parts, zone, active]);
};
const undo = async (id: string) => {
  world.api.clock.advance(1000);
  const answer = await world.api.call("POST", `/imports/${id}/undo`, { token: world.owner.token });
  expect(answer.status).toBe(200);
  await world.work();
  return (await world.get(`/imports/${id}`)).json.data;
};
const meterOf = async (ean: string) => (await world.get(`/meters?ean=${ean}`)).json.data[0];
const hoursOf = async (meterId: string) =>
  (await world.get(`/consumptions/${meterId}/hour/20250301`)).json.data[0].periods[0].energy.slice(0, 5);

describe("undo", () => {
  test("takes values back and the meters that the import made", async () => {
    const done = await settle(file({ U1: [1, 2, 3], U2: [4, 5] }));
    const undone = await undo(done._id);
    expect(undone).toMatchObject({
      status: "undone",
      undone: { removed: 5, restored: 0, meters_removed: 2, meters_kept: 0 },
    });
    expect((await world.get("/meters?ean=U1,U2")).json.count).toBe(0);
    expect((await world.get(`/meters/${done.series[0].meter_id}`)).status).toBe(404);
    // Again changes nothing.
    expect(await undo(done._id)).toMatchObject({ status: "undone", undone: undone.undone });
    // And the file can come again.
    expect(await settle(file({ U1: [1, 2, 3], U2: [4, 5] }))).toMatchObject({
      result: { meters_created: 2, added: 5 },
    });
  });

  test("gives replaced values back and leaves what was written since", async () => {
    await settle(file({ U3: [1, 2, 3] }));
    const second = await settle(file({ U3: [10, 20, 30, 40] }));
    await settle(file({ U3: [null, 200, 300] }));
    const meter = await meterOf("U3");
    expect(await hoursOf(meter._id)).toEqual([10, 200, 300, 40, null]);
    const undone = await undo(second._id);
    expect(undone.undone).toMatchObject({ removed: 1, restored: 1, meters_removed: 0, meters_kept: 0 });
    expect(await hoursOf(meter._id)).toEqual([1, 200, 300, null, null]);
  });

  test("keeps a meter that holds other values, or was touched", async () => {
    const { api, owner } = world;
    const done = await settle(file({ U4: [1, 1], U5: [1, 1], U6: [1, 1], U7: [1, 1] }));
    const [four, five] = [await meterOf("U4"), await meterOf("U5")];
    const batch = {
      runs: [
        {
          meter: four._id,
          metric: "energy",
          granularity: "15min",
          start: "2019-01-01T00:00:00+0100",
          values: [9],
        },
      ],
    };
    expect((await api.call("POST", "/batches", { token: owner.token, body: batch })).status).toBe(200);
    const renamed = { name: "Laundry" };
    expect((await api.call("PUT", `/meters/${five._id}`, { token: owner.token, body: renamed })).status).toBe(
      200,
    );
    await settle(file({ U6: [null, null, 2, 3] }));
    const undone = await undo(done._id);
    expect(undone.undone).toMatchObject({ removed: 8, meters_removed: 1, meters_kept: 3 });
    expect(
      (await world.get("/meters?ean=U4,U5,U6,U7&sort=ean")).json.data.map(
        (meter: { ean: string }) => meter.ean,
      ),
    ).toEqual(["U4", "U5", "U6"]);
    expect(await hoursOf((await meterOf("U6"))._id)).toEqual([null, null, 2, 3, null]);
  });

  test("of a meter that was deleted in between is no error", async () => {
    const done = await settle(file({ U8: [1, 2] }));
    await world.api.db.transaction((tx) =>
      tx.run(sql`delete from meter where id = ${done.series[0].meter_id}`),
    );
    expect(await undo(done._id)).toMatchObject({ status: "undone", undone: { meters_removed: 0 } });
  });

  test("is refused for what runs or has stored nothing", async () => {
    const { api, owner } = world;
    const waiting = (await world.upload([file({ U9: [1] }), zone])).json.data;
    const ask = (id: string) => api.call("POST", `/imports/${id}/undo`, { token: owner.token });
    expect((await ask(waiting._id)).status).toBe(409);
    await world.work();
    const failed = await world.settle([{ file: "x.csv", content: "" }]);
    expect((await ask(failed._id)).json).toMatchObject({ code: 409 });
  });

  test("takes copies of the manager away too", async () => {
    const { api, owner } = world;
    const child = await newAccount(api.deps, { managerId: owner.id });
    const done = await settle(file({ U10: [1, 2] }), ["account", child.id]);
    expect(await meterOf("U10")).toMatchObject({ assigner: { _id: child.id } });
    await undo(done._id);
    expect(await meterOf("U10")).toBeUndefined();
  });
});

describe("an import that was interrupted", () => {
  const importKind = importJobs.find(({ name }) => name === "import")!;
  /** 300 meters of 400 half hours: six batches. */
  const large = () => {
    const days = Array.from({ length: 9 }, (_, day) => {
      const values = Array.from({ length: 48 }, (_, i) => ((day * 48 + i) / 100).toFixed(2)).join(",");
      return `300,202503${String(day + 1).padStart(2, "0")},${values},A,,,,`;
    }).join("\n");
    const meters = Array.from(
      { length: 300 },
      (_, i) => `200,61${String(i).padStart(8, "0")},E1,1,E1,N1,M,KWH,30,\n${days}`,
    );
    return { file: "large.csv", content: `100,NEM12,202504160930,MDP1,RET1\n${meters.join("\n")}\n900\n` };
  };

  test("goes on after every number of stored batches, and counts nothing twice", async () => {
    const { api } = world;
    for (const stopAfter of [0, 1, 2]) {
      const account = await newAccount(api.deps);
      const { json } = await world.upload([large()], account.token);
      api.sentJobs.length = 0;
      const id = json.data._id;
      const deps = { ...api.deps, db: failingAfter(api.deps.db, stopAfter) };
      const died = importKind.run({ importId: id }, deps, new AbortController().signal);
      await expect(died).rejects.toThrow("the machine died");
      const halfWay = (await world.get(`/imports/${id}`, account.token)).json.data;
      expect(halfWay).toMatchObject({ status: "storing", progress: { values: stopAfter * 25_000 } });
      await importKind.run({ importId: id }, api.deps, new AbortController().signal);
      const { data } = (await world.get(`/imports/${id}`, account.token)).json;
      const values = 300 * 9 * 48;
      expect(data).toMatchObject({
        status: "completed",
        progress: { values },
        result: { meters: 300, meters_created: 300, added: values, unchanged: 0, replaced: 0, older: 0 },
      });
      const stats = (await world.get("/accounts/me/consumption_stats", account.token)).json.data;
      expect(stats.energy["30min"]).toMatchObject({ count: values });
    }
  }, 120_000);

  test("is given up after some unexpected errors, and leaves nothing behind", async () => {
    const { api } = world;
    const account = await newAccount(api.deps);
    const { json } = await world.upload([large()], account.token);
    api.sentJobs.length = 0;
    const id = json.data._id;
    const run = (attempt: number) => {
      const db = failingAfter(api.deps.db, attempt === 0 ? 1 : 0);
      return importKind.run({ importId: id }, { ...api.deps, db }, new AbortController().signal);
    };
    const attempts = [];
    for (let attempt = 0; attempt < 5; attempt++)
      attempts.push(
        await run(attempt).then(
          () => "done",
          () => "failed",
        ),
      );
    expect(attempts).toEqual(["failed", "failed", "failed", "failed", "done"]);
    expect(api.sentJobs.map((job) => job.name)).toEqual(["undo-import"]);
    await world.work();
    const { data } = (await world.get(`/imports/${id}`, account.token)).json;
    expect(data).toMatchObject({
      status: "failed",
      problems: { error: 1 },
      undone: { meters_removed: 300, meters_kept: 0 },
    });
    expect(data.undone.removed).toBeGreaterThan(0);
    expect((await world.get("/meters", account.token)).json.count).toBe(0);
  }, 120_000);

  test("whose job is stopped by the server runs again", async () => {
    const { api } = world;
    const { json } = await world.upload([file({ I1: [1, 2] }), zone]);
    api.sentJobs.length = 0;
    const stopped = new AbortController();
    stopped.abort(new Error("the server stops"));
    const id = json.data._id;
    await expect(importKind.run({ importId: id }, api.deps, stopped.signal)).rejects.toThrow(
      "the server stops",
    );
    await importKind.run({ importId: id }, api.deps, new AbortController().signal);
    expect((await world.get(`/imports/${id}`)).json.data).toMatchObject({
      status: "completed",
      result: { added: 2 },
    });
  });

  test("whose file is gone says so", async () => {
    const { api } = world;
    const { json } = await world.upload([file({ I2: [1, 2] }), zone]);
    const { discardFiles } = await import("./upload.ts");
    await discardFiles(world.dataDir, json.data._id);
    await world.work();
    api.sentJobs.length = 0;
    const { data } = (await world.get(`/imports/${json.data._id}`)).json;
    expect(data.status).toBe("failed");
    expect(data.first_problems[0].message).toContain("Upload it again");
  });
});

test("files that no import waits for are removed after a day", async () => {
  const { mkdirSync, utimesSync, existsSync } = await import("node:fs");
  const tidy = importJobs.find(({ name }) => name === "tidy-uploads")!;
  const waiting = (await world.upload([file({ C1: [1] }), zone])).json.data;
  world.api.sentJobs.length = 0;
  const folder = (id: string) => join(world.dataDir, "uploads", id);
  const cutOff = "5d1c9f2a8b3e4c0017a6d2f1";
  const fresh = "5d1c9f2a8b3e4c0017a6d2f2";
  for (const id of [cutOff, fresh]) mkdirSync(folder(id), { recursive: true });
  const now = world.api.clock.now() / 1000;
  for (const id of [cutOff, waiting._id]) utimesSync(folder(id), now - 90_000, now - 90_000);
  utimesSync(folder(fresh), now - 1000, now - 1000);
  await tidy.run({}, world.api.deps, new AbortController().signal);
  expect([cutOff, fresh, waiting._id].map((id) => existsSync(folder(id)))).toEqual([false, true, true]);
});

/** A database whose transactions that store values fail after so many of them. */
function failingAfter(db: ImportWorld["api"]["db"], batches: number): ImportWorld["api"]["db"] {
  let left = batches;
  return {
    ...db,
    transaction: (work) =>
      db.transaction(async (tx) => {
        const result = await work(tx);
        const [row] = await tx.rows<{ n: number }>(sql`
          select count(*)::int4 as n from import where status = 'storing' and xmin = pg_current_xact_id()::xid and batches > 0`);
        // What was done in the transaction is lost with it.
        if (row!.n > 0 && left-- === 0) throw new Error("the machine died");
        return result;
      }),
  };
}
