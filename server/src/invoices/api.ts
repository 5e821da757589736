import type { Endpoint } from "../platform/http/endpoint.ts";
import { checkEndpoints } from "./check-api.ts";
import { invoiceObjectEndpoints } from "./invoice-api.ts";
import { templateEndpoints } from "./template-api.ts";

/** Endpoints of invoices and of the templates that PDF invoices are read with. */
export const invoiceEndpoints: Endpoint[] = [
  ...invoiceObjectEndpoints,
  ...checkEndpoints,
  ...templateEndpoints,
];
