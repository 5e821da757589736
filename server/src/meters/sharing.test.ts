import fc from "fast-check";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { newAccount, type TestAccount } from "../../../test/harness/accounts.ts";
import { type TestApi, testApi } from "../../../test/harness/api.ts";
import { newMeter, newMeters } from "../../../test/harness/meters.ts";
import { addSubscriber, authenticate } from "../accounts/accounts.ts";
import { sql } from "../platform/db.ts";
import { newId } from "../platform/id.ts";
import { meterEndpoints } from "./api.ts";
import type { Places } from "./meter.ts";
import {
  meterObjectEndpoints,
  removeMeters,
  resolveForReading,
  revokeAll,
  rootMeters,
  shareAll,
  visibleRoots,
} from "./meters.ts";

/** Trees are above meters; here no meter has a place. */
const nowhere: Places = {
  pathsOf: async () => new Map(),
  below: async () => null,
};

let api: TestApi;
/** A grid company, a customer of it, and two third parties. */
let grid: TestAccount;
let customer: TestAccount;
let agent: TestAccount;
let second: TestAccount;

beforeAll(async () => {
  api = await testApi({ endpoints: [...meterEndpoints, ...meterObjectEndpoints(nowhere)], authenticate });
  grid = await newAccount(api.deps, { name: "Grid" });
  customer = await newAccount(api.deps, { name: "Customer" });
  agent = await newAccount(api.deps, { name: "Agent" });
  second = await newAccount(api.deps, { name: "Second agent" });
});
afterAll(() => api.close());

const send = (who: TestAccount, method: string, path: string, body?: unknown) =>
  api.call(method, path, { token: who.token, ...(body === undefined ? {} : { body }) });

async function give(
  who: TestAccount,
  verb: "assign_to" | "share_with",
  meter: string,
  to: TestAccount,
): Promise<string> {
  const answer = await send(who, "POST", `/meters/many/${verb}`, [{ _id: meter, holder: to.id }]);
  expect(answer.status, answer.text).toBe(200);
  return answer.json.data[0]._id;
}
const revoke = (who: TestAccount, ...ids: string[]) => send(who, "PUT", "/meters/many/revoke", ids);
const meterOf = async (who: TestAccount, id: string) => (await send(who, "GET", `/meters/${id}`)).json.data;
const listed = async (who: TestAccount): Promise<string[]> =>
  (await send(who, "GET", "/meters?limit=300")).json.data.map((meter: { _id: string }) => meter._id);

