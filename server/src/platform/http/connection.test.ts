import { EventEmitter, once } from "node:events";
import { Agent, request as httpRequest, type IncomingMessage } from "node:http";
import { type AddressInfo, connect, type Socket } from "node:net";
import { text } from "node:stream/consumers";
import { afterEach, beforeEach, describe, expect, test, vi } from "vitest";
import { z } from "zod";
import { type TestApi, testApi } from "../../../../test/harness/api.ts";
import { limitBodyTime, lingerOver } from "./connection.ts";
import { endpoint } from "./endpoint.ts";

let release: PromiseWithResolvers<string>;
let entered: PromiseWithResolvers<void>;
let api: TestApi;
let port: number;

beforeEach(async () => {
  release = Promise.withResolvers();
  entered = Promise.withResolvers();
  api = await testApi({
    withoutDatabase: true,
    endpoints: [
      endpoint({
        method: "GET",
        path: "/slow",
        access: "public",
        summary: "Answers when the test lets it",
        reply: z.any(),
        handle: async () => {
          entered.resolve();
          return await release.promise;
        },
      }),
      endpoint({
        method: "POST",
        path: "/small",
        access: "public",
        summary: "Takes a small body",
        body: z.any(),
        bodyBytesMax: 1_000,
        reply: z.any(),
        handle: () => "taken",
      }),
    ],
  });
  await api.server.listen({ host: "127.0.0.1", port: 0 });
  port = (api.server.server.address() as AddressInfo).port;
});

afterEach(async () => {
  release.resolve("late");
  await api.close();
});

/** Sends bytes as they are and returns all that comes back until the server closes. */
async function exchange(bytes: string): Promise<string> {
  const socket = connect(port, "127.0.0.1");
  socket.on("error", () => undefined);
  socket.write(bytes);
  return text(socket);
}

function bodyOf(answer: string): { code: number; message: string; request_id: string } {
  return JSON.parse(answer.slice(answer.indexOf("\r\n\r\n") + 4));
}

async function get(path: string, agent?: Agent): Promise<{ response: IncomingMessage; body: string }> {
  const request = httpRequest({ port, host: "127.0.0.1", path, ...(agent === undefined ? {} : { agent }) });
  request.end();
  const [response] = (await once(request, "response")) as [IncomingMessage];
  return { response, body: await text(response) };
}

describe("what is no good HTTP gets an error of the usual shape", () => {
  test.each([
    ["nonsense", "hello\r\n\r\n", 400],
    [
      "both lengths, the way to smuggle a request",
      "POST /api/v2/small HTTP/1.1\r\nHost: x\r\nContent-Length: 4\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
      400,
    ],
    ["two lengths", "POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 4\r\nContent-Length: 5\r\n\r\n", 400],
    ["a bare line feed in a header", "GET / HTTP/1.1\r\nHost: x\r\nA: b\nC: d\r\n\r\n", 400],
    ["headers too large", `GET / HTTP/1.1\r\nHost: x\r\nA: ${"a".repeat(70_000)}\r\n\r\n`, 431],
  ])("%s", async (_name, bytes, status) => {
    const answer = await exchange(bytes);
    expect(answer).toMatch(new RegExp(`^HTTP/1.1 ${status} `));
    expect(bodyOf(answer)).toMatchObject({
      code: status,
      request_id: expect.stringMatching(/^[0-9a-f-]{36}$/),
    });
  });

  test("an address over 32 KB is too long, up to there it is read", async () => {
    const long = await exchange(
      `GET /api/v2/x?${"a".repeat(33_000)} HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n`,
    );
    expect(bodyOf(long).code).toBe(414);
    const read = await exchange(
      `GET /api/v2/x?${"a".repeat(32_000)} HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n`,
    );
    expect(bodyOf(read).code).toBe(404);
  });
});

test("times that connections get", () => {
  const { server } = api.server;
  expect(server.headersTimeout).toBe(15_000);
  expect(server.keepAliveTimeout).toBe(65_000);
  expect(server.maxConnections).toBe(10_000);
  // Whole requests are bounded by `limitBodyTime`, because uploads need longer than anything else may.
  expect(server.requestTimeout).toBe(0);
});

test("a client that sends more than is taken gets its answer, and the connection does not hang", async () => {
  const socket = connect(port, "127.0.0.1");
  socket.on("error", () => undefined);
  socket.write(
    `POST /api/v2/small HTTP/1.1\r\nHost: x\r\nContent-Length: 5000000\r\n\r\n${"x".repeat(100_000)}`,
  );
  const [first] = (await once(socket, "data")) as [Buffer];
  expect(first.toString()).toMatch(/^HTTP\/1.1 413 /);
  socket.destroy();
});

test("a client that leaves is logged as such", async () => {
  const socket = connect(port, "127.0.0.1");
  socket.on("error", () => undefined);
  socket.write("GET /api/v2/slow HTTP/1.1\r\nHost: x\r\n\r\n");
  await entered.promise;
  socket.destroy();
  await vi.waitFor(() => expect(api.logLines.join("")).toContain('"status":499'));
});

