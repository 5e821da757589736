import { z } from "zod";
import { actorOf, audit, timezoneOf } from "../accounts/accounts.ts";
import { type Sql, sql, type Tx } from "../platform/db.ts";
import type { Deps } from "../platform/deps.ts";
import type { Granularity } from "../platform/granularity.ts";
import { type Caller, type Endpoint, endpoint, Message, Page } from "../platform/http/endpoint.ts";
import { fieldsOf, readList } from "../platform/http/filter.ts";
import { id } from "../platform/http/schema.ts";
import { newId } from "../platform/id.ts";
import { invalid, Problem } from "../platform/problem.ts";
import { createStream, removeStream } from "../streams/streams.ts";
import { type Export, exportById, exportColumns, ownExport, visibleExports } from "./export.ts";
import { pauseExport } from "./failure.ts";
import { checkedParams, exportBody, exportChange, knownFormat } from "./fields.ts";
import { exportFormats } from "./formats/all.ts";
import { sendRun } from "./job-sending.ts";
import { checkSchedule, frequencies, nextRun, type Schedule } from "./schedule.ts";
import { discardFolder } from "./spool.ts";
import { sealedTarget, type Target, targetTypes, testOf } from "./target.ts";
import { exportView, showExports } from "./view.ts";

const one = z.object({ id: id() });
const ids = { id: "export" } as const;

/** Exports of one account: each makes files of everything that changes. */
const exportsMax = 50;

async function shown(db: Deps["db"] | Tx, of: Export): Promise<z.output<typeof exportView>> {
  return (await showExports(db, [of]))[0]!;
}

const fields = fieldsOf({
  _id: { kind: "id", column: sql`e.id` },
  name: { kind: "text-exact", column: sql`e.name` },
  created: { kind: "timestamp", column: sql`e.created` },
  client_id: { kind: "text-exact", column: sql`e.client_id` },
  "format.name": { kind: "enum", column: sql`e.format`, values: exportFormats.map((format) => format.name) },
  frequency: { kind: "enum", column: sql`e.frequency`, values: frequencies },
  "target.type": { kind: "enum", column: sql`e.target_type`, values: targetTypes },
  stream_id: { kind: "id", column: sql`e.stream_id` },
  paused: { kind: "boolean", column: sql`(e.paused is not null)` },
  next_run: { kind: "timestamp", column: sql`e.next_run` },
  "last_run.time": { kind: "timestamp", column: sql`e.last_run` },
  "last_run.status": {
    kind: "enum",
    column: sql`e.last_status`,
    values: ["delivered", "nothing_new", "failed"],
  },
});

const listExports = endpoint({
  method: "GET",
  path: "/exports",
  access: "basic",
  summary: "Lists the exports of the account.",
  filters: () => true,
  reply: z.array(exportView),
  list: true,
  async handle({ who, search, ignored }, { db, settings }) {
    const { where, orderBy, skip, limit } = readList(search, { fields, ignored, pageMax: settings.pageMax });
    const of = sql`${visibleExports(who)}${where}`;
    const { count } = await db.one<{ count: number }>(sql`select count(*) as count ${of}`);
    const rows = await db.rows<Export>(
      sql`select ${exportColumns} ${of} order by ${orderBy} offset ${skip} limit ${limit}`,
    );
    return new Page(await showExports(db, rows), { count, skip, limit });
  },
});

const readExport = endpoint({
  method: "GET",
  path: "/exports/:id",
  access: "basic",
  summary: "Reads an export.",
  ids,
  params: one,
  reply: exportView,
  handle: async ({ who, params }, { db }) => shown(db, await ownExport(db, who, params.id)),
});

const createExport = endpoint({
  method: "POST",
  path: "/exports",
  access: "basic",
  summary: "Makes an export: files of all that is stored, then of what changes, delivered on a schedule.",
  description:
    "The first file holds all history and is due at the start of the next hour, day or month; `POST /exports/{id}/run` " +
    "sends it at once. A target is an object with one member, named after its type.",
  body: exportBody,
  reply: exportView,
  examples: {
    body: {
      format: { name: "ConsumptionCSV", params: { granularity: "hour" } },
      source_type: "stream",
      frequency: "daily",
      target: { http: { url: "https://files.example.com/in?token=5d1c9f2a" } },
    },
  },
  async handle({ who, body }, deps) {
    const { db, clock } = deps;
    const format = knownFormat(body.format.name);
    const params = checkedParams(format, body.format.params ?? null);
    const now = clock.now();
    const schedule: Schedule = {
      frequency: body.frequency,
      cron: body.cron ?? null,
      timezone: body.timezone ?? (await timezoneOf(db, who.accountId)),
    };
    checkSchedule(schedule, now);
    return db.transaction(async (tx) => {
      await assertRoom(tx, who.accountId);
      const made = newId(now);
      const stream = await createStream(tx, {
        accountId: who.accountId,
        clientId: who.clientId,
        resource: format.resource,
        granularity: format.granularity ?? ((params.granularity ?? null) as Granularity | null),
        now,
        owner: "export",
      });
      const of = { id: made, accountId: who.accountId };
      const target = await sealedTarget(tx, deps, { ...of, sent: body.target, before: null });
      const sent = body.format.params ?? null;
      await tx.run(sql`
        insert into export (id, account_id, client_id, created, name, format, params, stream_id, frequency, cron, timezone,
                            target_type, target, target_sealed, next_run)
        values (${made}, ${who.accountId}, ${who.clientId}, ${new Date(now)}, ${body.name ?? null}, ${format.name},
                ${sent === null ? null : JSON.stringify(sent)}::jsonb, ${stream.id}, ${schedule.frequency},
                ${schedule.cron}, ${schedule.timezone}, ${target.type}, ${JSON.stringify(target.settings)}::jsonb,
                ${target.sealed}, ${new Date(nextRun(schedule, now))})`);
      await note(tx, who, { action: "export.created", exportId: made, now });
      return shown(tx, (await exportById(tx, made))!);
    });
  },
});

