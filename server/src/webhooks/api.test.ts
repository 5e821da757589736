import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, test } from "vitest";
import { newAccount } from "../../../test/harness/accounts.ts";
import { testApi } from "../../../test/harness/api.ts";
import { sql } from "../platform/db.ts";
import { webhookEndpoints } from "./api.ts";
import { openReceiver, type Receiver, type WebhookWorld, webhookWorld } from "./harness.ts";
import { tidyJob } from "./jobs.ts";
import { emit } from "./webhooks.ts";

let world: WebhookWorld;
let receiver: Receiver;
beforeAll(async () => {
  world = await webhookWorld();
});
afterAll(() => world.close());
beforeEach(async () => {
  receiver = await openReceiver();
});
afterEach(async () => {
  await receiver.close();
  await world.api.db.run(sql`delete from webhook`);
});

const hour = 3_600_000;
const call = (method: string, path: string, body?: unknown, token = world.owner.token) =>
  world.api.call(method, path, { token, ...(body === undefined ? {} : { body }) });

/** Events of the owner. */
const happen = (times = 1) =>
  world.api.db.transaction(async (tx) => {
    for (let n = 0; n < times; n++) {
      await emit(tx, world.api.deps, {
        accountId: world.owner.id,
        event: "export.failed",
        data: { export: { _id: "e", name: null }, run: null, reason: "The disk is full.", paused: false },
      });
    }
  });