describe("closing", () => {
  test("lets a running request finish and then ends its connection", async () => {
    const agent = new Agent({ keepAlive: true });
    const answer = get("/api/v2/slow", agent);
    await entered.promise;
    const closed = api.server.close();
    release.resolve("done");
    const { response, body } = await answer;
    expect(response.statusCode).toBe(200);
    expect(JSON.parse(body).data).toBe("done");
    const started = performance.now();
    await closed;
    expect(performance.now() - started).toBeLessThan(5_000);
    agent.destroy();
  });

  test("takes no new requests, on old connections or new ones", async () => {
    const first = connect(port, "127.0.0.1");
    first.write("GET /api/v2/slow HTTP/1.1\r\nHost: x\r\n\r\n");
    await entered.promise;
    const closed = api.server.close();
    await refused();
    // Pipelined behind the running one: it is answered, but not done.
    first.write("GET /api/v2/slow HTTP/1.1\r\nHost: x\r\n\r\n");
    const rest = text(first);
    await once(api.server.server, "request");
    release.resolve("done");
    const all = await rest;
    expect(all).toContain("HTTP/1.1 200 OK");
    expect(all.slice(all.indexOf("done"))).toMatch(/HTTP\/1.1 503 .*stopping/s);
    await closed;
  });

  test("ends idle connections at once", async () => {
    const agent = new Agent({ keepAlive: true });
    await get("/healthz", agent);
    const started = performance.now();
    await api.server.close();
    expect(performance.now() - started).toBeLessThan(2_000);
    agent.destroy();
  });

  test("cuts off what still runs after ten seconds", async () => {
    const answer = get("/api/v2/slow").catch((error: NodeJS.ErrnoException) => error.code);
    await entered.promise;
    vi.useFakeTimers({ toFake: ["setTimeout", "clearTimeout"] });
    try {
      const closed = api.server.close();
      await refused();
      await vi.advanceTimersByTimeAsync(10_001);
      expect(await answer).toBe("ECONNRESET");
      release.resolve("nobody listens");
      await closed;
    } finally {
      vi.useRealTimers();
    }
  });

  /** Resolves when the server takes no connections any more. */
  async function refused(): Promise<void> {
    for (;;) {
      const socket: Socket = connect(port, "127.0.0.1");
      const error = await new Promise<Error | undefined>((resolve) => {
        socket.once("connect", () => resolve(undefined));
        socket.once("error", resolve);
      });
      socket.destroy();
      if (error !== undefined) return;
    }
  }
});

describe("bodies", () => {
  class Incoming extends EventEmitter {
    complete = false;
    destroyed = false;
    reason: Error | undefined;
    resumed = 0;
    headers: Record<string, string>;
    socket = Object.assign(new EventEmitter(), {
      idleMs: 0,
      destroyed: false,
      destroy() {
        this.destroyed = true;
      },
      setTimeout(ms: number, onIdle?: () => void) {
        this.idleMs = ms;
        if (onIdle !== undefined) (this as unknown as EventEmitter).once("timeout", onIdle);
      },
    });
    constructor(headers: Record<string, string>) {
      super();
      this.headers = headers;
    }
    destroy(reason: Error) {
      this.destroyed = true;
      this.reason = reason;
      this.emit("close");
    }
    resume() {
      this.resumed++;
    }
    get asRequest() {
      return this as unknown as IncomingMessage;
    }
  }

  beforeEach(() => void vi.useFakeTimers());
  afterEach(() => void vi.useRealTimers());

  test("have five minutes to arrive", () => {
    const request = new Incoming({ "content-length": "10" });
    limitBodyTime(request.asRequest);
    vi.advanceTimersByTime(299_999);
    expect(request.destroyed).toBe(false);
    vi.advanceTimersByTime(1);
    expect(request.reason?.message).toBe("the body took too long");
  });

  test("that arrived have no limit any more", () => {
    const request = new Incoming({ "transfer-encoding": "chunked" });
    limitBodyTime(request.asRequest);
    request.emit("end");
    vi.advanceTimersByTime(1_000_000);
    expect(request.destroyed).toBe(false);
  });

  test("that are not there need none", () => {
    limitBodyTime(new Incoming({}).asRequest);
    limitBodyTime(new Incoming({ "content-length": "0" }).asRequest);
    expect(vi.getTimerCount()).toBe(0);
  });

  test("that are uploads take as long as they need, but do not pause", () => {
    const request = new Incoming({
      "content-length": "10",
      "content-type": "multipart/form-data; boundary=x",
    });
    limitBodyTime(request.asRequest);
    vi.advanceTimersByTime(10_000_000);
    expect(request.destroyed).toBe(false);
    expect(request.socket.idleMs).toBe(60_000);
    request.socket.emit("timeout");
    expect(request.reason?.message).toBe("the upload paused for too long");
    expect(request.socket.idleMs).toBe(0);
  });

  test("that nobody reads are thrown away for ten seconds", () => {
    const request = new Incoming({});
    lingerOver(request.asRequest);
    expect(request.resumed).toBe(1);
    vi.advanceTimersByTime(10_000);
    expect(request.socket.destroyed).toBe(true);
    const done = Object.assign(new Incoming({}), { complete: true });
    lingerOver(done.asRequest);
    expect(done.resumed).toBe(0);
  });
});
