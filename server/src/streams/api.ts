import type { Endpoint } from "../platform/http/endpoint.ts";
import { consumeEndpoints } from "./consume-api.ts";
import { eventEndpoints } from "./events-api.ts";
import { streamKeepingEndpoints } from "./stream-api.ts";

/** Endpoints of streams. */
export const streamEndpoints: Endpoint[] = [
  ...streamKeepingEndpoints,
  ...consumeEndpoints,
  ...eventEndpoints,
];