describe("webhooks", () => {
  test("are made, listed, read, changed and deleted; the secret is shown once", async () => {
    const { ask, owner, api } = world;
    const made = await ask("POST", "/webhooks", {
      url: " https://example.com/hook ",
      events: ["meter.found", "data.new", "meter.found"],
      name: "Mine",
    });
    expect(made).toMatchObject({
      name: "Mine",
      url: "https://example.com/hook",
      events: ["data.new", "meter.found"],
      enabled: true,
      paused: null,
      secrets: [{ secret: expect.stringMatching(/^whsec_[A-Za-z0-9+/]{43}=$/), expires: null }],
    });
    const masked = { ...made, secrets: [{ ...made.secrets[0], secret: "********" }] };
    expect(await ask("GET", `/webhooks/${made._id}`)).toEqual(masked);
    expect(await ask("GET", "/webhooks?events=data.new&enabled=true")).toEqual([masked]);
    expect(await ask("GET", "/webhooks?events=export.failed")).toEqual([]);
    expect(await ask("GET", "/webhooks?name=Mine&created=>2026-01-01")).toHaveLength(1);
    const changed = await ask("PUT", `/webhooks/${made._id}`, { name: "", enabled: false });
    expect(changed).toMatchObject({ ...masked, name: null, enabled: false, updated: expect.any(String) });
    expect((await call("DELETE", `/webhooks/${made._id}`)).json.message).toBe("Deleted webhook.");
    expect((await call("GET", `/webhooks/${made._id}`)).status).toBe(404);
    const { sealed } = await api.db.one<{ sealed: number }>(
      sql`select count(*)::int4 as sealed from webhook_secret`,
    );
    expect(sealed).toBe(0);
    const lines = await api.db.rows<{ action: string; detail: object }>(
      sql`select action, detail from audit where account_id = ${owner.id} and subject = ${made._id} order by id`,
    );
    expect(lines).toEqual([
      { action: "webhook.created", detail: { host: "example.com" } },
      { action: "webhook.updated", detail: { enabled: false } },
      { action: "webhook.deleted", detail: {} },
    ]);
  });

  test("tokens in an address are masked, and a mask stands for nothing elsewhere", async () => {
    const { ask, api } = world;
    const url = "https://example.com/hooks/7?token=abc123";
    const masked = "https://example.com/hooks/7?token=********";
    const made = await ask("POST", "/webhooks", { url, events: ["data.new"] });
    expect(made.url).toBe(masked);
    expect(JSON.stringify(await ask("GET", "/webhooks"))).not.toContain("abc123");
    expect(await ask("PUT", `/webhooks/${made._id}`, { url: masked, name: "Mine" })).toMatchObject({
      url: masked,
    });
    const stored = () => api.db.one<{ url: string }>(sql`select url from webhook where id = ${made._id}`);
    expect(await stored()).toEqual({ url });
    for (const [method, path] of [
      ["PUT", `/webhooks/${made._id}`],
      ["POST", "/webhooks"],
    ] as const) {
      const moved = await call(method, path, { url: masked.replace("com", "org"), events: ["data.new"] });
      expect([moved.status, moved.json.errors]).toEqual([400, { url: [expect.stringContaining("anew")] }]);
    }
    expect(await stored()).toEqual({ url });
  });

  test("a secret is stored sealed", async () => {
    const { api, webhook } = world;
    const { secret } = await webhook(receiver.url);
    const { sealed } = await api.db.one<{ sealed: Buffer }>(sql`select sealed from webhook_secret`);
    expect(sealed.includes(Buffer.from(secret))).toBe(false);
    expect(sealed.includes(Buffer.from(secret.slice(6), "base64"))).toBe(false);
  });

  test.for([
    ["url", { url: "ftp://example.com" }, "must be an address such as https://example.com/hooks"],
    ["url", { url: "example.com/hook" }, "must be an address"],
    ["url", { url: "https://user:pass@example.com" }, "without user name and password"],
    ["url", { url: "https://" }, "must be an address"],
    ["url", { url: `https://example.com/${"a".repeat(2000)}` }, "2000"],
    ["url", { url: "https://example.com/\u0000" }, "control"],
    ["url", { url: 7 }, "must be a text"],
    ["events", { events: [] }, "name at least one of data.new"],
    ["events", { events: ["test.ping"] }, "data.new"],
    ["events", { events: "data.new" }, "must be a list"],
    ["name", { name: "a".repeat(201) }, "200"],
    ["enabled", { enabled: "perhaps" }, "true or false"],
  ] as const)("%s is refused when it makes no sense (case %#)", async ([field, wrong, message]) => {
    const good = { url: "https://example.com", events: ["data.new"] };
    const answer = await call("POST", "/webhooks", { ...good, ...wrong });
    expect(answer.status).toBe(400);
    const named = Object.entries(answer.json.errors).find(([name]) => name.startsWith(field));
    expect(JSON.stringify(named)).toContain(message);
  });

  test("url and events cannot be left out", async () => {
    const answer = await call("POST", "/webhooks", {});
    expect(Object.keys(answer.json.errors)).toEqual(["url", "events"]);
  });

  test("an account has twenty at most, also when they are made at once", async () => {
    const body = { url: "https://example.com", events: ["data.new"] };
    const answers = await Promise.all(Array.from({ length: 23 }, () => call("POST", "/webhooks", body)));
    const statuses = answers.map(({ status }) => status).sort();
    expect(statuses).toEqual([...Array.from({ length: 20 }, () => 200), 409, 409, 409]);
    expect(answers.find(({ status }) => status === 409)!.json.message).toBe(
      "An account has at most 20 webhooks. Delete one that is no longer needed.",
    );
  });

  test("an OAuth client sees those that it made; whoever owns the account sees all", async () => {
    const other = await apiOfClients();
    try {
      const body = { url: "https://example.com", events: ["data.new"] };
      const made = await other.call("POST", "/webhooks", { token: "app1", body });
      const { _id } = made.json.data;
      const statusOf = async (token: string) =>
        (await other.call("GET", `/webhooks/${_id}`, { token })).status;
      expect([await statusOf("app1"), await statusOf("app2"), await statusOf("own")]).toEqual([
        200, 404, 200,
      ]);
      expect((await other.call("GET", "/webhooks", { token: "app2" })).json.count).toBe(0);
      expect((await other.call("DELETE", `/webhooks/${_id}`, { token: "app2" })).status).toBe(404);
    } finally {
      await other.close();
    }
  });
});

/** The endpoints with callers of two OAuth clients of one account, and one of its own. */
async function apiOfClients() {
  const api = await testApi({ endpoints: webhookEndpoints });
  const { id } = await newAccount(api.deps);
  for (const clientId of ["app1", "app2"])
    api.addCaller(clientId, { accountId: id, clientId, kind: "oauth" });
  api.addCaller("own", { accountId: id });
  return api;
}

