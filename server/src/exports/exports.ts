/** Files of what changes, delivered on a schedule: what other slices may use. */
export { exportJobs } from "./jobs.ts";