/** Two requests at once must not both make the last one allowed. */
async function assertRoom(tx: Tx, accountId: string): Promise<void> {
  await tx.run(sql`select pg_advisory_xact_lock(hashtextextended(${`exports ${accountId}`}, 0))`);
  const { count } = await tx.one<{ count: number }>(
    sql`select count(*) as count from export where account_id = ${accountId}`,
  );
  if (count < exportsMax) return;
  throw new Problem(
    "conflict",
    `There are ${count} exports already, as many as an account may have; delete some`,
  );
}

async function note(
  tx: Tx,
  who: Caller,
  { action, exportId, now }: { action: string; exportId: string; now: number },
): Promise<void> {
  await audit(tx, { at: now, accountId: who.accountId, actor: actorOf(who), action, subject: exportId });
}

const change = {
  path: "/exports/:id",
  access: "basic",
  summary: "Changes an export; what the body leaves out stays.",
  description:
    "Format and granularity cannot be changed: what was delivered before would not go with what follows. A secret that is " +
    "sent as its mask `********` stays as it is. New parameters hold for batches that are cut from then on.",
  ids,
  params: one,
  body: exportChange,
  reply: exportView,
  handle: (
    { who, params, body }: { who: Caller; params: z.output<typeof one>; body: z.output<typeof exportChange> },
    deps: Deps,
  ) =>
    deps.db.transaction(async (tx) => {
      const of = await ownExport(tx, who, params.id, { lock: true });
      const now = deps.clock.now();
      if (body.format !== undefined) await changeParams(tx, of, body.format);
      if (body.name !== undefined)
        await tx.run(sql`update export set name = ${body.name} where id = ${of.id}`);
      if (body.target !== undefined) await changeTarget(tx, deps, of, body.target);
      await changeSchedule(tx, of, { body, now });
      if (body.paused === true && of.paused === null)
        await pauseExport(tx, of.id, { reason: pausedByHand, now });
      if (body.paused === false && of.paused !== null) await resumeExport(tx, deps, of.id);
      await note(tx, who, { action: "export.changed", exportId: of.id, now });
      return shown(tx, (await exportById(tx, of.id))!);
    }),
} as const;

const changeExport = endpoint({ ...change, method: "PUT" });
const changeExportAsPosted = endpoint({ ...change, method: "POST" });

type Change = z.output<typeof exportChange>;

async function changeParams(
  tx: Tx,
  of: Export,
  { name, params }: NonNullable<Change["format"]>,
): Promise<void> {
  if (name !== undefined && name !== of.format) {
    throw invalid("format.name", `cannot be changed from ${of.format}; make another export`);
  }
  if (params === undefined) return;
  const format = knownFormat(of.format);
  const [before, after] = [checkedParams(format, of.params), checkedParams(format, params)];
  if ((before.granularity ?? null) !== (after.granularity ?? null)) {
    throw invalid("format.params.granularity", "cannot be changed; make another export with its own history");
  }
  const sent = params === null ? null : JSON.stringify(params);
  await tx.run(sql`update export set params = ${sent}::jsonb where id = ${of.id}`);
}

/** What failed at the old target is tried at once at the new one. */
async function changeTarget(tx: Tx, deps: Deps, of: Export, sent: Target): Promise<void> {
  const { id, accountId } = of;
  const target = await sealedTarget(tx, deps, { id, accountId, sent, before: of });
  const retry: Sql = of.retryAt === null ? sql`null` : sql`${new Date(deps.clock.now())}::timestamptz`;
  await tx.run(sql`
    update export set target_type = ${target.type}, target = ${JSON.stringify(target.settings)}::jsonb,
      target_sealed = ${target.sealed}, failures = 0, login_failures = 0, told = false, retry_at = ${retry}
    where id = ${of.id}`);
}

