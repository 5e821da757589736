import { stringify } from "csv-stringify/sync";
import { accountById, accountRefs } from "../accounts/accounts.ts";
import { connectionNames, wordsIn } from "../collection/collection.ts";
import { headRow, spreadsheetSafe, textCell, workbookOf } from "../exports/exports.ts";
import type { Meter } from "../meters/meters.ts";
import { any, type Queryable, sql } from "../platform/db.ts";
import type { Granularity } from "../platform/granularity.ts";
import { invalid } from "../platform/problem.ts";
import { granuleLabel, granuleStart } from "../platform/time/granule.ts";
import { formatTimestamp } from "../platform/time/timestamp.ts";
import { accountsOf, complaintsOf } from "./complaint.ts";
import type { Gap } from "./gaps.ts";
import { completeness, type Look } from "./look.ts";
import { isExpected, reasonMeanings } from "./reason.ts";

/** Rows of one report at most: a workbook is put together in memory. */
const rowsMax = 50_000;

/** One run of missing values, with everything that whoever follows it up needs to know. */
export interface ReportRow {
  meter: Meter;
  metric: string;
  granularity: Granularity;
  gap: Gap;
  /** Name of the account that holds the root meter. */
  holder: { _id: string; name: string } | null;
  connection: { _id: string; name: string | null; provider: string } | null;
  /** In the language of the asking account. */
  whatToDo: string;
  /** An open complaint about it that the asking account sees. */
  complaintId: string | null;
}

/** What is missing of meters, in their order; what nobody expects is left out. 400 for more rows than a report holds. */
export async function reportOf(
  db: Queryable,
  look: Look,
  { accountId }: { accountId: string },
): Promise<ReportRow[]> {
  const found: Pick<ReportRow, "meter" | "metric" | "gap">[] = [];
  for await (const { meter, metric, periods } of completeness(db, look)) {
    for (const gap of periods.flatMap(({ gaps }) => gaps)) {
      if (isExpected(gap.reason)) found.push({ meter, metric, gap });
    }
    if (found.length > rowsMax) {
      throw invalid("period", `has more than ${rowsMax} gaps; shorten it, or name fewer meters`);
    }
  }
  const { language } = await accountById(db, accountId);
  const holders = await accountRefs(db, [...new Set(found.map(({ meter }) => meter.root_holder_id))]);
  const connections = await connectionNames(db, [
    ...new Set(found.flatMap(({ gap }) => gap.connectionId ?? [])),
  ]);
  const complaintOf = await openComplaints(db, { accountId }, found);
  return found.map(({ meter, metric, gap }) => {
    const holder = holders.get(meter.root_holder_id);
    const connection = connections.get(gap.connectionId ?? "");
    return {
      meter,
      metric,
      gap,
      granularity: look.granularity,
      holder: holder === undefined ? null : { _id: holder._id, name: holder.name },
      connection: connection === undefined ? null : { _id: gap.connectionId!, ...connection },
      whatToDo: wordsIn(reasonMeanings[gap.reason].what, language),
      complaintId: complaintOf(meter, metric, gap),
    };
  });
}

/** Finds open complaints about gaps, of any granularity: a month is missing because its hours are. */
async function openComplaints(
  db: Queryable,
  who: { accountId: string },
  found: readonly { meter: Meter }[],
): Promise<(meter: Meter, metric: string, gap: Gap) => string | null> {
  const rows = await db.rows<{
    id: string;
    root_id: string;
    metric: string;
    begins: number;
    ends: number;
  }>(sql`
    select c.id, c.root_id, c.metric, (extract(epoch from c.begins) * 1000)::float8 as begins,
      (extract(epoch from c.ends) * 1000)::float8 as ends
    ${complaintsOf(await accountsOf(db, who))} and c.ended is null
      and c.root_id = ${any([...new Set(found.map(({ meter }) => meter.root_id))])}
    order by c.opened, c.id`);
  const byRoot = Map.groupBy(rows, (row) => row.root_id);
  return ({ root_id }, metric, { from, to }) =>
    byRoot.get(root_id)?.find((row) => row.metric === metric && row.begins < to && row.ends > from)?.id ??
    null;
}

const heads = [
  "Customer",
  "Meter ID",
  "Root ID",
  "EAN",
  "Name",
  "Address",
  "Type",
  "Metric",
  "Granularity",
  "From",
  "To",
  "Missing",
  "Reason",
  "Who acts",
  "What to do",
  "Next try (UTC)",
  "Provider",
  "Connection",
  "Complaint",
];

/** The first and the last granule of a gap by the wall clock of the meter: `202610`, `20261004`, `2026100413`. */
export function labelsOf({
  meter,
  granularity,
  gap,
}: Pick<ReportRow, "meter" | "granularity" | "gap">): [string, string] {
  const last = granuleStart(granularity, meter.timezone, gap.to - 1);
  return [
    granuleLabel(granularity, meter.timezone, gap.from),
    granuleLabel(granularity, meter.timezone, last),
  ];
}

function cellsOf(row: ReportRow): (string | number | null)[] {
  const { meter, metric, granularity, gap, holder, connection, whatToDo, complaintId } = row;
  return [
    holder?.name ?? null,
    meter.id,
    meter.root_id,
    meter.ean,
    meter.name,
    meter.address,
    meter.type,
    metric,
    granularity,
    ...labelsOf(row),
    gap.count,
    gap.reason,
    reasonMeanings[gap.reason].who,
    whatToDo,
    gap.nextTry === null ? null : formatTimestamp(gap.nextTry),
    connection?.provider ?? null,
    connection?.name ?? null,
    complaintId,
  ];
}

/** A report as a table with `;` between cells and a row of heads; a spreadsheet takes no text for a formula. */
export function reportCsv(rows: readonly ReportRow[]): Buffer {
  const cells = rows.map((row) =>
    cellsOf(row).map((cell) => (typeof cell === "string" ? spreadsheetSafe(cell) : cell)),
  );
  return Buffer.from(stringify([heads, ...cells], { delimiter: ";", record_delimiter: "\n" }));
}

/** The same as a workbook. */
export async function reportXlsx(rows: readonly ReportRow[]): Promise<Buffer> {
  const cells = rows.map((row) =>
    cellsOf(row).map((cell) => (typeof cell === "number" ? cell : textCell(cell))),
  );
  return workbookOf("Missing", [headRow(heads), ...cells]);
}
