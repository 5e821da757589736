import { accountEndpoints } from "./accounts/api.ts";
import { collectionEndpoints } from "./collection/api.ts";
import { tidyCollectionJob } from "./collection/collection.ts";
import type { Connector } from "./collection/connector.ts";
import { completenessEndpoints } from "./completeness/api.ts";
import { checkCompletenessJob, mailMissingJob } from "./completeness/completeness.ts";
import { connectors } from "./connectors/all.ts";
import { erasureEndpoints } from "./erasure/api.ts";
import { eraseAccountJob } from "./erasure/erasure.ts";
import { exportEndpoints } from "./exports/api.ts";
import { exportJobs } from "./exports/exports.ts";
import { importEndpoints } from "./imports/api.ts";
import { importJobs } from "./imports/imports.ts";
import { invoiceEndpoints } from "./invoices/api.ts";
import { invoiceJobs } from "./invoices/invoices.ts";
import { meterEndpoints } from "./meters/api.ts";
import type { Endpoint } from "./platform/http/endpoint.ts";
import type { JobKind } from "./platform/jobs.ts";
import { priceEndpoints } from "./prices/api.ts";
import { calculateCostsJob } from "./prices/prices.ts";
import { seriesEndpoints } from "./series/api.ts";
import { streamEndpoints } from "./streams/api.ts";
import { streamJobs } from "./streams/streams.ts";
import { treeEndpoints } from "./trees/api.ts";
import { webhookEndpoints } from "./webhooks/api.ts";
import { webhookJobs } from "./webhooks/webhooks.ts";

/** The table of contents: every endpoint of the API, for a server that knows these providers. */
export const endpointsWith = (known: readonly Connector[]): readonly Endpoint[] => [
  ...accountEndpoints,
  ...meterEndpoints,
  ...treeEndpoints,
  ...seriesEndpoints,
  ...priceEndpoints,
  ...erasureEndpoints,
  ...invoiceEndpoints,
  ...streamEndpoints,
  ...importEndpoints,
  ...webhookEndpoints,
  ...exportEndpoints,
  ...collectionEndpoints(known),
  ...completenessEndpoints(known),
];

export { connectors };

/** Every endpoint of a server. */
export const endpoints = endpointsWith(connectors);

/** Every kind of job. */
export const jobKinds: readonly JobKind[] = [
  eraseAccountJob,
  calculateCostsJob,
  ...invoiceJobs,
  ...streamJobs,
  ...importJobs,
  ...webhookJobs,
  ...exportJobs,
  tidyCollectionJob,
  checkCompletenessJob,
  mailMissingJob,
];