describe("assign and share", () => {
  test("make references with their generation and control level", async () => {
    const { id: root } = await newMeter(api, grid, { name: "M", address: "A", tags: ["internal"] });
    const assigned = await give(grid, "assign_to", root, customer);
    const shared = await give(customer, "share_with", assigned, agent);
    const further = await give(agent, "share_with", root, second);
    const direct = await give(grid, "share_with", root, agent);
    expect(await meterOf(customer, assigned)).toMatchObject({
      _id: assigned,
      name: "M",
      address: "A",
      tags: [],
      holder: { _id: customer.id },
      root: { _id: root, holder: { _id: grid.id, name: "Grid" } },
      assigner: { _id: grid.id, name: "Grid" },
      children: [{ _id: shared, holder: { _id: agent.id, name: "Agent" } }],
      generation: 1,
      control_level: "subscribed",
      box: "inbox",
    });
    expect(await meterOf(agent, shared)).toMatchObject({ generation: 2, control_level: "shared" });
    expect(await meterOf(second, further)).toMatchObject({ generation: 3, assigner: { _id: agent.id } });
    expect(await meterOf(agent, direct)).toMatchObject({ generation: 2, assigner: { _id: grid.id } });
    expect((await meterOf(grid, root)).children.map((child: { _id: string }) => child._id)).toEqual([
      assigned,
      direct,
    ]);
    // The root's id leads everybody to their own reference.
    expect((await meterOf(customer, root))._id).toBe(assigned);
    expect((await meterOf(second, root))._id).toBe(further);
    expect((await send(second, "GET", `/meters/${shared}`)).status).toBe(404);
  });

  test("twice is once, and after a revoke the same reference comes back", async () => {
    const { id: root } = await newMeter(api, grid);
    const copy = await give(grid, "share_with", root, agent);
    await send(agent, "PUT", `/meters/${copy}`, { name: "Mine", box: "active" });
    expect(await give(grid, "share_with", root, agent)).toBe(copy);
    expect((await revoke(grid, copy)).status).toBe(200);
    expect(await listed(agent)).not.toContain(copy);
    expect(await meterOf(agent, copy)).toMatchObject({ revoked: true, box: "active" });
    const shown = await send(agent, "GET", `/meters?revoked=true&ean=${(await meterOf(grid, root)).ean}`);
    expect(shown.json.data).toMatchObject([{ _id: copy, revoked: true }]);
    expect((await meterOf(grid, root)).children).toEqual([]);
    expect(await give(grid, "share_with", root, agent)).toBe(copy);
    expect(await meterOf(agent, copy)).toMatchObject({ revoked: false, name: "Mine", box: "active" });
  });

  test("a revoke takes all that was made of the copy along, and nothing else", async () => {
    const { id: root } = await newMeter(api, grid);
    const assigned = await give(grid, "assign_to", root, customer);
    const shared = await give(customer, "share_with", assigned, agent);
    const further = await give(agent, "share_with", shared, second);
    const other = await give(grid, "share_with", root, second);
    await revoke(grid, assigned);
    for (const [who, id] of [
      [customer, assigned],
      [agent, shared],
      [second, further],
    ] as const) {
      expect((await meterOf(who, id)).revoked, who.name).toBe(true);
    }
    expect((await meterOf(second, other)).revoked).toBe(false);
    // Giving back the assignment does not give back what the customer had shared.
    await give(grid, "assign_to", root, customer);
    expect((await meterOf(agent, shared)).revoked).toBe(true);
    await give(customer, "share_with", assigned, agent);
    expect((await meterOf(agent, shared)).revoked).toBe(false);
  });

  test.each<[string, () => Promise<[TestAccount, string, unknown, number, string]>]>([
    [
      "to oneself",
      async () => [
        grid,
        "share_with",
        [{ _id: (await newMeter(api, grid)).id, holder: grid.id }],
        400,
        "0.holder",
      ],
    ],
    [
      "to nobody",
      async () => [
        grid,
        "share_with",
        [{ _id: (await newMeter(api, grid)).id, holder: newId(0) }],
        404,
        "0.holder",
      ],
    ],
    [
      "of a foreign meter",
      async () => [
        agent,
        "share_with",
        [{ _id: (await newMeter(api, grid)).id, holder: second.id }],
        404,
        "0._id",
      ],
    ],
    ["of no meter", async () => [agent, "share_with", [{ _id: newId(0), holder: second.id }], 404, "0._id"]],
    [
      "an assignment of a copy",
      async () => {
        const copy = await give(grid, "share_with", (await newMeter(api, grid)).id, agent);
        return [agent, "assign_to", [{ _id: copy, holder: second.id }], 400, "0._id"];
      },
    ],
    [
      "back to where it came from",
      async () => {
        const copy = await give(grid, "assign_to", (await newMeter(api, grid)).id, customer);
        const further = await give(customer, "share_with", copy, agent);
        return [agent, "share_with", [{ _id: further, holder: grid.id }], 400, "0.holder"];
      },
    ],
    [
      "of a revoked meter",
      async () => {
        const copy = await give(grid, "share_with", (await newMeter(api, grid)).id, agent);
        await revoke(grid, copy);
        return [agent, "share_with", [{ _id: copy, holder: second.id }], 403, "0._id"];
      },
    ],
    [
      "a list with one that cannot be",
      async () => {
        const [one, two] = await newMeters(api, grid, [{}, {}]);
        const body = [
          { _id: one!.id, holder: agent.id },
          { _id: two!.id, holder: grid.id },
        ];
        return [grid, "share_with", body, 400, "1.holder"];
      },
    ],
  ])("%s is refused, and nothing changed", async (_, make) => {
    const [who, verb, body, status, field] = await make();
    const before = await fingerprint();
    const answer = await send(who, "POST", `/meters/many/${verb}`, body);
    expect(answer.status, answer.text).toBe(status);
    expect(Object.keys(answer.json.errors)).toEqual([field]);
    expect(await fingerprint()).toBe(before);
  });

  test("only the assigner may revoke; own meters of others answer 403, foreign ones 404", async () => {
    const { id: root } = await newMeter(api, grid);
    const copy = await give(grid, "share_with", root, agent);
    const further = await give(agent, "share_with", copy, second);
    const before = await fingerprint();
    for (const [who, id, status] of [
      [agent, copy, 403],
      [second, further, 403],
      [second, copy, 404],
      [customer, copy, 404],
      [customer, newId(0), 404],
      [grid, further, 404],
      [grid, root, 403],
    ] as const) {
      expect((await revoke(who, id)).status).toBe(status);
    }
    expect((await revoke(grid, copy, newId(0))).status).toBe(404);
    expect(await fingerprint()).toBe(before);
  });
});

