/** Price models, price series and calculated costs: what other slices may use. */
export { calculateCostsJob } from "./jobs.ts";
