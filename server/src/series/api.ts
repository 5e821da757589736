import type { Endpoint } from "../platform/http/endpoint.ts";
import { consumptionEndpoints } from "./consumption-api.ts";
import { costEndpoints } from "./cost-api.ts";
import { writeEndpoints } from "./write-api.ts";

/** Endpoints of values: consumption, costs, batches, revisions. */
export const seriesEndpoints: Endpoint[] = [...consumptionEndpoints, ...costEndpoints, ...writeEndpoints];
