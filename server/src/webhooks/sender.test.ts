import { afterAll, afterEach, beforeAll, beforeEach, expect, test } from "vitest";
import { newAccount } from "../../../test/harness/accounts.ts";
import { newMeter } from "../../../test/harness/meters.ts";
import { sql } from "../platform/db.ts";
import { openReceiver, type Receiver, type WebhookWorld, webhookWorld } from "./harness.ts";
import { watch } from "./jobs.ts";
import { openSender } from "./sender.ts";
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
const needsPerson = {
  connection: { _id: "5d1c9f2a8b3e4c0017a6d2f1", name: "Grid" },
  reason: "Log in again.",
};

/** Something happens in the owner's account. */
async function happen(reason = "Log in again."): Promise<void> {
  const { api, owner } = world;
  await api.db.transaction((tx) =>
    emit(tx, api.deps, {
      accountId: owner.id,
      event: "connection.needs_person",
      data: { ...needsPerson, reason },
    }),
  );
}

test("an event is posted once to every webhook that asks for it, and the reference verifier accepts it", async () => {
  const { owner, webhook, send, verify, deliveries } = world;
  const { id, secret } = await webhook(receiver.url, ["connection.needs_person"]);
  const other = await webhook(receiver.url, ["meter.found", "connection.needs_person"]);
  await webhook(receiver.url, ["meter.found"]);
  await happen();
  await send();
  await send();
  expect(receiver.received).toHaveLength(2);
  const [delivery] = await deliveries(id);
  const received = receiver.received.find(({ headers }) => headers["webhook-id"] === delivery._id)!;
  expect(received).toMatchObject({ method: "POST", path: "/hook" });
  expect(received.headers["content-type"]).toBe("application/json");
  expect(verify(received, secret)).toEqual({
    type: "connection.needs_person",
    timestamp: "2026-01-15T12:00:00+0000",
    data: { account: owner.id, ...needsPerson },
  });
  expect(() => verify(received, other.secret)).toThrow("No matching signature");
  expect(() => verify({ ...received, body: `${received.body} ` }, secret)).toThrow("No matching signature");
  expect(delivery).toMatchObject({
    event: "connection.needs_person",
    status: "delivered",
    response_status: 204,
    reason: null,
    next_attempt: null,
  });
});

test("nothing is stored when the transaction of the event is rolled back", async () => {
  const { api, owner, webhook, deliveries } = world;
  const { id } = await webhook(receiver.url, ["connection.needs_person"]);
  const undone = api.db.transaction(async (tx) => {
    await emit(tx, api.deps, { accountId: owner.id, event: "connection.needs_person", data: needsPerson });
    throw new Error("undone");
  });
  await expect(undone).rejects.toThrow("undone");
  expect(await deliveries(id)).toEqual([]);
});

test("another account's events are nobody's business", async () => {
  const { api, webhook, stranger, deliveries } = world;
  const { id } = await webhook(receiver.url, ["connection.needs_person"]);
  await api.db.transaction((tx) =>
    emit(tx, api.deps, { accountId: stranger.id, event: "connection.needs_person", data: needsPerson }),
  );
  expect(await deliveries(id)).toEqual([]);
});

test("a receiver that fails gets the same delivery again for three days; then it is given up and the webhook paused", async () => {
  const { api, ask, webhook, send, verify, deliveries } = world;
  const { id, secret } = await webhook(receiver.url, ["connection.needs_person"]);
  receiver.answers(500);
  await happen();
  await send();
  const start = api.clock.now();
  let attempts = 1;
  for (;;) {
    const [delivery] = await deliveries(id);
    expect(delivery.attempts).toHaveLength(attempts);
    expect(receiver.received).toHaveLength(attempts);
    if (delivery.status !== "waiting") break;
    const next = Date.parse(delivery.next_attempt);
    api.clock.set(next - 1000);
    await send();
    expect(receiver.received).toHaveLength(attempts);
    api.clock.set(next + 1000);
    await send();
    attempts++;
  }
  expect(attempts).toBe(10);
  expect(api.clock.now() - start).toBeGreaterThan(72 * hour);
  expect(new Set(receiver.received.map(({ headers }) => headers["webhook-id"])).size).toBe(1);
  expect(new Set(receiver.received.map(({ body }) => body)).size).toBe(1);
  expect(new Set(receiver.received.map(({ headers }) => headers["webhook-timestamp"])).size).toBe(10);
  verify(receiver.received.at(-1)!, secret);
  const [delivery] = await deliveries(id, "?status=failed");
  expect(delivery.reason).toBe("The receiver answered 500; anything from 200 to 299 is a success.");
  const paused = await ask("GET", `/webhooks/${id}`);
  expect(paused).toMatchObject({
    enabled: false,
    paused_reason: "Every attempt of the last three days has failed.",
  });
  expect(api.sentJobs).toContainEqual({ name: "webhook-notice", data: { webhookId: id } });
  const { n } = await api.db.one<{ n: number }>(
    sql`select count(*)::int4 as n from audit where subject = ${id} and action = 'webhook.paused' and actor is null`,
  );
  expect(n).toBe(1);
  // What happens waits until it is turned on.
  await happen("While it was paused.");
  await send();
  expect(receiver.received).toHaveLength(10);
  receiver.answers(200);
  expect(await ask("PUT", `/webhooks/${id}`, { enabled: true })).toMatchObject({
    enabled: true,
    paused: null,
    paused_reason: null,
    failing_since: null,
  });
  await send();
  expect(verify(receiver.received[10]!, secret).data.reason).toBe("While it was paused.");
});

