import type { Endpoint } from "../platform/http/endpoint.ts";
import { calculateEndpoints } from "./calculate-api.ts";
import { metricEndpoints } from "./metric-api.ts";
import { modelEndpoints } from "./model-api.ts";
import { seriesEndpoints } from "./series-api.ts";

/** Every endpoint of prices. */
export const priceEndpoints: readonly Endpoint[] = [
  ...calculateEndpoints,
  ...metricEndpoints,
  ...modelEndpoints,
  ...seriesEndpoints,
];
