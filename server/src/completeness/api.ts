import type { Connector } from "../collection/collection.ts";
import type { Endpoint } from "../platform/http/endpoint.ts";
import { lookEndpoints } from "./completeness-api.ts";

/** Every endpoint of completeness, for a server that knows these providers. */
export const completenessEndpoints = (connectors: readonly Connector[]): Endpoint[] => [
  ...lookEndpoints(connectors),
];