/** Hash of every row that sharing could touch. */
async function fingerprint(): Promise<string> {
  const { hash } = await api.db.one<{ hash: string }>(sql`
    select md5(string_agg(m::text, '' order by id)) || (select count(*) from meter_activity) as hash from meter m`);
  return hash;
}

describe("facts of the root meter", () => {
  test("are its holder's alone, and reach every copy", async () => {
    const { id: root } = await newMeter(api, grid, { ean: "facts" });
    const copy = await give(grid, "share_with", root, agent);
    const whole = await meterOf(agent, copy);
    expect(
      (await send(agent, "PUT", `/meters/${copy}`, { ...whole, name: "Mine", tags: ["t"] })).status,
    ).toBe(200);
    const refused = await send(agent, "PUT", `/meters/${copy}`, { ean: "forged", name: "x" });
    expect(refused.status).toBe(403);
    expect(refused.json.errors.ean[0]).toContain("holder of the root meter");
    await send(grid, "PUT", `/meters/${root}`, {
      ean: "facts 2",
      type: "heat",
      representation: "production",
      expected_granularity: "day",
    });
    expect(await meterOf(agent, copy)).toMatchObject({
      name: "Mine",
      ean: "facts 2",
      type: "heat",
      representation: "production",
      expected_granularity: "day",
    });
    for (const q of ["facts 2 AND mine", "ean:facts 2"]) {
      const found = await send(agent, "GET", `/meters?q=${encodeURIComponent(q)}`);
      expect(
        found.json.data.map((meter: { _id: string }) => meter._id),
        q,
      ).toEqual([copy]);
    }
  });
});

