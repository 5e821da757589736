import { z } from "zod";
import { actorOf, audit } from "../accounts/accounts.ts";
import { type Queryable, sql, type Tx } from "../platform/db.ts";
import { type Caller, type Endpoint, endpoint, Message, Page } from "../platform/http/endpoint.ts";
import { fieldsOf, readList } from "../platform/http/filter.ts";
import { boolean, formatTimestamp, id, timestampText } from "../platform/http/schema.ts";
import { newId } from "../platform/id.ts";
import { invalid, Problem } from "../platform/problem.ts";
import { maskedAddress, restoredAddress } from "../platform/secret-address.ts";
import { mask } from "../platform/secret-field.ts";
import { subscribable } from "./event.ts";
import { beginToFollow, endToFollow } from "./follow.ts";
import { createSecret, endSecrets, liveSecrets, type NewSecret } from "./secret.ts";
import { ownWebhook, visibleWebhooks, type Webhook, webhookColumns, webhooksMax } from "./webhook.ts";

/** Path parameters of one webhook. */
export const oneWebhook = z.object({ id: id() });

const secretView = z.object({
  _id: z.string(),
  secret: z.string().describe("`whsec_…`, whole only in the answer that makes it"),
  created: timestampText(),
  expires: timestampText().nullable().describe("Signs until then; null for the newest"),
});

const webhookView = z.object({
  _id: z.string(),
  name: z.string().nullable(),
  url: z.string().meta({ description: "Tokens in it are masked; sent back masked, they stay." }),
  events: z.array(z.string()),
  enabled: z.boolean().describe("False: nothing is sent, and what happens waits"),
  paused: timestampText().nullable().describe("When the server turned it off by itself"),
  paused_reason: z.string().nullable(),
  failing_since: timestampText().nullable().describe("First failed attempt since the last success"),
  secrets: z.array(secretView).describe("Those that sign now, the newest first"),
  created: timestampText(),
  updated: timestampText(),
});

const at = (instant: number | null) => (instant === null ? null : formatTimestamp(instant));

/** Webhooks as the API shows them; the text of a secret only when it was just made. */
async function show(
  db: Queryable,
  webhooks: readonly Webhook[],
  { now, made }: { now: number; made?: NewSecret },
): Promise<z.output<typeof webhookView>[]> {
  const secrets = await liveSecrets(
    db,
    webhooks.map((webhook) => webhook.id),
    now,
  );
  return webhooks.map((webhook) => ({
    _id: webhook.id,
    name: webhook.name,
    url: maskedAddress(webhook.url),
    events: webhook.events,
    enabled: webhook.enabled,
    paused: at(webhook.paused),
    paused_reason: webhook.pausedReason,
    failing_since: at(webhook.failingSince),
    secrets: (secrets.get(webhook.id) ?? []).map((secret) => ({
      _id: secret.id,
      secret: secret.id === made?.id ? made.text : mask,
      created: formatTimestamp(secret.created),
      expires: at(secret.expires),
    })),
    created: formatTimestamp(webhook.created),
    updated: formatTimestamp(webhook.updated),
  }));
}

async function showOne(
  db: Queryable,
  who: Caller,
  webhookId: string,
  options: { now: number; made?: NewSecret },
): Promise<z.output<typeof webhookView>> {
  return (await show(db, [await ownWebhook(db, who, webhookId)], options))[0]!;
}

/** Only the shape: which machine the name leads to, and whether it may be reached, is decided at each connection. */
function isAddress(text: string): boolean {
  const url = URL.parse(text);
  if (url === null || !/^https?:$/.test(url.protocol) || url.hostname === "") return false;
  return url.username === "" && url.password === "";
}

/** The address that was sent, with what its masks stand for. @throws Problem `invalid` when they stand for nothing */
function addressIn(given: string, before: string | null): string {
  const address = restoredAddress(given, before);
  if (address !== null) return address;
  throw invalid("url", `holds ${mask} in the place of a token; enter the whole address anew`);
}

const noControls = (text: string) => !/\p{Cc}/u.test(text) && text.isWellFormed();

const inBody = z.object({
  url: z
    .string()
    .trim()
    .max(2000)
    .refine(noControls, "must not contain control characters")
    .refine(
      isAddress,
      "must be an address such as https://example.com/hooks, without user name and password; requests are signed instead",
    ),
  events: z
    .array(z.enum(subscribable))
    .min(1, `name at least one of ${subscribable.join(", ")}`)
    .max(100)
    .transform((events) => subscribable.filter((event) => events.includes(event))),
  name: z
    .string()
    .trim()
    .max(200)
    .refine(noControls, "must not contain control characters")
    .nullable()
    .transform((text) => (text === "" ? null : text)),
  enabled: boolean(),
});

