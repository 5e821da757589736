import { z } from "zod";
import type { Connector } from "../collection/collection.ts";
import { granularities } from "../platform/granularity.ts";
import { type Endpoint, endpoint, Raw } from "../platform/http/endpoint.ts";
import { formatTimestamp } from "../platform/http/schema.ts";
import { askedOf, assertBounded, completenessIds, completenessQuery } from "./asked.ts";
import { gapView } from "./completeness-view.ts";
import { reasonMeanings } from "./reason.ts";
import { labelsOf, type ReportRow, reportCsv, reportOf, reportXlsx } from "./report.ts";

const rowView = z.object({
  customer: z
    .object({ _id: z.string(), name: z.string() })
    .nullable()
    .describe("The account that holds the root meter"),
  meter: z.object({
    _id: z.string(),
    root_id: z.string(),
    ean: z.string().nullable(),
    name: z.string().nullable(),
    address: z.string().nullable(),
    type: z.string(),
    timezone: z.string(),
  }),
  metric: z.string(),
  granularity: z.enum(granularities),
  ...gapView.pick({ from: true, to: true, reason: true, who_acts: true, next_try: true }).shape,
  period: z
    .string()
    .describe("The same by the wall clock of the meter, as a period is written: `202609-202610`"),
  missing: z.int(),
  what_to_do: z.string().describe("In the language of the asking account"),
  connection: z.object({ _id: z.string(), name: z.string().nullable(), provider: z.string() }).nullable(),
  complaint: z.object({ _id: z.string() }).nullable().describe("An open complaint about it"),
});

function viewRow(row: ReportRow): z.output<typeof rowView> {
  const { meter, metric, granularity, gap, holder, connection, whatToDo, complaintId } = row;
  const { id, root_id, ean, name, address, type, timezone } = meter;
  const [first, last] = labelsOf(row);
  return {
    customer: holder,
    meter: { _id: id, root_id, ean, name, address, type, timezone },
    metric,
    granularity,
    from: formatTimestamp(gap.from),
    to: formatTimestamp(gap.to),
    period: first === last ? first : `${first}-${last}`,
    missing: gap.count,
    reason: gap.reason,
    who_acts: reasonMeanings[gap.reason].who,
    what_to_do: whatToDo,
    next_try: gap.nextTry === null ? null : formatTimestamp(gap.nextTry),
    connection,
    complaint: complaintId === null ? null : { _id: complaintId },
  };
}

const report = (connectors: readonly Connector[]) =>
  endpoint({
    method: "GET",
    path: "/completeness/report",
    access: "basic",
    summary: "What is missing, a row for each gap, as JSON, CSV or XLSX: the follow-up of month values.",
    description:
      "Takes the parameters of `/completeness`; without any, it is about the last whole month. What nobody expects is " +
      "left out. CSV has `;` between cells and a row of heads.",
    ids: completenessIds,
    query: completenessQuery.extend({ format: z.enum(["json", "csv", "xlsx"]).default("json") }),
    reply: z.array(rowView),
    async handle({ who, query, header }, deps) {
      const asked = await askedOf(query, { who, connectors }, deps);
      assertBounded(asked, asked.meters.length, deps);
      const rows = await reportOf(deps.db, asked, who);
      if (query.format === "json") return rows.map(viewRow);
      header("Content-Disposition", `attachment; filename="missing-values.${query.format}"`);
      if (query.format === "csv") return new Raw("text/csv; charset=utf-8", reportCsv(rows));
      return new Raw(
        "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet",
        await reportXlsx(rows),
      );
    },
  });

/** The report of missing values. */
export const reportEndpoints = (connectors: readonly Connector[]): Endpoint[] => [report(connectors)];
