import { existsSync, readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { gzipSync } from "node:zlib";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { newAccount, newToken } from "../../../test/harness/accounts.ts";
import { createMeters } from "../meters/meters.ts";
import { type ImportWorld, importWorld } from "./harness.ts";

let world: ImportWorld;
beforeAll(async () => {
  world = await importWorld();
});
afterAll(() => world.close());

/** Half hours of one day, from `first` on in steps of 0.1: 48 values, their sum is 48 * first + 112.8. */
const nem12 = (meter: string, { day = "20250115", first = 1, suffix = "E1", updated = "" } = {}) => {
  const values = Array.from({ length: 48 }, (_, i) => (first + i / 10).toFixed(1));
  return [
    "100,NEM12,202501160930,MDP1,RET1",
    `200,${meter},E1B1,1,${suffix},N1,METER7,KWH,30,`,
    `300,${day},${values.join(",")},A,,,${updated},`,
    "900",
    "",
  ].join("\n");
};

/** Hours of two meters in a table, in the time zone of Stockholm. */
const table = (rows: readonly string[]) => `meter;start;kWh\n${rows.join("\n")}\n`;
const hours = (meter: string, values: readonly number[]) =>
  values.map(
    (value, hour) =>
      `${meter};2025-03-01 ${String(hour).padStart(2, "0")}:00;${String(value).replace(".", ",")}`,
  );
const stockholm: [string, string] = ["timezone", "Europe/Stockholm"];

const meterNamed = async (ean: string, token?: string) =>
  (await world.get(`/meters?ean=${ean}`, token)).json.data;
const dayOf = async (meterId: string, day: string) =>
  (await world.get(`/consumptions/${meterId}/day/${day}`)).json.data[0].periods[0].energy[0];
const foldersLeft = () =>
  existsSync(join(world.dataDir, "uploads")) ? readdirSync(join(world.dataDir, "uploads")) : [];

describe("a file of values", () => {
  test("is acknowledged at once, read later, and its values are there", async () => {
    const answer = await world.upload([{ file: "a.csv", content: nem12("6001234561") }, ["active", "true"]]);
    expect(answer.status).toBe(200);
    expect(answer.json.data).toMatchObject({
      status: "waiting",
      format: null,
      progress: { phase: "waiting", bytes: 0, values: 0 },
      files: [{ name: "a.csv", bytes: nem12("6001234561").length }],
      result: null,
      same_content_as: null,
    });
    await world.work();
    const { data } = (await world.get(`/imports/${answer.json.data._id}`)).json;
    expect(data).toMatchObject({
      status: "completed",
      format: "nem12",
      result: {
        meters: 1,
        meters_created: 1,
        series: 1,
        values: 48,
        missing: 0,
        duplicates: 0,
        added: 48,
        replaced: 0,
      },
      problems: { error: 0 },
    });
    expect(data.progress).toMatchObject({ phase: "completed", values: 48, bytes: data.progress.bytes_total });
    expect(data.series).toHaveLength(1);
    expect(data.series[0]).toMatchObject({
      ean: "6001234561",
      channel: "E1",
      representation: "consumption",
      metric: "energy",
      granularity: "30min",
      values: 48,
      added: 48,
      meter_created: true,
      first: "2025-01-14T14:00:00+0000",
      last: "2025-01-15T13:30:00+0000",
    });
    const [meter] = await meterNamed("6001234561");
    expect(meter).toMatchObject({
      _id: data.series[0].meter_id,
      box: "active",
      type: "electricity",
      timezone: "Etc/GMT-10",
      name: "6001234561 E1",
      expected_granularity: "30min",
      metrics: ["energy"],
    });
    expect(await dayOf(meter._id, "20250115")).toBe(160.8);
    expect(foldersLeft()).toEqual([]);
  });

  test("goes to the inbox unless told otherwise; fields may follow the file", async () => {
    const done = await world.settle([
      { file: "b.csv", content: nem12("6001234562") },
      ["source", "April delivery"],
    ]);
    expect(done).toMatchObject({ status: "completed", source: "April delivery", options: { active: false } });
    expect((await meterNamed("6001234562"))[0]).toMatchObject({ box: "inbox" });
  });

  test("twice changes nothing and says so", async () => {
    const parts = [{ file: "c.csv", content: nem12("6001234563") }];
    const first = await world.settle(parts);
    const again = await world.settle(parts);
    expect(again).toMatchObject({
      status: "completed",
      same_content_as: first._id,
      result: { meters_created: 0, added: 0, replaced: 0, unchanged: 48, older: 0 },
    });
  });

  test("with another value replaces it; the old one is kept as a revision", async () => {
    await world.settle([{ file: "d.csv", content: nem12("6001234564") }, ["active", "1"]]);
    const changed = nem12("6001234564").replace(",1.0,1.1,", ",1.0,7.7,");
    world.api.clock.advance(1000);
    const done = await world.settle([{ file: "d.csv", content: changed }]);
    expect(done.result).toMatchObject({ replaced: 1, unchanged: 47, added: 0 });
    expect(done.same_content_as).toBeNull();
    const [meter] = await meterNamed("6001234564");
    const revisions = (await world.get(`/meters/${meter._id}/revisions?granularity=30min`)).json.data;
    expect(revisions).toHaveLength(1);
    expect(revisions[0]).toMatchObject({ old_value: 1.1, value: 7.7, document: "d.csv" });
  });

  test("that is older than what is stored changes nothing", async () => {
    await world.settle([{ file: "new.csv", content: nem12("6001234565", { updated: "20250120120000" }) }]);
    const older = nem12("6001234565", { first: 5, updated: "20250118120000" });
    const done = await world.settle([{ file: "old.csv", content: older }]);
    expect(done.result).toMatchObject({ older: 48, replaced: 0, added: 0 });
  });

  test("several files are one import, packed ones too", async () => {
    const done = await world.settle([
      { file: "1.csv.gz", content: gzipSync(nem12("6001234566")) },
      { file: "2.csv", content: nem12("6001234567") },
      { file: "3.csv", content: table(hours("T1", [0.1, 0.2, 0.3])) },
      stockholm,
    ]);
    expect(done).toMatchObject({
      status: "completed",
      format: "nem12,mapper",
      result: { meters: 3, added: 99 },
    });
    expect(done.files.map((file: { name: string }) => file.name)).toEqual(["1.csv.gz", "2.csv", "3.csv"]);
  });

  test("production is another meter than consumption of the same point", async () => {
    const both = nem12("6001234568").replace(
      "900\n",
      nem12("6001234568", { suffix: "B1" }).split("\n").slice(1).join("\n"),
    );
    const done = await world.settle([{ file: "both.csv", content: both }]);
    const found = done.series.map((each: { channel: string; representation: string }) => [
      each.channel,
      each.representation,
    ]);
    expect(found).toEqual([
      ["E1", "consumption"],
      ["B1", "production"],
    ]);
    expect(await meterNamed("6001234568")).toHaveLength(2);
  });

  test("goes into a subaccount that is named by its id or by its custom identifier", async () => {
    const { api, owner } = world;
    const child = await newAccount(api.deps, { managerId: owner.id, custom_identifier: "K-17" });
    const one = await world.settle([["account", child.id], { file: "a.csv", content: nem12("6001234571") }]);
    const other = await world.settle([
      { file: "b.csv", content: nem12("6001234572") },
      ["account", "external:K-17"],
    ]);
    expect([one.account._id, other.account._id]).toEqual([child.id, child.id]);
    expect((await meterNamed("6001234571", child.token))[0].holder._id).toBe(child.id);
    // The manager has a copy by itself, and sees the import.
    expect((await meterNamed("6001234571"))[0].assigner._id).toBe(child.id);
    expect((await world.get(`/imports?account=${child.id}`)).json.count).toBe(2);
    expect((await world.get(`/imports/${one._id}`, child.token)).status).toBe(200);
  });

  test("keeps a value apart for each length of interval", async () => {
    const day = "T2;2025-03-02 00:00;24";
    const rows = ["T2;2025-03-01 00:00;2", ...hours("T2", [1, 1, 1]).slice(1)];
    const done = await world.settle([
      { file: "hours.csv", content: table(rows) },
      { file: "days.csv", content: table([day, "T2;2025-03-03 00:00;25", "T2;2025-03-04 00:00;26"]) },
      stockholm,
    ]);
    const found = done.series.map((each: { granularity: string; values: number }) => [
      each.granularity,
      each.values,
    ]);
    expect(found).toEqual([
      ["hour", 3],
      ["day", 3],
    ]);
  });
});

describe("a dry run", () => {
  test("tells what would be stored and stores nothing", async () => {
    const before = (await world.get("/meters?limit=1")).json.count;
    const done = await world.settle([["dry_run", "true"], { file: "a.csv", content: nem12("6001234581") }]);
    expect(done).toMatchObject({
      status: "completed",
      dry_run: true,
      result: { meters: 1, meters_created: 1, values: 48, added: 0 },
      series: [{ ean: "6001234581", meter_id: null, meter_created: true, values: 48 }],
    });
    expect((await world.get("/meters?limit=1")).json.count).toBe(before);
    expect(
      (await world.api.call("POST", `/imports/${done._id}/undo`, { token: world.owner.token })).status,
    ).toBe(409);
    expect(foldersLeft()).toEqual([]);
  });
});

describe("files that are refused", () => {
  const refused = async (parts: Parameters<ImportWorld["settle"]>[0]) => {
    const before = (await world.get("/meters?limit=1")).json.count;
    const done = await world.settle(parts);
    expect(done.status).toBe("failed");
    expect(done.result?.added ?? 0).toBe(0);
    expect((await world.get("/meters?limit=1")).json.count).toBe(before);
    expect(foldersLeft()).toEqual([]);
    const { data, count } = (await world.get(`/imports/${done._id}/problems`)).json;
    expect(data.length).toBe(Math.min(50, count));
    return data as { severity: string; file: string | null; line: number | null; message: string }[];
  };

  test("a row that cannot be read refuses the whole upload, the good file too", async () => {
    const bad = nem12("6001234591").replace(",1.0,1.1,", ",1.0,x,");
    const [problem] = await refused([
      { file: "good.csv", content: nem12("6001234590") },
      { file: "bad.csv", content: bad },
    ]);
    expect(problem).toMatchObject({ severity: "error", file: "bad.csv", line: 3 });
  });

  test("two values for one hour are named with both lines", async () => {
    const rows = [...hours("T9", [1, 2, 3]), "T9;2025-03-01 01:00;2", "T9;2025-03-01 02:00;4"];
    const [problem] = await refused([{ file: "t.csv", content: table(rows) }, stockholm]);
    expect(problem).toMatchObject({ severity: "error", file: "t.csv", line: 6 });
    expect(problem?.message).toContain("is 3 in line 4 and 4 in line 6");
  });

  test("two files that say different things are named too", async () => {
    const [problem] = await refused([
      { file: "one.csv", content: table(hours("T8", [1, 2, 3])) },
      { file: "two.csv", content: table(hours("T8", [1, 2, 5])) },
      stockholm,
    ]);
    expect(problem?.message).toContain("is 3 in line 4 of one.csv and 5 in line 4 of two.csv");
  });

  test("an interval that is none of the zone, a value in the future, registers alone", async () => {
    const hourly = join(
      import.meta.dirname,
      "../formats/green-button/cases/hours-with-links-in-order/input.xml",
    );
    const odd = readFileSync(hourly, "utf8").replaceAll("<duration>3600<", "<duration>4000<");
    expect((await refused([{ file: "odd.xml", content: odd }]))[0]?.message).toMatch(
      /interval of 4000 s .* state it/,
    );
    const future = nem12("6001234592", { day: "20260120" });
    expect((await refused([{ file: "future.csv", content: future }]))[0]?.message).toContain("future");
    const registers =
      "100,NEM13,202501160930,MDP1,RET1\n250,6001234593,E1,1,E1,N1,METER7,E,1000,20250101000000,A,,,1100,20250201000000,A,,,100,KWH,,20250202000000,\n900\n";
    const problems = await refused([{ file: "registers.csv", content: registers }]);
    expect(problems.find(({ severity }) => severity === "error")?.message).toContain("registers alone");
  });

  test("a file that names no meter asks for one, and takes it", async () => {
    const content = "start;kWh\n2025-03-01 00:00;1,5\n2025-03-01 01:00;2,5\n2025-03-01 02:00;3,5\n";
    const [problem] = await refused([{ file: "nameless.csv", content }, stockholm]);
    expect(problem?.message).toContain('option "meter"');
    const done = await world.settle([["meter", "735999"], { file: "nameless.csv", content }, stockholm]);
    expect(done).toMatchObject({ status: "completed", series: [{ ean: "735999", values: 3 }] });
  });

  test("what is no meter data, an empty file, a broken archive, a bomb", async () => {
    const { upload } = world;
    await refused([{ file: "photo.jpg", content: Buffer.from("ffd8ffe000104a464946", "hex") }]);
    await refused([{ file: "empty.csv", content: "" }]);
    await refused([
      { file: "cut.zip", content: Buffer.concat([Buffer.from("504b0304", "hex"), Buffer.alloc(40)]) },
    ]);
    await refused([{ file: "bomb.csv.gz", content: gzipSync(Buffer.alloc(50_000_000)) }]);
    const doctype =
      '<?xml version="1.0"?><!DOCTYPE feed [<!ENTITY a "b">]><feed xmlns="http://www.w3.org/2005/Atom"/>';
    await refused([{ file: "doctype.xml", content: doctype }]);
    expect((await upload([])).status).toBe(400);
  });

  test("a meter that is stored in another zone keeps it", async () => {
    const { api, owner } = world;
    await api.db.transaction((tx) =>
      createMeters(tx, { holderId: owner.id, now: api.clock.now(), actorId: null }, [
        { type: "electricity", ean: "T6", representation: null, timezone: "Europe/Helsinki" },
      ]),
    );
    const days = table(["T6;2025-03-01 00:00;1", "T6;2025-03-02 00:00;2", "T6;2025-03-03 00:00;3"]);
    const problems = await refused([{ file: "days.csv", content: days }, stockholm]);
    expect(problems[0]?.message).toContain("Europe/Helsinki");
    expect(problems[0]?.line).toBe(2);
    const hourly = await world.settle([
      { file: "hours.csv", content: table(hours("T6", [1, 2])) },
      stockholm,
    ]);
    expect(hourly).toMatchObject({ status: "completed", result: { meters_created: 0 } });
  });
});

describe("uploads that are refused at once", () => {
  const status = async (parts: Parameters<ImportWorld["upload"]>[0], token?: string) => {
    const answer = await world.upload(parts, token);
    expect(foldersLeft()).toEqual([]);
    expect(world.api.sentJobs).toEqual([]);
    return [answer.status, Object.keys(answer.json.errors ?? {})];
  };
  const file = { file: "a.csv", content: nem12("6001234599") };

  test("without file, with wrong fields, with an unknown mapping", async () => {
    expect(await status([["dry_run", "true"]])).toEqual([400, ["file"]]);
    expect(await status([file, ["timezone", "Mars/Base"]])).toEqual([400, ["timezone"]]);
    expect(await status([file, ["unit", "apples"], ["active", "perhaps"]])).toEqual([
      400,
      ["active", "unit"],
    ]);
    expect(await status([file, ["format", "sap"]])).toEqual([400, ["format"]]);
    expect(await status([file, ["mapping", "nobody saved this"]])).toEqual([400, ["mapping"]]);
    expect(await status([file, ["mapping", '{"version": 2}']])).toEqual([400, ["mapping"]]);
    expect(await status([file, ["mapping", "{"]])).toEqual([400, ["mapping"]]);
  });

  test("into an account of somebody else, or without the right", async () => {
    expect(await status([file, ["account", world.stranger.id]])).toEqual([404, []]);
    expect(await status([file, ["account", "external:K-18"]])).toEqual([404, []]);
    const reader = await newToken(world.api.deps, world.owner.id, ["basic"]);
    expect(await status([file], reader)).toEqual([403, []]);
    const answer = await world.api.call("POST", "/imports", {
      token: world.owner.token,
      body: { file: "x" },
    });
    expect(answer.status).toBe(415);
  });

  test("larger than the limit, which leaves nothing behind", async () => {
    const small = await importWorld({ uploadBytesMax: 10_000 });
    try {
      const [one, two] = [Buffer.alloc(6_000, "a"), Buffer.alloc(20_000, "a")];
      expect((await small.upload([{ file: "big.csv", content: two }])).status).toBe(413);
      const both = await small.upload([
        { file: "1.csv", content: one },
        { file: "2.csv", content: one },
      ]);
      expect(both.status).toBe(413);
      expect(readdirSync(join(small.dataDir, "uploads"))).toEqual([]);
    } finally {
      await small.close();
    }
  });

  test("unknown fields are named and do no harm", async () => {
    const answer = await world.upload([
      file,
      ["colour", "blue"],
      { file: "x.csv", content: "x", name: "picture" },
    ]);
    expect(answer.headers["x-ignored-parameters"]).toBe("colour, picture");
    expect(answer.json.data.files).toHaveLength(1);
    await world.api.call("DELETE", `/imports/${answer.json.data._id}`, { token: world.owner.token });
    await world.work();
  });
});

describe("an import", () => {
  test("that waits can be cancelled, others cannot", async () => {
    const waiting = (await world.upload([{ file: "a.csv", content: nem12("6001234601") }])).json.data;
    const cancel = (id: string) => world.api.call("DELETE", `/imports/${id}`, { token: world.owner.token });
    expect((await cancel(waiting._id)).json).toMatchObject({ code: 200, message: "Deleted import." });
    expect(foldersLeft()).toEqual([]);
    await world.work();
    expect((await world.get(`/imports/${waiting._id}`)).status).toBe(404);
    expect(await meterNamed("6001234601")).toEqual([]);
    const done = await world.settle([{ file: "a.csv", content: nem12("6001234602") }]);
    expect((await cancel(done._id)).status).toBe(409);
  });

  test("is listed by status, newest last, a page at a time", async () => {
    const all = (await world.get("/imports?limit=300")).json;
    expect(all.count).toBe(all.data.length);
    const failed = (await world.get("/imports?status=failed&limit=2")).json;
    expect(failed.data).toHaveLength(2);
    expect(failed.data.every((each: { status: string }) => each.status === "failed")).toBe(true);
    expect((await world.get("/imports?status=lost")).status).toBe(400);
    const newest = (await world.get("/imports?sort=-created&limit=1")).json.data[0];
    expect(newest._id).toBe(all.data.at(-1)._id);
  });

  test("of another account answers like one that is not there", async () => {
    const { api, stranger } = world;
    const done = await world.settle([{ file: "a.csv", content: nem12("6001234603") }]);
    const absent = "5d1c9f2a8b3e4c0017a6d2f1";
    for (const [method, path] of [
      ["GET", "/imports/ID"],
      ["GET", "/imports/ID/problems"],
      ["GET", "/imports/ID/series"],
      ["POST", "/imports/ID/undo"],
      ["DELETE", "/imports/ID"],
    ] as const) {
      const answers = await Promise.all(
        [done._id, absent].map((id) => api.call(method, path.replace("ID", id), { token: stranger.token })),
      );
      expect(answers.map((answer) => answer.status)).toEqual([404, 404]);
      expect(answers[0]?.json.message).toBe(answers[1]?.json.message);
    }
    expect((await world.get("/imports", stranger.token)).json.count).toBe(0);
    expect((await world.get(`/imports/${done._id}`)).json.data.status).toBe("completed");
  });
});
