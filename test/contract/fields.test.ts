import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { raw } from "../../server/src/platform/db.ts";
import type { Endpoint } from "../../server/src/platform/http/endpoint.ts";
import type { TestApi } from "../harness/api.ts";
import { asParty, buildWorld, endpoints, type World, wholeApi } from "../harness/world.ts";
import { nameOf, placesOf, requestOf } from "./requests.ts";

/**
 * Bodies with members that are not the caller's to write: the request is refused or the members are ignored, and
 * nothing of them is ever stored or shown.
 */

let api: TestApi;
let world: World;
let tables: string[];

beforeAll(async () => {
  api = await wholeApi();
  world = await buildWorld(api);
  const rows = await api.db.rows<{ name: string }>(
    raw("select table_name as name from information_schema.tables where table_schema = 'public'"),
  );
  tables = rows.map(({ name }) => name);
});
afterAll(() => api.close());

/** Texts and numbers that stand nowhere else. */
const marks = ["forgedtext", "1999-09-09", "770077007"];

/** Members of the stored rows that no body may set, each with a value that can be found again. */
function forged(): Record<string, unknown> {
  const { stranger } = world;
  const them = { _id: stranger.account.id, name: "forgedtext", username: "forgedtext" };
  return {
    id: stranger.ids.meter,
    account: them,
    account_id: stranger.account.id,
    account_key: "forgedtext",
    assigner: them,
    assigner_id: stranger.account.id,
    client_id: "forgedtext",
    control_level: "forgedtext",
    created: "1999-09-09T00:00:00+0000",
    created_by: stranger.account.id,
    deleted: "1999-09-09T00:00:00+0000",
    ending: "forgedtext",
    generation: 770077007,
    hash: "forgedtext",
    holder_id: stranger.account.id,
    is_admin: "forgedtext",
    last_offset: 770077007,
    last_used: "1999-09-09T00:00:00+0000",
    manager: them,
    manager_id: stranger.account.id,
    part: 770077007,
    parts: 770077007,
    password_hash: "forgedtext",
    path: "forgedtext",
    root: { _id: stranger.ids.meter, holder: them },
    root_id: stranger.ids.meter,
    root_holder_id: stranger.account.id,
    sealed: "forgedtext",
    search: "forgedtext",
    sub_accounts: [them],
    token: "forgedtext",
    token_hash: "forgedtext",
    version: 770077007,
  };
}

/** How often a text stands in the database. */
async function timesStored(text: string): Promise<number> {
  const counts = tables.map(
    (name) => `(select count(*) from "${name}" t where to_jsonb(t)::text like '%${text}%')`,
  );
  return (await api.db.one<{ n: number }>(raw(`select ${counts.join(" + ")} as n`))).n;
}

/** Gives something to an account that the body names: here to the stranger, who is stored from then on. */
const isGift = (endpoint: Endpoint) =>
  ["holder", "subscriber"].some((place) => placesOf(endpoint).has(place));

const writing = endpoints
  .filter((endpoint) => endpoint.body !== undefined && endpoint.bodyKind !== "multipart")
  .filter((endpoint) => endpoint.access !== "public" && endpoint.access !== "optional")
  .toSorted((a, b) => Number(isGift(a)) - Number(isGift(b)))
  .map((endpoint) => [nameOf(endpoint), endpoint] as const);

describe("members that are not the caller's to write", () => {
  test.for(writing)("%s", async ([name, endpoint]) => {
    const { owner, stranger } = world;
    const kinds = placesOf(endpoint);
    const instead: Record<string, string> = { holder: stranger.account.id, subscriber: stranger.account.id };
    if (name === "PUT /trees/:id") {
      instead.parent = (await asParty(api, owner, "POST", "/trees", { name: "above" }))._id;
    }
    const request = requestOf(endpoint, (place) => instead[place] ?? owner.ids[kinds.get(place)!]!, owner);
    const before = await timesStored(stranger.account.id);
    const answer = await api.call(request.method, request.path, {
      ...(endpoint.access === "session"
        ? { headers: { cookie: owner.cookie } }
        : { token: owner.account.token }),
      body: withMembers(request.body ?? {}, forged()),
    });
    expect([200, 400], answer.text).toContain(answer.status);
    for (const mark of marks) {
      expect(await timesStored(mark), `${mark} after ${name}`).toBe(0);
      expect(answer.text).not.toContain(mark);
    }
    if (!isGift(endpoint)) expect(await timesStored(stranger.account.id)).toBe(before);
  });

  /** The body with more members, in the body itself and in each entry of its lists. */
  function withMembers(body: unknown, members: Record<string, unknown>): unknown {
    if (Array.isArray(body)) return body.map((each) => withMembers(each, members));
    if (typeof body !== "object" || body === null) return body;
    const own = Object.entries(body).map(([name, value]) => [
      name,
      Array.isArray(value) ? withMembers(value, members) : value,
    ]);
    return { ...members, ...Object.fromEntries(own) };
  }
});

test("custom fields cannot reach prototypes", async () => {
  const { owner } = world;
  const text =
    '{"name":"x","custom_fields":{"__proto__":{"polluted":1},"constructor":{"prototype":{"polluted":1}}}}';
  const answer = await api.call("POST", "/trees", {
    token: owner.account.token,
    body: text,
    headers: { "content-type": "application/json" },
  });
  expect([200, 400]).toContain(answer.status);
  expect(({} as { polluted?: number }).polluted).toBeUndefined();
});
