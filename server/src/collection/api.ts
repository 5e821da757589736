import type { Endpoint } from "../platform/http/endpoint.ts";
import type { Connector } from "./connector.ts";
import { providerEndpoints } from "./provider-api.ts";

/** Every endpoint of collection, for the providers of these connectors. */
export const collectionEndpoints = (connectors: readonly Connector[]): Endpoint[] =>
  providerEndpoints(connectors);
