import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { z } from "zod";
import { join, raw, type Sql, sql } from "../../server/src/platform/db.ts";
import { type Endpoint, scopes } from "../../server/src/platform/http/endpoint.ts";
import { formatTimestamp } from "../../server/src/platform/http/schema.ts";
import { newId } from "../../server/src/platform/id.ts";
import { newToken } from "../harness/accounts.ts";
import type { Answer, CallOptions, TestApi } from "../harness/api.ts";
import { asParty, buildWorld, endpoints, type Party, type World, wholeApi } from "../harness/world.ts";
import { type IdAt, isWord, nameOf, placesOf, type Request, requestOf } from "./requests.ts";

/**
 * Every endpoint of the API meets everybody who must not use it: strangers, brothers, children, tokens without the
 * scope, people without the role, credentials that ended. Nothing changes, nothing leaks, and a foreign id is answered
 * like one that does not exist. In the end the owner sends the same requests, and they work.
 */

let api: TestApi;
let world: World;

beforeAll(async () => {
  api = await wholeApi();
  world = await buildWorld(api);
});
afterAll(() => api.close());

/** Open to everybody by their nature: what stands in an open channel is public. */
const openToAll = new Set([
  "GET /open_channels",
  "GET /open_channels/:id/meters",
  "POST /sessions",
  // The state that it is asked with is what lets in.
  "GET /connections/callback",
]);
/** Lists that are asked about what their ids name, and do not filter by them. */
const naming = new Set(["GET /completeness"]);
/** Places that name whom to give something to: that may be anybody. */
const receivers = new Set(["holder", "subscriber"]);

const named = endpoints.map((endpoint) => [nameOf(endpoint), endpoint] as const);
const guarded = named.filter(([name]) => !openToAll.has(name));

/** Who asks, and whose things they ask for. */
const attacks: readonly { who: keyof World; whose: keyof World }[] = [
  { who: "stranger", whose: "owner" },
  { who: "stranger", whose: "child" },
  { who: "sibling", whose: "child" },
  { who: "child", whose: "owner" },
];

/** Tells about the person who is logged in. */
const aboutPeople = new Set(["GET /accounts/:id/authenticated_collaborator"]);

const credentialOf = (endpoint: Endpoint, party: Party): CallOptions =>
  endpoint.access === "session" || aboutPeople.has(nameOf(endpoint))
    ? { headers: { cookie: party.cookie } }
    : { token: party.account.token };

async function send({ method, path, headers, ...rest }: Request, credential: CallOptions): Promise<Answer> {
  return api.call(method, path, { ...credential, ...rest, headers: { ...headers, ...credential.headers } });
}

/** Everything that is stored, as one hash per table; without the traces that any use of a credential leaves. */
async function state(): Promise<Record<string, string>> {
  const rows = await api.db.rows<{ name: string; hash: string | null }>(allTables);
  return Object.fromEntries(rows.map(({ name, hash }) => [name, hash ?? ""]));
}

let allTables: Sql;
/** Credentials of the owner that were good once. */
let revoked: string;
let expired: string;

beforeAll(async () => {
  const tables = await api.db.rows<{ name: string }>(
    sql`select table_name as name from information_schema.tables where table_schema = 'public'`,
  );
  const hashes = tables
    .filter(({ name }) => name !== "login_budget" && name !== "schema_migration")
    .map(({ name }) =>
      raw(`select '${name}' as name, md5(string_agg(r, ' ' order by r)) as hash
                            from (select (to_jsonb(t) - 'last_used')::text as r from "${name}" t) rows`),
    );
  allTables = join(hashes, " union all ");
  const { owner } = world;
  const expires = formatTimestamp(api.clock.now() + 10_000);
  const make = (more: object) =>
    asParty(api, owner, "POST", "/accounts/me/tokens", { name: "ends", scopes, ...more });
  const ends = await make({});
  const runsOut = await make({ expires });
  [revoked, expired] = [ends.token, runsOut.token];
  for (const token of [revoked, expired])
    expect((await api.call("GET", "/meters", { token })).status).toBe(200);
  await asParty(api, owner, "DELETE", `/accounts/me/tokens/${ends._id}`);
  api.clock.advance(11_000);
});