describe("secrets", () => {
  test("after a rotation both sign until the old one ends; receivers with either accept", async () => {
    const { api, ask, webhook, send, verify } = world;
    const { id, secret: old } = await webhook(receiver.url, ["export.failed"]);
    const rotated = await ask("POST", `/webhooks/${id}/rotate`);
    const [newest, before] = rotated.secrets;
    expect(before).toMatchObject({ secret: "********", expires: "2026-01-16T12:00:00+0000" });
    expect(newest).toMatchObject({ secret: expect.stringMatching(/^whsec_/), expires: null });
    expect(newest.secret).not.toBe(old);
    await happen();
    await send();
    const [received] = receiver.received;
    expect(received!.headers["webhook-signature"]).toMatch(/^v1,[\w+/=]{44} v1,[\w+/=]{44}$/);
    verify(received!, old);
    verify(received!, newest.secret);
    const again = await call("POST", `/webhooks/${id}/rotate`);
    expect(again.status).toBe(409);
    expect(again.json.message).toContain("still signs until 2026-01-16T12:00:00+0000");
    api.clock.advance(24 * hour);
    await happen();
    await send();
    const later = receiver.received[1]!;
    verify(later, newest.secret);
    expect(() => verify(later, old)).toThrow("No matching signature");
    expect((await ask("GET", `/webhooks/${id}`)).secrets).toHaveLength(1);
    expect((await ask("POST", `/webhooks/${id}/rotate`, {})).secrets).toHaveLength(2);
    const { n } = await api.db.one<{ n: number }>(sql`select count(*)::int4 as n from webhook_secret`);
    expect(n).toBe(2);
  });

  test("expire_now ends all earlier ones at once", async () => {
    const { ask, webhook, send, verify } = world;
    const { id, secret: first } = await webhook(receiver.url, ["export.failed"]);
    const second = (await ask("POST", `/webhooks/${id}/rotate`)).secrets[0].secret;
    const rotated = await ask("POST", `/webhooks/${id}/rotate`, { expire_now: true });
    expect(rotated.secrets).toHaveLength(1);
    await happen();
    await send();
    const [received] = receiver.received;
    verify(received!, rotated.secrets[0].secret);
    for (const ended of [first, second])
      expect(() => verify(received!, ended)).toThrow("No matching signature");
  });

  test("1,000 deliveries over two rotations: none is refused by a receiver that changes over in time", async () => {
    const { api, ask, webhook, send, verify } = world;
    const { id, secret } = await webhook(receiver.url, ["export.failed"]);
    const secrets = [secret];
    for (let round = 0; round < 10; round++) {
      // The receiver changes over half a day after each rotation.
      if (round % 4 === 1) secrets.unshift((await ask("POST", `/webhooks/${id}/rotate`)).secrets[0].secret);
      const held = round % 4 === 1 ? secrets[1]! : secrets[0]!;
      await happen(100);
      await send();
      for (const received of receiver.received.splice(0)) verify(received, held);
      api.clock.advance(12 * hour);
    }
    const { n } = await api.db.one<{ n: number }>(
      sql`select count(*)::int4 as n from webhook_delivery where status = 'delivered'`,
    );
    expect(n).toBe(1_000);
  });
});

describe("a test", () => {
  test("sends a ping at once and says how it went", async () => {
    const { ask, webhook, verify, deliveries, owner } = world;
    const { id, secret } = await webhook(receiver.url, ["data.new"]);
    const good = await ask("POST", `/webhooks/${id}/test`);
    expect(good).toMatchObject({ delivered: true, message: "The receiver answered 204: it works." });
    expect(verify(receiver.received[0]!, secret)).toEqual({
      type: "test.ping",
      timestamp: expect.any(String),
      data: { account: owner.id, webhook: { _id: id } },
    });
    expect(receiver.received[0]!.headers["webhook-id"]).toBe(good.delivery._id);
    receiver.answers(404);
    const bad = await ask("POST", `/webhooks/${id}/test`);
    expect(bad).toMatchObject({
      delivered: false,
      message: "The receiver answered 404; anything from 200 to 299 is a success.",
      delivery: { status: "failed", response_status: 404, next_attempt: null },
    });
    expect(bad.delivery.attempts).toHaveLength(1);
    const listed = await deliveries(id, "?event=test.ping");
    expect(listed.map(({ _id }) => _id)).toEqual([bad.delivery._id, good.delivery._id]);
    expect((await ask("GET", `/webhooks/${id}`)).failing_since).toBeNull();
  });

  test("works for a paused webhook, ten times a minute", async () => {
    const { api, ask, webhook } = world;
    const { id } = await webhook(receiver.url);
    await ask("PUT", `/webhooks/${id}`, { enabled: false });
    for (let n = 0; n < 10; n++) await ask("POST", `/webhooks/${id}/test`);
    const answer = await call("POST", `/webhooks/${id}/test`);
    expect([answer.status, answer.headers["retry-after"]]).toEqual([429, "60"]);
    expect(receiver.received).toHaveLength(10);
    api.clock.advance(60_000);
    await ask("POST", `/webhooks/${id}/test`);
  });

  test("never reaches what is not public, unless the operator allows it", async () => {
    const closed = await webhookWorld({ egressAllow: [] });
    try {
      const { id } = await closed.webhook(receiver.url);
      const answer = await closed.ask("POST", `/webhooks/${id}/test`);
      expect(answer).toMatchObject({
        delivered: false,
        message: expect.stringContaining("not reached from here"),
      });
      expect(receiver.received).toEqual([]);
    } finally {
      await closed.close();
    }
  });
});