describe("a property manager", () => {
  let manager: TestAccount;
  let sub: TestAccount;
  let sibling: TestAccount;

  beforeAll(async () => {
    manager = await newAccount(api.deps, { name: "Manager" });
    sub = await newAccount(api.deps, { name: "Sub", managerId: manager.id });
    sibling = await newAccount(api.deps, { name: "Sibling", managerId: manager.id });
  });

  test("gets a subaccount's meters by itself, in the same box, until it moves them", async () => {
    const { id: root } = await newMeter(api, sub, { box: "inbox", name: "Flat 1" });
    const found = await send(manager, "GET", `/meters?assigner._id=${sub.id}`);
    expect(found.json.data).toMatchObject([
      {
        name: "Flat 1",
        box: "inbox",
        control_level: "shared",
        generation: 2,
        assigner: { _id: sub.id, name: "Sub" },
        root: { _id: root },
      },
    ]);
    const copy = found.json.data[0]._id;
    await send(sub, "PUT", `/meters/${root}`, { box: "active" });
    expect((await meterOf(manager, copy)).box).toBe("active");
    await send(sub, "PUT", `/meters/${root}`, { box: "ignored" });
    expect((await meterOf(manager, copy)).box).toBe("ignored");
    // Putting it where it is already is a decision too.
    await send(manager, "PUT", `/meters/${copy}`, { box: "ignored" });
    await send(sub, "PUT", `/meters/${root}`, { box: "active" });
    expect((await meterOf(manager, copy)).box).toBe("ignored");
    for (const stranger of [sibling, agent]) {
      expect((await send(stranger, "GET", `/meters/${root}`)).status).toBe(404);
      expect((await send(stranger, "GET", `/meters/${copy}`)).status).toBe(404);
    }
    expect((await revoke(sub, copy)).status).toBe(200);
    expect((await send(manager, "GET", `/meters?assigner._id=${sub.id}`)).json.count).toBe(0);
  });

  test("gets what others give to the subaccount too, and loses it with it", async () => {
    const { id: root } = await newMeter(api, grid);
    const given = await give(grid, "assign_to", root, sub);
    const mine = await meterOf(manager, root);
    expect(mine).toMatchObject({ assigner: { _id: sub.id }, generation: 2, box: "inbox" });
    await revoke(grid, given);
    expect(await meterOf(manager, mine._id)).toMatchObject({ revoked: true });
    await give(grid, "assign_to", root, sub);
    expect(await meterOf(manager, mine._id)).toMatchObject({ revoked: false });
  });

  test("does not get back what it gave", async () => {
    const { id: root } = await newMeter(api, manager);
    await give(manager, "assign_to", root, sub);
    const found = await send(manager, "GET", `/meters?root._id=${root}`);
    expect(found.json.data.map((meter: { _id: string }) => meter._id)).toEqual([root]);
  });

  test("acts inside a subaccount only while it manages it", async () => {
    const headers = { "X-Subaccount": sub.id };
    const made = await api.call("POST", "/meters", {
      token: manager.token,
      headers,
      body: { type: "water" },
    });
    expect(made.json.data.holder._id).toBe(sub.id);
    expect((await meterOf(manager, made.json.data._id)).assigner._id).toBe(sub.id);
    const foreign = await api.call("GET", "/meters", { token: agent.token, headers });
    expect(foreign.status).toBe(403);
  });

  test("of an account that joins gets all it has, and none of it after it left", async () => {
    const joining = await newAccount(api.deps, { name: "Joining" });
    await newMeters(
      api,
      joining,
      Array.from({ length: 30 }, () => ({})),
    );
    await api.db.transaction((tx) =>
      shareAll(tx, { from: joining.id, to: manager.id, now: api.clock.now(), actorId: null }),
    );
    const list = () => send(manager, "GET", `/meters?assigner._id=${joining.id}`);
    expect((await list()).json.count).toBe(30);
    await api.db.transaction((tx) =>
      revokeAll(tx, { from: joining.id, to: manager.id, now: api.clock.now(), actorId: null }),
    );
    expect((await list()).json.count).toBe(0);
  });
});