/** Texts, values and ids of a party that an answer to somebody else must not hold. */
function expectSilent(answer: Answer, { who, whose }: { who: Party; whose: Party }, request: Request): void {
  const sent = JSON.stringify(request);
  const isKnown = (who === world.child || who === world.sibling) && whose === world.owner;
  // A subaccount knows who manages it, and itself.
  const { account, subaccount, ...rest } = whose.ids;
  const ids = Object.values(isKnown || who === whose ? rest : { account, subaccount, ...rest });
  const secrets = [whose.canary, String(whose.value), whose.account.token, ...ids];
  if (!isKnown && who !== whose) secrets.push(whose.face);
  for (const secret of secrets.filter((each) => each !== undefined && !sent.includes(each))) {
    expect(answer.text).not.toContain(secret);
  }
}

/** An answer without what differs from request to request. */
function shapeOf(answer: Answer, ids: readonly string[]): string {
  let text = `${answer.status} ${answer.text}`;
  for (const id of ids) text = text.replaceAll(id, "<id>");
  return text.replace(/"request_id":"[^"]*"/, "");
}

/** The ways to put foreign ids into an endpoint: everywhere, and each place alone. */
function foreignPlaces(endpoint: Endpoint): string[][] {
  const places = [...placesOf(endpoint).keys()];
  const single = places.filter((place) => !receivers.has(place)).map((place) => [place]);
  return places.length > 1 ? [places, ...single] : single;
}

function idsFrom(
  endpoint: Endpoint,
  foreign: readonly string[],
  { who, whose }: { who: Party; whose: Party },
): IdAt | undefined {
  const kinds = placesOf(endpoint);
  const found = new Map<string, string>();
  for (const [place, kind] of kinds) {
    const id = (foreign.includes(place) ? whose : who).ids[kind];
    if (id === undefined) return undefined;
    found.set(place, id);
  }
  return (place) => found.get(place)!;
}

describe("ids of others", () => {
  const withIds = guarded.filter(([, endpoint]) => foreignPlaces(endpoint).length > 0);

  test.for(withIds)("%s", async ([, endpoint]) => {
    const before = await state();
    let tried = 0;
    for (const attack of attacks) {
      const who = world[attack.who];
      const whose = world[attack.whose];
      for (const foreign of foreignPlaces(endpoint)) {
        const idAt = idsFrom(endpoint, foreign, { who, whose });
        if (idAt === undefined) continue;
        tried++;
        const request = requestOf(endpoint, idAt, who);
        const about = `${attack.who} asks for ${foreign} of ${attack.whose}: ${JSON.stringify(request)}`;
        const answer = await send(request, credentialOf(endpoint, who));
        expectRefused(endpoint, answer, { foreign, about });
        expectSilent(answer, { who, whose }, request);
        const unknown = newId(api.clock.now());
        const missing = requestOf(
          endpoint,
          (place) => (foreign.includes(place) ? unknown : idAt(place)),
          who,
        );
        const other = await send(missing, credentialOf(endpoint, who));
        const ids = [unknown, ...foreign.map(idAt)];
        expect(shapeOf(answer, ids), `${about}, as an id that does not exist`).toBe(shapeOf(other, ids));
      }
    }
    expect(tried).toBeGreaterThan(0);
    expect(await state()).toEqual(before);
  });

  function expectRefused(
    endpoint: Endpoint,
    answer: Answer,
    { foreign, about }: { foreign: readonly string[]; about: string },
  ): void {
    if (endpoint.list === true && !endpoint.path.includes(":") && !naming.has(nameOf(endpoint))) {
      expect(answer.json, about).toMatchObject({ code: 200, count: 0 }); // a filter: nothing is below it
      return;
    }
    // What a body names beside the thing itself is refused as a field, in the words for one that does not exist.
    const allowed = foreign.every((place) => place === "open_channel_ids") ? [400] : [403, 404];
    expect(allowed, `${about}: ${answer.text}`).toContain(answer.status);
  }
});

describe("no id", () => {
  const without = guarded.filter(([, { method, path }]) => method === "GET" && !path.includes(":"));

  test.for(without)("%s shows the caller's own things only", async ([, endpoint]) => {
    for (const { who, whose } of attacks) {
      const { method, path } = endpoint;
      const isFiltered = placesOf(endpoint).size > 0;
      const request = isFiltered ? { method, path } : requestOf(endpoint, () => "", world[who]);
      const answer = await send(request, credentialOf(endpoint, world[who]));
      expect(answer.status).toBe(200);
      expectSilent(answer, { who: world[who], whose: world[whose] }, request);
    }
  });
});

