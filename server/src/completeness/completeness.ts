/** What is missing, why, and who follows it up: what other slices may use. */
export { checkCompletenessJob } from "./check.ts";
export { mailMissingJob } from "./mail.ts";
