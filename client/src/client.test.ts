import { createServer, type IncomingMessage, type Server, type ServerResponse } from "node:http";
import type { AddressInfo } from "node:net";
import { afterEach, expect, test } from "vitest";
import { ApiError, Client, type ClientOptions, ConnectionError } from "./client.ts";

/** What a server of a test was asked. */
interface Asked {
  method: string;
  url: string;
  headers: IncomingMessage["headers"];
  body: string;
}

let server: Server | undefined;
afterEach(() => void server?.close());

/** A server that answers by the number of the request, and a client of it that does not wait. */
async function talk(
  answer: (asked: Asked, number: number) => [status: number, body: unknown, headers?: Record<string, string>],
  options: Partial<ClientOptions> = {},
): Promise<{ client: Client; asked: Asked[]; waits: number[] }> {
  const asked: Asked[] = [];
  const waits: number[] = [];
  server = createServer(async (request: IncomingMessage, response: ServerResponse) => {
    const chunks: Buffer[] = [];
    for await (const chunk of request) chunks.push(chunk as Buffer);
    const { method = "", url = "", headers } = request;
    asked.push({ method, url, headers, body: Buffer.concat(chunks).toString("latin1") });
    const [status, body, more] = answer(asked.at(-1)!, asked.length - 1);
    response.writeHead(status, { "content-type": "application/json", ...more });
    response.end(typeof body === "string" ? body : JSON.stringify(body));
  });
  await new Promise<void>((resolve) => server!.listen(0, "127.0.0.1", resolve));
  const url = `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
  const client = new Client({ url, token: "secret", wait: async (ms) => void waits.push(ms), ...options });
  return { client, asked, waits };
}

const good = (data: unknown) => ({ code: 200, message: "OK", profiling: null, data });
const id = "5d1c9f2a8b3e4c0017a6d2f1";

test("asks with token and subaccount, fills the path in, repeats lists", async () => {
  const { client, asked } = await talk(() => [200, good([])], { subaccount: "sub" });
  await client.call("GET /consumptions/{id}/{granularity}/{period}", {
    path: { id, granularity: "day", period: "2015+2014" },
    query: { metrics: ["energy", "flow"] as never },
  });
  expect(asked[0]).toMatchObject({
    method: "GET",
    url: `/api/v2/consumptions/${id}/day/2015+2014?metrics=energy&metrics=flow`,
    headers: { authorization: "Bearer secret", "x-subaccount": "sub" },
  });
  await client.call("PUT /mappings/{id}", { path: { id }, body: { name: "é" } });
  expect(asked[1]).toMatchObject({ method: "PUT", headers: { "content-type": "application/json" } });
  expect(Buffer.from(asked[1]!.body, "latin1").toString()).toBe('{"name":"é"}');
  await expect(client.call("GET /meters/{id}", { path: { id: "" } })).rejects.toThrow("needs id");
});

test("goes through all pages of a list", async () => {
  const all = Array.from({ length: 7 }, (_, i) => ({ _id: String(i) }));
  const { client, asked } = await talk(({ url }) => {
    const search = new URL(url, "http://x").searchParams;
    const skip = Number(search.get("skip"));
    // A server that gives less than asked for.
    const data = all.slice(skip, skip + Math.min(3, Number(search.get("limit"))));
    return [200, { ...good(data), count: all.length, skip, limit: 3 }];
  });
  const found: string[] = [];
  for await (const mapping of client.list("GET /mappings", { query: { name: "x" } })) found.push(mapping._id);
  expect(found).toEqual(["0", "1", "2", "3", "4", "5", "6"]);
  expect(asked.map(({ url }) => url)).toEqual(
    [0, 3, 6].map((skip) => `/api/v2/mappings?limit=300&name=x&skip=${skip}`),
  );
  const page = await client.page("GET /mappings", { query: { skip: 6, limit: 1 } });
  expect(page).toEqual({ count: 7, skip: 6, limit: 3, data: [{ _id: "6" }] });
});

test("waits as long as a busy server asks, and gives up after some times", async () => {
  const busy = [429, { code: 429, message: "Too many requests" }, { "retry-after": "3" }] as const;
  const away = [503, { code: 503, message: "Restarting" }] as const;
  const first = await talk((_, number) =>
    number === 0 ? [...busy] : number === 1 ? [...away] : [200, good(1)],
  );
  expect(await first.client.call("GET /sessions/me")).toBe(1);
  expect(first.waits).toEqual([3000, 2000]);
  server?.close();
  const never = await talk(() => [...busy], { retriesMax: 2 });
  await expect(never.client.call("GET /sessions/me")).rejects.toMatchObject({
    code: 429,
    retryAfterSeconds: 3,
  });
  expect(never.asked).toHaveLength(3);
});

test("does not repeat what the server refused or failed at", async () => {
  const { client, asked } = await talk(() => [500, { code: 500, message: "Internal error" }]);
  await expect(client.call("POST /mappings", { body: { name: "x", mapping: {} } })).rejects.toThrow(
    "Internal error",
  );
  expect(asked).toHaveLength(1);
});

test("tells what was wrong, with fields and the id of the request", async () => {
  const body = {
    code: 400,
    message: "limit: must be a number",
    request_id: "r1",
    errors: { limit: ["must be a number"] },
  };
  const { client } = await talk(() => [400, body, { "x-request-id": "r1" }]);
  const error = await client.call("GET /mappings").catch((reason: unknown) => reason);
  expect(error).toBeInstanceOf(ApiError);
  expect(error).toMatchObject({ code: 400, message: body.message, errors: body.errors, requestId: "r1" });
});

test("tells when there is no server, or another one", async () => {
  const { client } = await talk(() => [200, "<html>"]);
  await expect(client.call("GET /mappings")).rejects.toThrow("is it a Metertree server?");
  server?.close();
  server = undefined;
  const nobody = new Client({ url: "http://127.0.0.1:1" });
  const error = await nobody.call("GET /mappings").catch((reason: unknown) => reason);
  expect(error).toBeInstanceOf(ConnectionError);
  expect((error as Error).message).toContain("127.0.0.1:1 cannot be reached: ");
});

test("sends files as a stream that tells how far it is, or leaves it to the platform", async () => {
  const { client, asked } = await talk(() => [200, good({ _id: id })]);
  const content = new Blob(["a".repeat(200_000), "z"]);
  const files = [{ name: 'my "file".csv', content }];
  const seen: number[] = [];
  await client.call("POST /imports", {
    body: { files, account: "me", dry_run: true },
    onProgress: (sent, total) => void seen.push(sent, total),
  });
  expect(seen.at(-2)).toBe(200_001);
  expect(new Set(seen.filter((_, i) => i % 2 === 1))).toEqual(new Set([200_001]));
  await client.call("POST /imports", { body: { files, dry_run: true } });
  for (const { headers, body } of asked) {
    expect(headers["content-type"]).toMatch(/^multipart\/form-data; boundary=/);
    expect(body).toContain('name="dry_run"\r\n\r\ntrue\r\n');
    expect(body).toContain('filename="my %22file%22.csv"');
    expect(body).toContain(`${"a".repeat(1000)}z\r\n--`);
  }
});

test("sends the files again when the server was busy", async () => {
  const { client, asked } = await talk((_, number) => (number === 0 ? [503, {}] : [200, good({ _id: id })]));
  const files = [{ name: "a.csv", content: new Blob(["content"]) }];
  await client.call("POST /imports", { body: { files }, onProgress: () => undefined });
  expect(asked.map(({ body }) => body.includes("content\r\n--"))).toEqual([true, true]);
});

test("ends when its signal says so", async () => {
  const stop = new AbortController();
  const { client } = await talk(() => [429, {}], {
    wait: async (_ms, signal) => {
      stop.abort(new Error("enough"));
      signal?.throwIfAborted();
    },
  });
  await expect(client.call("GET /mappings", { signal: stop.signal })).rejects.toThrow("enough");
});
