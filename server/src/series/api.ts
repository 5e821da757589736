import type { Endpoint } from "../platform/http/endpoint.ts";
import { readEndpoints } from "./read-api.ts";
import { writeEndpoints } from "./write-api.ts";

/** Endpoints of values: consumption, costs, batches, revisions. */
export const seriesEndpoints: Endpoint[] = [...readEndpoints, ...writeEndpoints];
