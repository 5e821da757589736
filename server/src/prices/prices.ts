/** Price models, price series and calculated costs: what other slices may use. */
export { type BilledRow, type CheckedRow, checkReads, checkRows, type Unbilled, verdicts } from "./check.ts";
export { readDays } from "./days.ts";
export { calculateCostsJob } from "./jobs.ts";
export { priceUse, refuseTooMuch, useFields } from "./price-use.ts";
