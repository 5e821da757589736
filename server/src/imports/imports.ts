/** Files of values that were uploaded, and the batches of old clients: what other slices may use. */
export { importJobs } from "./jobs.ts";
