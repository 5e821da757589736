import { createServer, type IncomingMessage, type ServerResponse } from "node:http";
import type { AddressInfo } from "node:net";
import { text } from "node:stream/consumers";
import { Webhook as Verifier } from "standardwebhooks";
import { vi } from "vitest";
import { newAccount, type TestAccount } from "../../../test/harness/accounts.ts";
import { type TestApi, testApi } from "../../../test/harness/api.ts";
import { authenticate } from "../accounts/accounts.ts";
import { accountEndpoints } from "../accounts/api.ts";
import { erasureEndpoints } from "../erasure/api.ts";
import { meterEndpoints } from "../meters/api.ts";
import type { Settings } from "../platform/deps.ts";
import { seriesEndpoints } from "../series/api.ts";
import { treeEndpoints } from "../trees/api.ts";
import { webhookEndpoints } from "./api.ts";
import { watch } from "./jobs.ts";
import { openSender } from "./sender.ts";

/** A request as a receiver got it. */
export interface Received {
  method: string;
  path: string;
  headers: Record<string, string>;
  body: string;
}

type Answer = (response: ServerResponse, request: IncomingMessage, received: Received) => void;

/** A real HTTP server that events are posted to. */
export interface Receiver {
  url: string;
  received: Received[];
  /** How it answers from now on: a status, or by hand. */
  answers(how: number | Answer): void;
  close(): Promise<void>;
}

/** Starts a receiver that answers 204 until told otherwise. */
export async function openReceiver(): Promise<Receiver> {
  const received: Received[] = [];
  let answer: Answer = (response) => void response.writeHead(204).end();
  const server = createServer(async (request, response) => {
    const got: Received = {
      method: request.method ?? "",
      path: request.url ?? "",
      headers: request.headers as Record<string, string>,
      body: await text(request),
    };
    received.push(got);
    answer(response, request, got);
  });
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  const { port } = server.address() as AddressInfo;
  return {
    url: `http://127.0.0.1:${port}/hook`,
    received,
    answers(how) {
      answer = typeof how === "number" ? (response) => void response.writeHead(how).end() : how;
    },
    async close() {
      const closed = new Promise((resolve) => server.close(resolve));
      server.closeAllConnections();
      await closed;
    },
  };
}

// biome-ignore lint/suspicious/noExplicitAny: tests look at whatever came back
type Json = any;

/** The API of webhooks over a database of its own. */
export interface WebhookWorld {
  api: TestApi;
  owner: TestAccount;
  stranger: TestAccount;
  /** Asks as an account, and expects success; answers `data`. */
  ask(method: string, path: string, body?: unknown, token?: string): Promise<Json>;
  /** Makes a webhook of the owner; answers its id and its secret. */
  webhook(url: string, events?: readonly string[], token?: string): Promise<{ id: string; secret: string }>;
  /** Sends what is due until nothing is. */
  send(): Promise<void>;
  /** Looks for what happened, and sends it. */
  watchAndSend(): Promise<void>;
  /** What the reference verifier reads from a request; throws what it throws. */
  verify(received: Received, secret: string): Json;
  deliveries(webhookId: string, query?: string): Promise<Json[]>;
  close(): Promise<void>;
}

/** Opens one. Call it in `beforeAll`, and `close` in `afterAll`. */
export async function webhookWorld(settings: Partial<Settings> = {}): Promise<WebhookWorld> {
  const api = await testApi({
    endpoints: [
      ...accountEndpoints,
      ...meterEndpoints,
      ...treeEndpoints,
      ...seriesEndpoints,
      ...erasureEndpoints,
      ...webhookEndpoints,
    ],
    authenticate,
    settings,
  });
  const [owner, stranger] = [await newAccount(api.deps), await newAccount(api.deps)];
  const ask: WebhookWorld["ask"] = async (method, path, body, token = owner.token) => {
    const answer = await api.call(method, path, { token, ...(body === undefined ? {} : { body }) });
    if (answer.status !== 200) throw new Error(`${method} ${path}: ${answer.text}`);
    return answer.json.data;
  };
  const { signal } = new AbortController();
  const send = async () => {
    const sender = openSender(api.deps, signal);
    await sender.step();
    await sender.idle();
  };
  return {
    api,
    owner,
    stranger,
    ask,
    async webhook(url, events = ["meter.found"], token = owner.token) {
      const made = await ask("POST", "/webhooks", { url, events }, token);
      return { id: made._id, secret: made.secrets[0].secret };
    },
    send,
    async watchAndSend() {
      await watch(api.deps, signal);
      await send();
    },
    verify(received, secret) {
      vi.useFakeTimers({ toFake: ["Date"], now: api.clock.now() });
      try {
        return new Verifier(secret).verify(received.body, received.headers);
      } finally {
        vi.useRealTimers();
      }
    },
    deliveries: (webhookId, query = "") => ask("GET", `/webhooks/${webhookId}/deliveries${query}`),
    close: () => api.close(),
  };
}