describe("meter subscribers", () => {
  test("get what is there, what comes, and lose it only when told", async () => {
    const host = await newAccount(api.deps, { name: "Host" });
    const guest = await newAccount(api.deps, { name: "Guest" });
    await newMeter(api, host, { ean: "before" });
    const added = await send(host, "POST", "/accounts/me/meter_subscribers", { subscriber: guest.id });
    expect(added.status).toBe(200);
    const path = `/accounts/${host.id}/meter_subscribers/${added.json.data._id}`;
    expect(added.json.data).toEqual({
      _id: added.json.data._id,
      subscriber: { _id: guest.id, name: "Guest", username: guest.username },
      created: "2026-01-15T12:00:00+0000",
    });
    expect((await send(host, "GET", path)).json.data).toEqual(added.json.data);
    expect((await send(host, "GET", "/accounts/me/meter_subscribers")).json).toMatchObject({
      count: 1,
      data: [added.json.data],
    });
    await newMeter(api, host, { ean: "after" });
    const eans = async () =>
      (await send(guest, "GET", "/meters")).json.data.map((meter: { ean: string }) => meter.ean);
    expect(await eans()).toEqual(["before", "after"]);
    for (const who of [guest, agent]) {
      expect((await send(who, "GET", path)).status).toBe(404);
      expect((await send(who, "DELETE", path, { revoke_meters: true })).status).toBe(404);
      expect(
        (await send(who, "POST", `/accounts/${host.id}/meter_subscribers`, { subscriber: who.id })).status,
      ).toBe(404);
    }
    expect((await send(host, "DELETE", path)).json).toEqual({
      code: 200,
      message: "Deleted meter subscriber.",
    });
    await newMeter(api, host, { ean: "later" });
    expect(await eans()).toEqual(["before", "after"]);
    const again = await send(host, "POST", "/accounts/me/meter_subscribers", {
      subscriber: { _id: guest.id },
    });
    expect(await eans()).toEqual(["before", "after", "later"]);
    await send(host, "DELETE", `/accounts/me/meter_subscribers/${again.json.data._id}`, {
      revoke_meters: true,
    });
    expect(await eans()).toEqual([]);
    expect((await send(host, "POST", "/accounts/me/meter_subscribers", { subscriber: host.id })).status).toBe(
      400,
    );
    expect(
      (await send(host, "POST", "/accounts/me/meter_subscribers", { subscriber: newId(0) })).status,
    ).toBe(404);
  });

  test("of subscribers of each other end", async () => {
    const web = await Promise.all(["a", "b", "c", "d", "e"].map((name) => newAccount(api.deps, { name })));
    await api.db.transaction(async (tx) => {
      for (const host of web) {
        for (const guest of web) {
          if (host === guest) continue;
          await addSubscriber(tx, { accountId: host.id, subscriberId: guest.id, now: 0 });
        }
      }
    });
    const { id } = await newMeter(api, web[0]!);
    for (const who of web) expect((await listed(who)).length).toBe(1);
    expect((await meterOf(web[0]!, id)).children).toHaveLength(4);
  });
});

describe("reading rights", () => {
  test("by own id or root id, in the order asked", async () => {
    const [active, inbox] = await newMeters(api, grid, [{}, { box: "inbox" }]);
    const copy = await give(grid, "share_with", active!.id, agent);
    const revoked = await give(grid, "share_with", inbox!.id, agent);
    await revoke(grid, revoked);
    await send(agent, "PUT", `/meters/${copy}`, { box: "temporary" });
    const foreign = await newMeter(api, second);
    const ids = [foreign.id, copy, active!.id, revoked, inbox!.id, newId(0), "", copy];
    const found = await resolveForReading(api.db, { accountId: agent.id }, ids);
    expect(found.map((one) => one.outcome)).toEqual([
      "not_found",
      "found",
      "found",
      "forbidden",
      "forbidden",
      "not_found",
      "not_found",
      "found",
    ]);
    expect(found[2]).toMatchObject({
      meter: { id: copy, rootId: active!.id, part: active!.part, box: "temporary" },
    });
    expect(found[3]).toMatchObject({ reason: expect.stringContaining("withdrawn") });
    const own = await resolveForReading(api.db, { accountId: grid.id }, [inbox!.id, active!.id]);
    expect(own[0]).toMatchObject({ outcome: "forbidden", reason: expect.stringContaining("inbox") });
    expect(own[1]).toMatchObject({ outcome: "found", meter: { id: active!.id } });
    expect((await resolveForReading(api.db, null, [active!.id]))[0]).toEqual({ outcome: "not_found" });
    expect(await resolveForReading(api.db, null, [])).toEqual([]);
  });

  test("the readable root meters of an account, each once", async () => {
    const owner = await newAccount(api.deps);
    const reader = await newAccount(api.deps);
    const made = await newMeters(api, owner, [{}, {}, {}, { box: "inbox" }]);
    const copies = [];
    for (const { id } of made.slice(0, 3)) copies.push(await give(owner, "share_with", id, reader));
    // A second way to the first one, an inbox, and one that is withdrawn.
    const middle = await give(owner, "share_with", made[0]!.id, second);
    const twice = await give(second, "share_with", middle, reader);
    for (const id of [copies[0]!, copies[2]!, twice])
      await send(reader, "PUT", `/meters/${id}`, { box: "active" });
    await revoke(owner, copies[2]!);
    expect(await visibleRoots(api.db, reader.id)).toEqual(
      await rootMeters(api.db, [made[0]!.id, copies[1]!, newId(0)]),
    );
    expect((await visibleRoots(api.db, owner.id)).map((root) => root.id)).toEqual(
      made.slice(0, 3).map((meter) => meter.id),
    );
  });

  test("a live reference goes before a revoked one behind the same root id", async () => {
    const { id: root } = await newMeter(api, grid);
    const first = await give(grid, "share_with", root, agent);
    const assigned = await give(grid, "assign_to", root, customer);
    const other = await give(customer, "share_with", assigned, agent);
    for (const id of [first, other]) await send(agent, "PUT", `/meters/${id}`, { box: "active" });
    await revoke(grid, first);
    expect((await resolveForReading(api.db, { accountId: agent.id }, [root]))[0]).toMatchObject({
      meter: { id: other },
    });
  });
});

