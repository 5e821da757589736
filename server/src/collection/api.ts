import type { Endpoint } from "../platform/http/endpoint.ts";
import { connectionEndpoints } from "./connection-api.ts";
import type { Connector } from "./connector.ts";
import { consentEndpoints } from "./consent-api.ts";
import { credentialsEndpoints } from "./credentials-api.ts";
import { connectionEventEndpoints } from "./event-api.ts";
import { fileEndpoints } from "./file-api.ts";
import { issueEndpoints } from "./issue-api.ts";
import { meterEventEndpoints } from "./meter-event-api.ts";
import { providerEndpoints } from "./provider-api.ts";
import { ruleEndpoints } from "./rule-api.ts";
import { runEndpoints } from "./run-api.ts";
import { sourceEndpoints } from "./source-api.ts";
import { structureEndpoints } from "./structure-api.ts";

/** Every endpoint of collection, for the providers of these connectors. */
export const collectionEndpoints = (connectors: readonly Connector[]): Endpoint[] => [
  ...providerEndpoints(connectors),
  ...connectionEndpoints(connectors),
  ...consentEndpoints(connectors),
  ...credentialsEndpoints(connectors),
  ...connectionEventEndpoints,
  ...runEndpoints,
  ...fileEndpoints,
  ...issueEndpoints,
  ...structureEndpoints,
  ...ruleEndpoints,
  ...sourceEndpoints,
  ...meterEventEndpoints,
];