test("a success in between keeps a webhook on", async () => {
  const { api, ask, webhook, send } = world;
  const { id } = await webhook(receiver.url, ["connection.needs_person"]);
  for (let day = 0; day < 5; day++) {
    receiver.answers(500);
    await happen();
    await send();
    expect((await ask("GET", `/webhooks/${id}`)).failing_since).not.toBeNull();
    api.clock.advance(24 * hour);
    receiver.answers(200);
    await send();
    expect((await ask("GET", `/webhooks/${id}`)).failing_since).toBeNull();
  }
  expect((await ask("GET", `/webhooks/${id}`)).enabled).toBe(true);
});

test("410 pauses at once", async () => {
  const { ask, webhook, send, deliveries } = world;
  const { id } = await webhook(receiver.url, ["connection.needs_person"]);
  receiver.answers(410);
  await happen();
  await send();
  expect((await deliveries(id))[0]).toMatchObject({ status: "failed", response_status: 410 });
  expect(await ask("GET", `/webhooks/${id}`)).toMatchObject({
    enabled: false,
    paused_reason: "The receiver answered 410 Gone: it wants no more.",
  });
});

test.for<[status: number, header: string, seconds: number]>([
  [429, "7200", 7200],
  [503, "7200", 7200],
  [500, "7200", 5],
])("%i with Retry-After %s is tried again after %i s", async ([status, header, seconds]) => {
  const { api, webhook, send, deliveries } = world;
  const { id } = await webhook(receiver.url, ["connection.needs_person"]);
  receiver.answers((response) => response.writeHead(status, { "retry-after": header }).end());
  await happen();
  await send();
  const wait = Date.parse((await deliveries(id))[0].next_attempt) - api.clock.now();
  expect(wait).toBeGreaterThanOrEqual(seconds * 1000 - 1000);
  expect(wait).toBeLessThanOrEqual(seconds * 1100 + 1000);
});

test("redirects are not followed", async () => {
  const { webhook, send, deliveries } = world;
  const trap = await openReceiver();
  try {
    const { id } = await webhook(receiver.url, ["connection.needs_person"]);
    receiver.answers((response) => response.writeHead(307, { location: trap.url }).end());
    await happen();
    await send();
    expect(trap.received).toEqual([]);
    expect((await deliveries(id))[0].reason).toContain("redirects are not followed");
  } finally {
    await trap.close();
  }
});

test("an endless answer is a success by its status, and nothing of an answer is ever shown", async () => {
  const { ask, webhook, send, deliveries } = world;
  const { id } = await webhook(receiver.url, ["connection.needs_person"]);
  receiver.answers((response) => {
    response.writeHead(200, "secretstatus", { "x-secret": "secretheader" });
    response.write("secretbody".repeat(100_000));
  });
  await happen();
  await send();
  receiver.answers((response) => response.writeHead(400, "secretstatus").end("secretbody"));
  await happen();
  await send();
  const listed = await deliveries(id);
  expect(listed.map(({ status }) => status)).toEqual(["waiting", "delivered"]);
  expect(JSON.stringify([listed, await ask("GET", `/webhooks/${id}`)])).not.toMatch(
    /secret(body|status|header)/,
  );
});

test("a receiver that cannot be reached is told in one of the fixed reasons", async () => {
  const { webhook, send, deliveries } = world;
  await receiver.close();
  const closed = await webhook(receiver.url, ["connection.needs_person"]);
  const inside = await webhook("http://10.1.2.3/hook", ["connection.needs_person"]);
  const disguised = await webhook("http://0xA010203/hook", ["connection.needs_person"]);
  await happen();
  await send();
  expect((await deliveries(closed.id))[0].reason).toBe(
    "There was no connection, or it broke: check host and port, and that the server is running.",
  );
  for (const { id } of [inside, disguised]) {
    const [delivery] = await deliveries(id);
    expect(delivery.response_status).toBeNull();
    expect(delivery.reason).toContain("not reached from here");
    expect(delivery.reason).not.toContain("10.");
  }
  receiver = await openReceiver();
});

