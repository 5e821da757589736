import type { Endpoint } from "../platform/http/endpoint.ts";
import { deliveryEndpoints as deliveries } from "./delivery-api.ts";
import { webhookEndpoints as webhooks } from "./webhook-api.ts";

/** Endpoints of webhooks and their deliveries. */
export const webhookEndpoints: readonly Endpoint[] = [...webhooks, ...deliveries];
