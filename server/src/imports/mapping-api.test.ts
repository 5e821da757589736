import { afterAll, beforeAll, expect, test } from "vitest";
import { newAccount, newToken } from "../../../test/harness/accounts.ts";
import { type ImportWorld, importWorld } from "./harness.ts";

let world: ImportWorld;
beforeAll(async () => {
  world = await importWorld();
});
afterAll(() => world.close());

const call = (method: string, path: string, body?: object, token = world.owner.token) =>
  world.api.call(method, path, { token, ...(body === undefined ? {} : { body }) });
/** Days without a header: nothing but the mapping says what the columns are. */
const mapping = {
  version: 1,
  headerRows: 0,
  delimiter: ";",
  decimal: ",",
  date: "dd.MM.yyyy",
  interval: "day",
  timezone: "Europe/Stockholm",
  label: "start",
  type: "heat",
  columns: { meter: 1, start: 2, values: [{ column: 3, unit: "MWh" }] },
};
const file = { file: "days.txt", content: "H1;01.03.2025;1,5\nH1;02.03.2025;1,25\nH1;03.03.2025;1\n" };

test("a mapping is saved, changed, listed and deleted", async () => {
  const made = await call("POST", "/mappings", { name: "Heat days", mapping });
  expect(made.status).toBe(200);
  expect(made.json.data).toMatchObject({ name: "Heat days", mapping });
  const path = `/mappings/${made.json.data._id}`;
  expect((await call("GET", path)).json.data).toEqual(made.json.data);
  world.api.clock.advance(5000);
  const changed = (await call("PUT", path, { name: "Heat" })).json.data;
  expect(changed).toMatchObject({ name: "Heat", mapping, created: made.json.data.created });
  expect(changed.updated > changed.created).toBe(true);
  expect((await call("GET", "/mappings?name=Heat")).json).toMatchObject({
    count: 1,
    skip: 0,
    data: [changed],
  });
  expect((await call("DELETE", path)).json.message).toBe("Deleted mapping.");
  expect((await call("GET", path)).status).toBe(404);
});

test("a mapping that is not sound is refused with what is wrong", async () => {
  const wrong = await call("POST", "/mappings", {
    name: "Wrong",
    mapping: { ...mapping, date: "whenever", colour: 1 },
  });
  expect(wrong.status).toBe(400);
  expect(wrong.json.errors.mapping.join(" ")).toContain("date");
  const { _id } = (await call("POST", "/mappings", { name: "Right", mapping })).json.data;
  expect((await call("PUT", `/mappings/${_id}`, { mapping: { version: 7 } })).status).toBe(400);
  expect((await call("POST", "/mappings", { name: "Right", mapping })).status).toBe(409);
  expect((await call("POST", "/mappings", { name: "{", mapping })).status).toBe(400);
});

test("an import takes a mapping by its name, or as JSON, and keeps it as it was", async () => {
  const { _id } = (await call("POST", "/mappings", { name: "By name", mapping })).json.data;
  const waiting = (await world.upload([["mapping", "By name"], file])).json.data;
  expect(waiting.options).toMatchObject({ mapping_name: "By name", mapping });
  await call("DELETE", `/mappings/${_id}`);
  await world.work();
  const done = (await world.get(`/imports/${waiting._id}`)).json.data;
  expect(done).toMatchObject({
    status: "completed",
    format: "mapper",
    series: [{ ean: "H1", metric: "energy", granularity: "day", values: 3 }],
  });
  const days = await world.get("/meters?ean=H1");
  expect(days.json.data[0]).toMatchObject({ type: "heat", timezone: "Europe/Stockholm" });
  const inline = await world.settle([file, ["mapping", JSON.stringify(mapping)]]);
  expect(inline).toMatchObject({
    status: "completed",
    result: { unchanged: 3 },
    options: { mapping_name: null },
  });
});

test("subaccounts use the mappings of the account that manages them", async () => {
  const { api, owner } = world;
  await call("POST", "/mappings", { name: "Shared", mapping });
  const child = await newAccount(api.deps, { managerId: owner.id });
  const done = await world.settle([["account", child.id], file, ["mapping", "Shared"]]);
  expect(done).toMatchObject({ status: "completed", account: { _id: child.id } });
});

test("mappings of others answer like ones that are not there; readers may only read", async () => {
  const { _id } = (await call("POST", "/mappings", { name: "Mine", mapping })).json.data;
  const { token } = world.stranger;
  for (const [method, body] of [["GET"], ["PUT", { name: "Theirs" }], ["DELETE"]] as const) {
    const answers = [
      await call(method, `/mappings/${_id}`, body, token),
      await call(method, "/mappings/5d1c9f2a8b3e4c0017a6d2f1", body, token),
    ];
    expect(answers.map((answer) => [answer.status, answer.json.message])).toEqual([
      [404, "Resource not found"],
      [404, "Resource not found"],
    ]);
  }
  expect((await call("GET", "/mappings", undefined, token)).json.count).toBe(0);
  const reader = await newToken(world.api.deps, world.owner.id, ["basic"]);
  expect((await call("GET", `/mappings/${_id}`, undefined, reader)).status).toBe(200);
  expect((await call("DELETE", `/mappings/${_id}`, undefined, reader)).status).toBe(403);
});