/** A line of the audit log about a webhook. */
export function auditWebhook(
  tx: Tx,
  who: Caller,
  line: { now: number; action: string; subject: string; detail?: Record<string, unknown> },
): Promise<void> {
  const { now, ...entry } = line;
  return audit(tx, { at: now, accountId: who.accountId, actor: actorOf(who), ...entry });
}

const createWebhook = endpoint({
  method: "POST",
  path: "/webhooks",
  access: "basic",
  summary: "Makes a webhook: an address that events are posted to. The answer shows its secret, this once.",
  description:
    "Requests follow the Standard Webhooks specification: `webhook-id`, `webhook-timestamp` and `webhook-signature`. " +
    "`docs/webhooks.md` describes the events, how to verify them, and when they are sent again.",
  body: inBody.partial({ name: true, enabled: true }),
  reply: webhookView,
  async handle({ who, body }, { db, keys, clock }) {
    const now = clock.now();
    const webhookId = newId(now);
    return db.transaction(async (tx) => {
      // Lines of one account wait for each other, so two requests at once cannot both be the last that fits.
      await auditWebhook(tx, who, {
        now,
        action: "webhook.created",
        subject: webhookId,
        detail: hostOf(body.url),
      });
      await assertRoom(tx, who.accountId);
      await tx.run(sql`
        insert into webhook (id, account_id, client_id, name, url, events, enabled, created, updated)
        values (${webhookId}, ${who.accountId}, ${who.clientId}, ${body.name ?? null}, ${addressIn(body.url, null)}, ${body.events},
                ${body.enabled ?? true}, ${new Date(now)}, ${new Date(now)})`);
      if (body.events.includes("data.new"))
        await beginToFollow(tx, { id: webhookId, accountId: who.accountId, now });
      const made = await createSecret(tx, keys, { accountId: who.accountId, webhookId, now });
      return showOne(tx, who, webhookId, { now, made });
    });
  },
});

/** The rest of an address may hold a token. */
const hostOf = (url: string) => ({ host: new URL(url).host });

async function assertRoom(db: Queryable, accountId: string): Promise<void> {
  const { count } = await db.one<{ count: number }>(
    sql`select count(*) as count from webhook where account_id = ${accountId}`,
  );
  if (count < webhooksMax) return;
  throw new Problem(
    "conflict",
    `An account has at most ${webhooksMax} webhooks. Delete one that is no longer needed.`,
  );
}

const fields = fieldsOf({
  _id: { kind: "id", column: sql`w.id` },
  name: { kind: "text-exact", column: sql`w.name` },
  url: { kind: "text-exact", column: sql`w.url` },
  events: { kind: "any-of", column: sql`w.events`, values: subscribable },
  enabled: { kind: "boolean", column: sql`w.enabled` },
  created: { kind: "timestamp", column: sql`w.created` },
});

const listWebhooks = endpoint({
  method: "GET",
  path: "/webhooks",
  access: "basic",
  summary: "Webhooks of the account; an OAuth client sees those that it made",
  filters: () => true,
  reply: z.array(webhookView),
  list: true,
  async handle({ who, search, ignored }, { db, clock, settings }) {
    const { where, orderBy, skip, limit } = readList(search, { fields, ignored, pageMax: settings.pageMax });
    const of = sql`${visibleWebhooks(who)}${where}`;
    const { count } = await db.one<{ count: number }>(sql`select count(*) as count ${of}`);
    const rows = await db.rows<Webhook>(
      sql`select ${webhookColumns} ${of} order by ${orderBy} offset ${skip} limit ${limit}`,
    );
    return new Page(await show(db, rows, { now: clock.now() }), { count, skip, limit });
  },
});

const readWebhook = endpoint({
  method: "GET",
  path: "/webhooks/:id",
  access: "basic",
  summary: "One webhook",
  ids: { id: "webhook" },
  params: oneWebhook,
  reply: webhookView,
  handle: ({ who, params }, { db, clock }) => showOne(db, who, params.id, { now: clock.now() }),
});

