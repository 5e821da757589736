import { accountEndpoints } from "./accounts/api.ts";
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

/** The table of contents: every endpoint of the API. */
export const endpoints: readonly Endpoint[] = [
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
];

/** Every kind of job. */
export const jobKinds: readonly JobKind[] = [
  eraseAccountJob,
  calculateCostsJob,
  ...invoiceJobs,
  ...streamJobs,
  ...importJobs,
  ...webhookJobs,
  ...exportJobs,
];
