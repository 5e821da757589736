import { z } from "zod";
import { costNames } from "../../series/series.ts";
import { bareMetric } from "./cells.ts";
import { csvParams, openCsv } from "./csv.ts";
import { exportFormat } from "./format.ts";
import { flag, metricsParam } from "./params.ts";

/** Costs by month as the Metry API exports them: the columns of consumption, the names of costs without prefix. */
export const costCsv = exportFormat({
  name: "CostCSV",
  title: "Costs by month, CSV",
  ending: "csv",
  mediaType: "text/csv; charset=utf-8",
  resource: "consumption",
  granularity: "month",
  params: z.strictObject({
    ...csvParams,
    metrics: metricsParam(costNames, "all eleven"),
    currency: flag(false, "Add the column Currency."),
  }),
  rowsMax: 1_000_000,
  accepts: (metric, params) =>
    metric.startsWith("cost_") && (params.metrics === null || params.metrics.includes(bareMetric(metric))),
  open: (context) => openCsv(context),
});
