import type { Endpoint } from "../platform/http/endpoint.ts";
import { invoiceObjectEndpoints } from "./invoice-api.ts";

/** Endpoints of invoices. */
export const invoiceEndpoints: Endpoint[] = [...invoiceObjectEndpoints];