/** Requests of the owner for its own things, with a credential that must not do. */
describe("credentials that do not suffice", () => {
  async function expectStatus(endpoint: Endpoint, credential: CallOptions, status: number): Promise<void> {
    const idAt = idsFrom(endpoint, [], { who: world.owner, whose: world.owner })!;
    const before = await state();
    const request = requestOf(endpoint, idAt, world.owner);
    const answer = await send(request, credential);
    expect(answer.status, `${JSON.stringify(request)}: ${answer.text}`).toBe(status);
    expectSilent(answer, { who: world.stranger, whose: world.owner }, request);
    expect(await state()).toEqual(before);
  }

  const scoped = guarded.filter(([, endpoint]) => (scopes as readonly string[]).includes(endpoint.access));
  const forPeople = guarded.filter(([, endpoint]) => endpoint.access === "session");
  const withCredential = guarded.filter(([, endpoint]) => endpoint.access !== "public");
  const strict = withCredential.filter(([, endpoint]) => endpoint.access !== "optional");

  test.for(scoped)("%s needs its scope", async ([, endpoint]) => {
    const others = scopes.filter((scope) => scope !== endpoint.access);
    await expectStatus(endpoint, { token: await newToken(api.deps, world.owner.account.id, others) }, 403);
  });

  test.for(forPeople)("%s needs a person", async ([, endpoint]) => {
    await expectStatus(endpoint, { token: world.owner.account.token }, 403);
  });

  test.for(
    strict.filter(([, { role, method }]) => (role ?? (method === "GET" ? "reader" : "editor")) !== "reader"),
  )("%s needs its role", async ([, endpoint]) => {
    const { readerCookie, account } = world.owner;
    await expectStatus(endpoint, { headers: { cookie: readerCookie, "x-organization": account.id } }, 403);
  });

  test.for(strict)("%s needs a credential", async ([, endpoint]) => {
    await expectStatus(endpoint, {}, 401);
  });

  test.for(withCredential)("%s refuses what was revoked, has expired or never was", async ([, endpoint]) => {
    for (const token of [revoked, expired, "f".repeat(60)]) await expectStatus(endpoint, { token }, 401);
  });

  test.for(withCredential)("%s: nobody acts in an account that is not theirs", async ([, endpoint]) => {
    const { stranger, owner, child, sibling } = world;
    for (const [who, header, id] of [
      [stranger, "x-subaccount", owner.account.id],
      [stranger, "x-subaccount", child.account.id],
      [stranger, "x-organization", owner.account.id],
      [sibling, "x-subaccount", child.account.id],
      [child, "x-subaccount", owner.account.id],
      [child, "x-organization", owner.account.id],
    ] as const) {
      const credential = credentialOf(endpoint, who);
      await expectStatus(endpoint, { ...credential, headers: { ...credential.headers, [header]: id } }, 403);
    }
  });
});

