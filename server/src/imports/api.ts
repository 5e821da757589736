import type { Endpoint } from "../platform/http/endpoint.ts";
import { uploadEndpoints } from "./import-api.ts";
import { mappingEndpoints } from "./mapping-api.ts";
import { textBatchEndpoints } from "./text-batch-api.ts";

/** Endpoints that take in files and texts of values. */
export const importEndpoints: Endpoint[] = [...uploadEndpoints, ...mappingEndpoints, ...textBatchEndpoints];