test("removed meters take copies and statistics along", async () => {
  const made = await newMeter(api, grid);
  const copy = await give(grid, "share_with", made.id, agent);
  await api.db.run(sql`
    insert into meter_stat (part, meter_id, metric, gran, count, version) values (${made.part}, ${made.id}, 'energy', 'day', 0, 1)`);
  expect(await api.db.transaction((tx) => removeMeters(tx, [made.id]))).toEqual([made.id]);
  expect((await send(agent, "GET", `/meters/${copy}`)).status).toBe(404);
  const left = await api.db.rows(
    sql`select from meter_stat where part = ${made.part} and meter_id = ${made.id}`,
  );
  expect(left).toEqual([]);
});

test("whatever is shared and revoked at the same time, no copy of a revoked copy is live", async () => {
  const people = [grid, customer, agent, second];
  const { id: root } = await newMeter(api, grid);
  const step = fc.record({
    who: fc.constantFrom(...people),
    to: fc.constantFrom(...people),
    revoke: fc.boolean(),
  });
  await fc.assert(
    fc.asyncProperty(
      fc.array(fc.array(step, { minLength: 1, maxLength: 4 }), { maxLength: 6 }),
      async (rounds) => {
        for (const round of rounds) {
          await Promise.all(
            round.map(async ({ who, to, revoke: withdraw }) => {
              if (!withdraw)
                return send(who, "POST", "/meters/many/share_with", [{ _id: root, holder: to.id }]);
              const children = (await meterOf(who, root))?.children ?? [];
              return children.length === 0 ? undefined : revoke(who, children[0]._id);
            }),
          );
        }
        const wrong = await api.db.rows(sql`
        select m.id from meter m join meter p on p.id = m.parent_id
        where m.root_id = ${root} and not m.revoked and (p.revoked or p.holder_id <> m.assigner_id)`);
        expect(wrong).toEqual([]);
        const circles = await api.db.rows(sql`
        with recursive up as (
          select id, parent_id, holder_id, array[holder_id] as holders from meter where root_id = ${root}
          union all
          select m.id, m.parent_id, m.holder_id, up.holders || m.holder_id
          from up join meter m on m.id = up.parent_id where cardinality(up.holders) < 20)
        select id from up where cardinality(holders) > (select count(distinct h) from unnest(holders) as h)`);
        expect(circles).toEqual([]);
      },
    ),
    { numRuns: 15 },
  );
});