describe("the owner", () => {
  /** What would end the owner comes last: deletions, the account itself, the session. */
  const last = ["DELETE /accounts/:id", "DELETE /sessions/me"];
  const order = ({ method, path }: Endpoint) =>
    method === "DELETE" ? 1 + last.indexOf(`${method} ${path}`) + 1 : 0;
  const able = guarded
    .filter(([name]) => name !== "POST /invitations/accept")
    .toSorted(([, a], [, b]) => order(a) - order(b));

  test.for(able)("%s works for the owner", async ([name, endpoint]) => {
    const { owner, stranger } = world;
    const idAt = idsFrom(endpoint, [], { who: owner, whose: owner })!;
    const own: IdAt = (place) => (receivers.has(place) ? stranger.account.id : idAt(place));
    const request = requestOf(endpoint, await prepared(name, own), owner);
    const credential = credentialOf(endpoint, owner);
    const answer = await send(request, credential);
    expect(answer.status, `${JSON.stringify(request)}: ${answer.text}`).toBe(200);
  });

  /** A node cannot lie below itself, and what was deleted by a request before cannot be used again. */
  async function prepared(name: string, own: IdAt): Promise<IdAt> {
    const made = (path: string, body: object) => asParty(api, world.owner, "POST", path, body);
    const instead: Record<string, string> = {};
    if (name === "PUT /trees/:id") instead.parent = (await made("/trees", { name: "above" }))._id;
    if (name === "DELETE /trees/:id") instead.id = (await made("/trees", { name: "gone" }))._id;
    // A new password ended the old one.
    if (name === "DELETE /accounts/:id/login_tokens/:token_id") {
      instead.token_id = (await made("/accounts/me/login_tokens", {}))._id;
    }
    if (name === "DELETE /accounts/:id") {
      instead.id = (await made("/accounts/me/subaccounts", { name: "leaves" }))._id;
    }
    // What was made by requests before uses the price model and the series of the owner.
    if (name === "DELETE /price_series/:id") {
      instead.id = (await made("/price_series", { name: "gone", currency: "SEK" }))._id;
    }
    if (name === "DELETE /price_models/:id") {
      const fee = { kind: "fixed", name: "Fee", metric: "grid_subscription", price: 1 };
      const model = {
        name: "gone",
        key: "grid",
        currency: "SEK",
        applicable_types: ["heat"],
        components: [fee],
      };
      instead.id = (await made("/price_models", model))._id;
    }
    // Its meter was deleted by a request before.
    if (name === "DELETE /meters/:id/events/:event_id") {
      instead.id = (await made("/meters", { type: "water" }))._id;
      const event = { kind: "moved_in", day: "2026-01-04" };
      instead.event_id = (await made(`/meters/${instead.id}/events`, event))._id;
    }
    if (name === "DELETE /complaints/:id" || name === "POST /complaint_cases") {
      const meter = (await made("/meters", { type: "electricity", box: "active" }))._id;
      const values = { metric: "energy", granularity: "day", start: "2026-01-01T00:00:00+0100", values: [1] };
      await made("/batches", { document: { source: meter }, runs: [{ meter, ...values }] });
      const complaint = { meter, period: "20260103", granularity: "day" };
      instead[name === "POST /complaint_cases" ? "complaints" : "id"] = (
        await made("/complaints", complaint)
      )._id;
    }
    if (name === "DELETE /trees/:id/meters/:meter_id") {
      instead.id = (await made("/trees", { name: "holds" }))._id;
      await made(`/trees/${instead.id}/meters`, { _id: own("meter_id") });
    }
    // It waits after it was told to be read again.
    if (name === "POST /invoices/:id/check") {
      await api.db.run(sql`update invoice set status = 'completed' where id = ${own("id")}`);
    }
    if (name === "POST /imports/:id/undo") {
      await api.db.run(sql`update import set status = 'completed' where id = ${own("id")}`);
    }
    if (name === "DELETE /imports/:id") {
      await api.db.run(sql`update import set status = 'waiting' where id = ${own("id")}`);
    }
    // Another request has paused it.
    if (name === "POST /exports/:id/run") await made(`/exports/${own("id")}/resume`, {});
    return (place) => instead[place] ?? own(place);
  }
});

describe("the list of endpoints", () => {
  /** Names of members that hold ids, below a JSON schema. */
  function idLikeIn(schema: unknown, name: string): string[] {
    if (typeof schema !== "object" || schema === null) return [];
    const { properties = {}, items, anyOf = [], oneOf = [], allOf = [], pattern } = schema as JsonSchema;
    const isId =
      pattern === "^[0-9a-f]{24}$" || /^(_id|id|.*_ids?|holder|parent|meter|meters|account)$/.test(name);
    const isLeaf = Object.keys(properties).length === 0 && items === undefined;
    return [
      ...(isId && isLeaf ? [name] : []),
      ...Object.entries(properties).flatMap(([member, below]) => idLikeIn(below, member)),
      ...idLikeIn(items, name),
      ...[...anyOf, ...oneOf, ...allOf].flatMap((each) => idLikeIn(each, name)),
    ];
  }

  interface JsonSchema {
    properties?: Record<string, unknown>;
    items?: unknown;
    anyOf?: unknown[];
    oneOf?: unknown[];
    allOf?: unknown[];
    pattern?: string;
  }

  const schemaOf = (schema: z.ZodType | undefined) =>
    schema === undefined ? {} : z.toJSONSchema(schema, { io: "input", unrepresentable: "any" });

  test.for(named)("%s says which parameters are ids", ([endpoint, { path, body, query, ids = {} }]) => {
    const inPath = [...path.matchAll(/:(\w+)/g)].map(([, name]) => name!).filter((name) => !isWord(name));
    const found = new Set([...inPath, ...idLikeIn(schemaOf(query), ""), ...idLikeIn(schemaOf(body), "body")]);
    expect(
      [...found].filter((name) => !Object.hasOwn(ids, name) && !noIds.has(`${endpoint} ${name}`)),
    ).toEqual([]);
  });

  /** Names that look like ids and are none: an EAN, and logins at S3. */
  const noIds = new Set([
    "POST /imports meter",
    ...["POST /exports", "PUT /exports/:id", "POST /exports/:id"].map((name) => `${name} access_key_id`),
  ]);
});
