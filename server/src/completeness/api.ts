import type { Connector } from "../collection/collection.ts";
import type { Endpoint } from "../platform/http/endpoint.ts";
import { caseEndpoints } from "./case-api.ts";
import { complaintEndpoints } from "./complaint-api.ts";
import { lookEndpoints } from "./completeness-api.ts";
import { mailEndpoints } from "./mail-api.ts";
import { reportEndpoints } from "./report-api.ts";

/** Every endpoint of completeness, for a server that knows these providers. */
export const completenessEndpoints = (connectors: readonly Connector[]): Endpoint[] => [
  ...reportEndpoints(connectors),
  ...lookEndpoints(connectors),
  ...complaintEndpoints(connectors),
  ...caseEndpoints(connectors),
  ...mailEndpoints,
];
