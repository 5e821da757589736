/** Price models, price series and calculated costs: what other slices may use. */
export { beginCalculation } from "./begin.ts";
export { type BilledRow, type CheckedRow, checkReads, checkRows, type Unbilled, verdicts } from "./check.ts";
export { readDays } from "./days.ts";
export { calculateCostsJob } from "./jobs.ts";
export { insertModel, type ModelFields } from "./model.ts";
export { priceUse, refuseTooMuch, useFields } from "./price-use.ts";