describe("deliveries", () => {
  test("are listed newest first, filtered and paged, and shown with their payload", async () => {
    const { api, webhook, send, ask, deliveries } = world;
    const { id } = await webhook(receiver.url, ["export.failed"]);
    for (let n = 0; n < 3; n++) {
      receiver.answers(n === 1 ? 500 : 200);
      await happen();
      await send();
      api.clock.advance(1000);
    }
    const all = await deliveries(id);
    expect(all.map(({ status }) => status)).toEqual(["delivered", "waiting", "delivered"]);
    expect((await deliveries(id, "?status=waiting")).map(({ _id }) => _id)).toEqual([all[1]._id]);
    expect((await deliveries(id, "?limit=1&skip=2"))[0]._id).toBe(all[2]._id);
    expect((await deliveries(id, "?sort=created"))[0]._id).toBe(all[2]._id);
    expect(await deliveries(id, "?event=data.new")).toEqual([]);
    expect((await call("GET", `/webhooks/${id}/deliveries?status=lost`)).status).toBe(400);
    const whole = await ask("GET", `/webhooks/${id}/deliveries/${all[1]._id}`);
    expect(whole).toEqual({
      ...all[1],
      payload: {
        type: "export.failed",
        timestamp: all[1].created,
        data: {
          account: world.owner.id,
          export: { _id: "e", name: null },
          run: null,
          reason: "The disk is full.",
          paused: false,
        },
      },
    });
  });

  test("are sent again under the same id", async () => {
    const { webhook, send, ask, deliveries } = world;
    const { id } = await webhook(receiver.url, ["export.failed"]);
    await happen();
    await send();
    const [{ _id }] = await deliveries(id);
    const again = await ask("POST", `/webhooks/${id}/deliveries/${_id}/resend`);
    expect(again).toMatchObject({ status: "waiting", payload: { type: "export.failed" } });
    await send();
    expect(receiver.received.map(({ headers }) => headers["webhook-id"])).toEqual([_id, _id]);
    expect((await deliveries(id))[0]).toMatchObject({ status: "delivered", attempts: [{}, {}] });
    await ask("PUT", `/webhooks/${id}`, { enabled: false });
    const refused = await call("POST", `/webhooks/${id}/deliveries/${_id}/resend`);
    expect([refused.status, refused.json.message]).toEqual([
      409,
      expect.stringContaining("Turn it on first"),
    ]);
  });

  test("keep their last fifty attempts", async () => {
    const { webhook, send, ask, deliveries } = world;
    const { id } = await webhook(receiver.url, ["export.failed"]);
    await happen();
    await send();
    const [{ _id }] = await deliveries(id);
    for (let n = 0; n < 55; n++) {
      await ask("POST", `/webhooks/${id}/deliveries/${_id}/resend`);
      await send();
    }
    expect(receiver.received).toHaveLength(56);
    expect((await deliveries(id))[0].attempts).toHaveLength(50);
  });

  test("that failed go as soon as the address is put right", async () => {
    const { webhook, send, ask, deliveries } = world;
    const { id } = await webhook("http://10.1.1.1/wrong", ["export.failed"]);
    await happen();
    await send();
    await ask("PUT", `/webhooks/${id}`, { url: receiver.url });
    await send();
    expect((await deliveries(id))[0]).toMatchObject({ status: "delivered" });
    expect((await ask("GET", `/webhooks/${id}`)).failing_since).toBeNull();
  });

  test("are removed when they were kept for long enough", async () => {
    const { api, webhook, deliveries } = world;
    const { id } = await webhook(receiver.url, ["export.failed"]);
    await happen();
    api.clock.advance(15 * 24 * hour);
    await happen();
    api.clock.advance(15 * 24 * hour + 1000);
    await tidyJob.run({}, api.deps, new AbortController().signal);
    expect(await deliveries(id)).toHaveLength(1);
  });
});