test("killed between sending and writing it down: the same delivery again, and once it is done never more", async () => {
  const { api, webhook, send, deliveries } = world;
  const { id } = await webhook(receiver.url, ["connection.needs_person"]);
  await happen();
  // The process dies with the answer in its hands: nothing is written any more.
  const dying = {
    ...api.deps,
    db: { ...api.deps.db, transaction: () => Promise.reject(new Error("killed")) },
  };
  const sender = openSender(dying, new AbortController().signal);
  await sender.step();
  await sender.idle();
  expect((await deliveries(id))[0]).toMatchObject({ status: "waiting", attempts: [] });
  // What it could not write down it does not send again every second.
  await sender.step();
  await sender.idle();
  expect(receiver.received).toHaveLength(1);
  await send();
  await send();
  expect(receiver.received).toHaveLength(2);
  expect(receiver.received[1]!.headers["webhook-id"]).toBe(receiver.received[0]!.headers["webhook-id"]);
  expect((await deliveries(id))[0].attempts).toHaveLength(1);
});

test("a server that stops ends open requests, and they do not count", async () => {
  const { api, webhook, send, deliveries } = world;
  const { id } = await webhook(receiver.url, ["connection.needs_person"]);
  const arrived = new Promise<void>((resolve) => receiver.answers(() => resolve()));
  await happen();
  const stopping = new AbortController();
  const sender = openSender(api.deps, stopping.signal);
  await sender.step();
  await arrived;
  stopping.abort();
  await sender.idle();
  expect((await deliveries(id))[0]).toMatchObject({ status: "waiting", attempts: [] });
  receiver.answers(200);
  await send();
  expect((await deliveries(id))[0].status).toBe("delivered");
});

test("a receiver that hangs holds up neither other webhooks nor all of its account's requests", async () => {
  const { api, webhook, stranger, deliveries } = world;
  const slow = await openReceiver();
  let open = 0;
  let openMost = 0;
  const waiting: (() => void)[] = [];
  slow.answers((response) => {
    openMost = Math.max(openMost, ++open);
    waiting.push(() => {
      open--;
      response.writeHead(200).end();
    });
  });
  const hanging = await webhook(slow.url, ["connection.needs_person"]);
  const quick = await webhook(receiver.url, ["connection.needs_person"]);
  await webhook(receiver.url, ["connection.needs_person"], stranger.token);
  for (let n = 0; n < 20; n++) await happen(`${n}`);
  await api.db.transaction((tx) =>
    emit(tx, api.deps, { accountId: stranger.id, event: "connection.needs_person", data: needsPerson }),
  );
  const sender = openSender(api.deps, new AbortController().signal);
  const quickDone = async () =>
    (await deliveries(quick.id)).every(({ status }: { status: string }) => status === "delivered");
  await expect
    .poll(async () => {
      await sender.step();
      return (await quickDone()) && receiver.received.length === 21;
    })
    .toBe(true);
  expect(openMost).toBe(4);
  await expect
    .poll(async () => {
      for (const go of waiting.splice(0)) go();
      await sender.step();
      return slow.received.length;
    })
    .toBe(20);
  for (const go of waiting.splice(0)) go();
  await sender.idle();
  expect(openMost).toBe(4);
  expect(new Set(slow.received.map(({ headers }) => headers["webhook-id"])).size).toBe(20);
  expect(await deliveries(hanging.id, "?status=delivered&limit=50")).toHaveLength(20);
  await slow.close();
});

test("a webhook that is deleted while a request is open is gone in peace", async () => {
  const { api, ask, webhook } = world;
  const { id } = await webhook(receiver.url, ["connection.needs_person"]);
  let answer = () => {};
  const arrived = new Promise<void>((resolve) =>
    receiver.answers((response) => {
      answer = () => response.writeHead(200).end();
      resolve();
    }),
  );
  await happen();
  const sender = openSender(api.deps, new AbortController().signal);
  await sender.step();
  await arrived;
  await ask("DELETE", `/webhooks/${id}`);
  answer();
  await sender.idle();
  expect(api.logLines.filter((line) => line.includes("was not written"))).toHaveLength(
    api.logLines.filter((line) => line.includes("killed")).length,
  );
});

test("nothing is sent for an account that was deleted", async () => {
  const { api, ask, webhook, send } = world;
  const leaving = await newAccount(api.deps);
  await webhook(receiver.url, ["meter.found"], leaving.token);
  await newMeter(api, leaving);
  await watch(api.deps, new AbortController().signal);
  await ask("DELETE", "/accounts/me", undefined, leaving.token);
  await send();
  expect(receiver.received).toEqual([]);
});
