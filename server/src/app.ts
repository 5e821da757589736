import { accountEndpoints } from "./accounts/api.ts";
import { meterEndpoints } from "./meters/api.ts";
import type { Endpoint } from "./platform/http/endpoint.ts";
import type { JobKind } from "./platform/jobs.ts";

/** The table of contents: every endpoint of the API. */
export const endpoints: readonly Endpoint[] = [...accountEndpoints, ...meterEndpoints];

/** Every kind of job. */
export const jobKinds: readonly JobKind[] = [];