const changeWebhook = endpoint({
  method: "PUT",
  path: "/webhooks/:id",
  access: "basic",
  summary: "Changes a webhook; what the body leaves out stays",
  description:
    "`enabled: false` pauses it: what happens waits, for as long as deliveries are kept. `enabled: true` turns it on " +
    "again, also after the server has paused it; what waits is sent at once.",
  ids: { id: "webhook" },
  params: oneWebhook,
  body: inBody.partial(),
  reply: webhookView,
  async handle({ who, params, body }, { db, clock }) {
    const now = clock.now();
    return db.transaction(async (tx) => {
      const before = await ownWebhook(tx, who, params.id, { lock: true });
      const after = { ...before, ...body, url: addressIn(body.url ?? before.url, before.url) };
      const isFresh = (after.enabled && !before.enabled) || after.url !== before.url;
      await tx.run(sql`
        update webhook set name = ${after.name}, url = ${after.url}, events = ${after.events},
          enabled = ${after.enabled}, updated = ${new Date(now)},
          paused = case when ${after.enabled} then null else paused end,
          paused_reason = case when ${after.enabled} then null else paused_reason end,
          failing_since = case when ${isFresh} then null else failing_since end
        where id = ${before.id}`);
      const [did, does] = [before, after].map(({ events }) => events.includes("data.new"));
      if (does && !did) await beginToFollow(tx, { ...before, now });
      if (did && !does) await endToFollow(tx, before.id);
      if (isFresh && after.enabled) await wake(tx, before.id, now);
      const { name: _, url, ...rest } = body;
      const detail = { ...rest, ...(url === undefined ? {} : hostOf(url)) };
      await auditWebhook(tx, who, { now, action: "webhook.updated", subject: before.id, detail });
      return showOne(tx, who, before.id, { now });
    });
  },
});

/** Whoever has just put a receiver right wants to see now that it works. */
async function wake(tx: Tx, webhookId: string, now: number): Promise<void> {
  await tx.run(sql`
    update webhook_delivery set next_attempt = least(next_attempt, ${new Date(now)})
    where webhook_id = ${webhookId} and status = 'waiting'`);
}

const deleteWebhook = endpoint({
  method: "DELETE",
  path: "/webhooks/:id",
  access: "basic",
  summary: "Deletes a webhook with its deliveries; what waits is not sent any more",
  ids: { id: "webhook" },
  params: oneWebhook,
  reply: z.undefined(),
  async handle({ who, params }, { db, clock }) {
    await db.transaction(async (tx) => {
      await ownWebhook(tx, who, params.id, { lock: true });
      await tx.run(sql`delete from webhook where id = ${params.id}`);
      await auditWebhook(tx, who, { now: clock.now(), action: "webhook.deleted", subject: params.id });
    });
    return new Message("Deleted webhook.");
  },
});

/** A secret signs beside its successor for so long. */
const overlapMs = 24 * 3_600_000;

const rotateSecret = endpoint({
  method: "POST",
  path: "/webhooks/:id/rotate",
  access: "basic",
  summary: "Makes a new secret. The answer shows it, this once.",
  description:
    "Both secrets sign for the next 24 hours, so that a receiver can change over without a refused request; with " +
    "`expire_now` only the new one does, at once: for a secret that others have seen.",
  ids: { id: "webhook" },
  params: oneWebhook,
  body: z.object({ expire_now: boolean().optional() }).optional(),
  reply: webhookView,
  async handle({ who, params, body }, { db, keys, clock }) {
    const now = clock.now();
    const isAtOnce = body?.expire_now ?? false;
    return db.transaction(async (tx) => {
      const { id: webhookId, accountId } = await ownWebhook(tx, who, params.id, { lock: true });
      const live = (await liveSecrets(tx, [webhookId], now)).get(webhookId) ?? [];
      const old = live.find(({ expires }) => expires !== null);
      if (old !== undefined && !isAtOnce) throw stillTwo(old.expires!);
      await endSecrets(tx, webhookId, { now, expires: isAtOnce ? now : now + overlapMs });
      const made = await createSecret(tx, keys, { accountId, webhookId, now });
      await auditWebhook(tx, who, {
        now,
        action: "webhook.secret_rotated",
        subject: webhookId,
        detail: { expire_now: isAtOnce },
      });
      return showOne(tx, who, webhookId, { now, made });
    });
  },
});

function stillTwo(expires: number): Problem {
  return new Problem(
    "conflict",
    `The secret of the last rotation still signs until ${formatTimestamp(expires)}. Rotate after that, or send expire_now to end all earlier ones.`,
  );
}

/** Endpoints of webhooks themselves. */
export const webhookEndpoints: Endpoint[] = [
  createWebhook,
  listWebhooks,
  readWebhook,
  changeWebhook,
  deleteWebhook,
  rotateSecret,
];
