import { z } from "zod";
import { csvParams, openCsv } from "./csv.ts";
import { exportFormat } from "./format.ts";
import { consumptionNames, granularityParam, isWanted, metricsParam } from "./params.ts";

/** Consumption as the Metry API exports it: one value a line, `;` between cells, no header. */
export const consumptionCsv = exportFormat({
  name: "ConsumptionCSV",
  title: "Consumption, CSV",
  ending: "csv",
  mediaType: "text/csv; charset=utf-8",
  resource: "consumption",
  params: z.strictObject({
    ...csvParams,
    metrics: metricsParam(consumptionNames, "all of consumption"),
    granularity: granularityParam,
  }),
  rowsMax: 1_000_000,
  accepts: (metric, params) => isWanted(metric, params.metrics),
  open: (context) => openCsv(context),
});
