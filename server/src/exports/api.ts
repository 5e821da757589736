import type { Endpoint } from "../platform/http/endpoint.ts";
import { exportsEndpoints } from "./export-api.ts";
import { runEndpoints } from "./run-api.ts";

/** Endpoints of exports and of their files. */
export const exportEndpoints: readonly Endpoint[] = [...exportsEndpoints, ...runEndpoints];