async function changeSchedule(
  tx: Tx,
  of: Export,
  { body, now }: { body: Change; now: number },
): Promise<void> {
  const { frequency, cron, timezone } = body;
  if (frequency === undefined && cron === undefined && timezone === undefined) return;
  const schedule: Schedule = {
    frequency: frequency ?? of.frequency,
    // An expression means nothing to the other frequencies.
    cron: cron !== undefined ? cron : frequency === undefined || frequency === "cron" ? of.cron : null,
    timezone: timezone ?? of.timezone,
  };
  checkSchedule(schedule, now);
  const next = of.paused === null ? new Date(nextRun(schedule, now)) : null;
  await tx.run(sql`
    update export set frequency = ${schedule.frequency}, cron = ${schedule.cron}, timezone = ${schedule.timezone},
      next_run = ${next}
    where id = ${of.id}`);
}

const pausedByHand = "Paused on request.";

/** Lets an export go on: what waits is sent at once, then its schedule holds again. */
async function resumeExport(tx: Tx, { clock, jobs }: Deps, exportId: string): Promise<void> {
  const of = (await exportById(tx, exportId))!;
  await tx.run(sql`
    update export set paused = null, paused_reason = null, failures = 0, login_failures = 0, told = false, retry_at = null,
      next_run = ${new Date(nextRun(of, clock.now()))}
    where id = ${exportId}`);
  const open = await tx.maybe(
    sql`select 1 as one from export_run where export_id = ${exportId} and status in ('waiting', 'failed') limit 1`,
  );
  if (open !== undefined) await sendRun(tx, jobs, of);
}

const deleteExport = endpoint({
  method: "DELETE",
  path: "/exports/:id",
  access: "basic",
  summary: "Deletes an export with its stream and the files that are kept.",
  ids,
  params: one,
  reply: z.undefined(),
  async handle({ who, params }, { db, clock, settings }) {
    const of = await db.transaction(async (tx) => {
      const held = await ownExport(tx, who, params.id, { lock: true });
      await tx.run(sql`delete from export where id = ${held.id}`);
      await removeStream(tx, held.streamId);
      await note(tx, who, { action: "export.deleted", exportId: held.id, now: clock.now() });
      return held;
    });
    await discardFolder(settings.dataDir, of.id);
    return new Message("Deleted export.");
  },
});

const runNow = endpoint({
  method: "POST",
  path: "/exports/:id/run",
  access: "basic",
  summary: "Sends what is new at once, whatever the schedule says.",
  description: "Answers before the work is done; `GET /exports/{id}/runs` shows the files.",
  ids,
  params: one,
  reply: exportView,
  handle: ({ who, params }, { db, jobs }) =>
    db.transaction(async (tx) => {
      const of = await ownExport(tx, who, params.id, { lock: true });
      if (of.paused !== null) throw new Problem("conflict", "The export is paused; resume it first");
      await sendRun(tx, jobs, of);
      return shown(tx, of);
    }),
});

const pause = endpoint({
  method: "POST",
  path: "/exports/:id/pause",
  access: "basic",
  summary: "Pauses an export: nothing is sent until it is resumed, and nothing is lost.",
  ids,
  params: one,
  reply: exportView,
  handle: ({ who, params }, { db, clock }) =>
    db.transaction(async (tx) => {
      const of = await ownExport(tx, who, params.id, { lock: true });
      const now = clock.now();
      if (of.paused === null) {
        await pauseExport(tx, of.id, { reason: pausedByHand, now });
        await note(tx, who, { action: "export.paused", exportId: of.id, now });
      }
      return shown(tx, (await exportById(tx, of.id))!);
    }),
});

const resume = endpoint({
  method: "POST",
  path: "/exports/:id/resume",
  access: "basic",
  summary: "Lets a paused export go on. A file that waits is sent at once, under its name.",
  ids,
  params: one,
  reply: exportView,
  handle: ({ who, params }, deps) =>
    deps.db.transaction(async (tx) => {
      const of = await ownExport(tx, who, params.id, { lock: true });
      if (of.paused !== null) {
        await resumeExport(tx, deps, of.id);
        await note(tx, who, { action: "export.resumed", exportId: of.id, now: deps.clock.now() });
      }
      return shown(tx, (await exportById(tx, of.id))!);
    }),
});

const test = endpoint({
  method: "POST",
  path: "/exports/:id/test",
  access: "basic",
  summary: "Tries to reach the target, and says in words what is wrong. Nothing is left there.",
  ids,
  params: one,
  reply: z.object({ ok: z.boolean(), message: z.string() }),
  async handle({ who, params }, deps) {
    return testOf(deps, await ownExport(deps.db, who, params.id));
  },
});

/** Endpoints of exports. */
export const exportsEndpoints: Endpoint[] = [
  createExport,
  listExports,
  readExport,
  changeExport,
  changeExportAsPosted,
  deleteExport,
  runNow,
  pause,
  resume,
  test,
];
