import { z } from "zod";
import { type AccountRef, accountRefs, accountRefView } from "../accounts/accounts.ts";
import type { Queryable } from "../platform/db.ts";
import { formatTimestamp, timestampText } from "../platform/http/schema.ts";
import { type Export, type ExportRunRow, runStatuses } from "./export.ts";
import { frequencies } from "./schedule.ts";
import { shownTarget, type TargetType, targetView } from "./target.ts";

const lastRunStatuses = ["delivered", "nothing_new", "failed"] as const;

/** An export, as answers show it. */
export const exportView = z.object({
  _id: z.string(),
  created: timestampText(),
  holder_id: z.string(),
  holder: accountRefView.nullable(),
  client_id: z.string().nullable(),
  format: z.object({ name: z.string(), params: z.record(z.string(), z.unknown()).nullable() }),
  source_type: z.literal("stream"),
  frequency: z.enum(frequencies),
  target: targetView,
  stream_id: z.string().meta({ description: "The export's own stream, which streams do not list." }),
  name: z.string().nullable(),
  cron: z.string().nullable(),
  timezone: z.string().meta({ description: "Zone of the schedule." }),
  next_run: timestampText().nullable().meta({ description: "When the schedule is due; null while paused." }),
  next_attempt: timestampText().nullable().meta({ description: "When a file that failed is tried again." }),
  paused: z.boolean(),
  paused_reason: z.string().nullable(),
  last_run: z
    .object({
      time: timestampText(),
      status: z.enum(lastRunStatuses),
      error: z.string().nullable(),
    })
    .nullable(),
});

/** A file of an export, as answers show it. */
export const runView = z.object({
  _id: z.string(),
  export_id: z.string(),
  created: timestampText().meta({ description: "When the batch was cut; it stands in the name." }),
  file: z.string().meta({ description: "Name at the target, with folders. It never changes." }),
  status: z.enum(runStatuses).meta({
    description:
      "waiting: to be sent. failed: to be sent again. delivered: the target has confirmed it. withdrawn: all that it " +
      "held may not be read any more, and it was never sent.",
  }),
  bytes: z.int(),
  rows: z.int().meta({ description: "Values in the file." }),
  sha256: z.string(),
  media_type: z.string(),
  attempts: z.int(),
  error: z.string().nullable().meta({ description: "Why the last attempt failed." }),
  offset_from: z
    .int()
    .nullable()
    .meta({ description: "The file holds what the stream has after this offset …" }),
  offset_to: z.int().meta({ description: "… up to this one." }),
  started: timestampText().nullable().meta({ description: "Begin of the last attempt." }),
  finished: timestampText().nullable().meta({ description: "End of the last attempt." }),
  next_attempt: timestampText().nullable(),
  resent: timestampText().nullable().meta({ description: "When it was last sent again on request." }),
  resend_error: z.string().nullable(),
  available: z.boolean().meta({ description: "The file is kept here, for download and to be sent again." }),
});

const instant = (at: number | null) => (at === null ? null : formatTimestamp(at));

/** Exports as answers show them, in order. */
export async function showExports(
  db: Queryable,
  exports: readonly Export[],
): Promise<z.output<typeof exportView>[]> {
  const holders = await accountRefs(
    db,
    exports.map(({ accountId }) => accountId),
  );
  return exports.map((each) => view(each, holders.get(each.accountId) ?? null));
}

function view(each: Export, holder: AccountRef | null): z.output<typeof exportView> {
  return {
    _id: each.id,
    created: formatTimestamp(each.created),
    holder_id: each.accountId,
    holder,
    client_id: each.clientId,
    format: { name: each.format, params: each.params },
    source_type: "stream",
    frequency: each.frequency,
    target: shownTarget({ type: each.targetType as TargetType, settings: each.target }),
    stream_id: each.streamId,
    name: each.name,
    cron: each.cron,
    timezone: each.timezone,
    next_run: instant(each.nextRun),
    next_attempt: instant(each.retryAt),
    paused: each.paused !== null,
    paused_reason: each.pausedReason,
    last_run:
      each.lastRun === null || each.lastStatus === null
        ? null
        : { time: formatTimestamp(each.lastRun), status: each.lastStatus, error: each.lastError },
  };
}

/** A file of an export as answers show it. */
export function showRun(of: Export, run: ExportRunRow): z.output<typeof runView> {
  return {
    _id: run.id,
    export_id: run.exportId,
    created: formatTimestamp(run.cut),
    file: run.file,
    status: run.status,
    bytes: run.bytes,
    rows: run.rows,
    sha256: run.sha256,
    media_type: run.mediaType,
    attempts: run.attempts,
    error: run.error,
    offset_from: run.offsetFrom,
    offset_to: run.offsetTo,
    started: instant(run.started),
    finished: instant(run.finished),
    next_attempt: run.status === "failed" ? instant(of.retryAt) : null,
    resent: instant(run.resent),
    resend_error: run.resendError,
    available: run.kept && run.status !== "withdrawn",
  };
}
