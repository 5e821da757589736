import { accountById, personsToTell } from "../accounts/accounts.ts";
import { activeReferences } from "../meters/meters.ts";
import { type Queryable, sql } from "../platform/db.ts";
import type { Deps } from "../platform/deps.ts";
import type { JobKind } from "../platform/jobs.ts";
import { type Mail, sendMail } from "../platform/mail.ts";
import { parsePeriods, periodIn } from "../platform/time/period.ts";
import { insidersOf, lastMonth, metersMax } from "./asked.ts";
import { type Reason, reasonMeanings } from "./reason.ts";
import { type ReportRow, reportOf } from "./report.ts";

/** Meters that a mail names for each reason; the report has all. */
const namedMax = 20;

/** Is an account mailed about missing month values? */
export async function isMailed(db: Queryable, accountId: string): Promise<boolean> {
  const row = await db.maybe(sql`select account_id from completeness_mail where account_id = ${accountId}`);
  return row !== undefined;
}

/** Says whether an account is mailed. A month that it was mailed about is not told again, unless it was ended meanwhile. */
export async function setMailed(db: Queryable, accountId: string, isWanted: boolean): Promise<void> {
  await db.run(
    isWanted
      ? sql`insert into completeness_mail (account_id) values (${accountId}) on conflict do nothing`
      : sql`delete from completeness_mail where account_id = ${accountId}`,
  );
}

/** Mails each account that asked for it what is missing of the last month, once. One that fails does not stop others. */
async function mailAll(_data: object, deps: Deps, signal: AbortSignal): Promise<void> {
  const { db, clock, settings, log } = deps;
  if (settings.smtpUrl === null) return;
  const month = lastMonth(settings.timezone, clock.now());
  const accounts = await db.rows<{ id: string }>(
    sql`select account_id as id from completeness_mail where sent < ${month} order by account_id`,
  );
  let failed = 0;
  for (const { id } of accounts) {
    if (signal.aborted) return;
    try {
      const mail = await mailFor(deps, { accountId: id, month });
      if (mail !== null) await sendMail(settings.smtpUrl, mail);
      await db.run(sql`update completeness_mail set sent = ${month} where account_id = ${id}`);
    } catch (error) {
      failed++;
      log.warn({ err: error, account: id }, "no mail about missing values");
    }
  }
  if (failed > 0)
    throw new Error(`${failed} of ${accounts.length} accounts got no mail about missing values`);
}

/** What an account is mailed about a month; null when nothing is missing, or nobody is there to read it. */
async function mailFor(
  { db, clock, settings }: Pick<Deps, "db" | "clock" | "settings">,
  { accountId, month }: { accountId: string; month: string },
): Promise<Mail | null> {
  const to = await personsToTell(db, accountId);
  if (to.length === 0) return null;
  const now = clock.now();
  const meters = await activeReferences(db, accountId, metersMax);
  const look = {
    meters,
    metrics: null,
    granularity: "month" as const,
    periods: (zone: string) => parsePeriods(month).map((each) => periodIn(zone, each, now)),
    connectors: [],
    insiders: await insidersOf(db, accountId),
    now,
  };
  const rows = await reportOf(db, look, { accountId });
  if (rows.length === 0) return null;
  const name = oneLine((await accountById(db, accountId)).name);
  const shown = `${month.slice(0, 4)}-${month.slice(4)}`;
  const byReason = [...Map.groupBy(rows, ({ gap }) => gap.reason)];
  const link = `${settings.publicUrl}/api/v2/completeness/report?period=${month}&format=xlsx`;
  return {
    from: settings.smtpFrom,
    to,
    subject: `Values of ${shown} are missing in ${name}`,
    text:
      `Of ${rows.length} of ${meters.length} meters in the account ${name} the value of ${shown} is missing.\n\n` +
      `${byReason.map(([reason, some]) => paragraph(reason, some)).join("\n")}\n` +
      `The whole list:\n${link}\n`,
  };
}

function paragraph(reason: Reason, rows: readonly ReportRow[]): string {
  const more = rows.length > namedMax ? [`  and ${rows.length - namedMax} more`] : [];
  const lines = [
    `${rows.length}: ${reasonMeanings[reason].what.en}`,
    ...rows.slice(0, namedMax).map(lineOf),
    ...more,
  ];
  return `${lines.join("\n")}\n`;
}

/** One line about a meter, whatever its name holds. */
function lineOf({ meter, holder }: ReportRow): string {
  const texts = [meter.name, meter.address, meter.ean ?? meter.id, holder?.name ?? null];
  return `  ${texts.flatMap((text) => oneLine(text ?? "") || []).join(", ")}`;
}

const oneLine = (text: string) => text.replace(/\s+/g, " ").trim();

/** Mails what is missing of the last month, when months that are uploaded are no longer late as usual. */
export const mailMissingJob: JobKind = {
  name: "mail-missing-months",
  retries: 5,
  secondsMax: 6 * 3600,
  atOnce: 1,
  cron: "23 6 11 * *",
  run: mailAll,
};
