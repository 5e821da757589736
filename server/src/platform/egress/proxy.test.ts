import { createServer, type IncomingMessage, request, type Server } from "node:http";
import { type AddressInfo, connect, createServer as createTcp } from "node:net";
import { text } from "node:stream/consumers";
import { afterAll, afterEach, beforeAll, describe, expect, test } from "vitest";
import { makeEgress } from "./egress.ts";
import { type EgressProxy, openProxy } from "./proxy.ts";

const listening = async (server: Server | ReturnType<typeof createTcp>) => {
  server.listen(0, "127.0.0.1");
  await new Promise((resolve) => server.once("listening", resolve));
  return (server.address() as AddressInfo).port;
};

describe("a proxy of the way out", () => {
  const asked: string[] = [];
  const site = createServer(async (incoming, response) => {
    asked.push(`${incoming.method} ${incoming.url} ${incoming.headers.host}`);
    if (incoming.url === "/big") return void response.end("x".repeat(100_000));
    if (incoming.url === "/broken") {
      response.writeHead(200, { "content-length": "100" });
      response.write("half", () => response.destroy());
      return;
    }
    response.writeHead(201, { "x-mine": "yes", "set-cookie": ["a=1", "b=2"] });
    response.end(`${await text(incoming)}|${incoming.headers["proxy-authorization"]}`);
  });
  const echo = createTcp((socket) => void socket.pipe(socket).on("error", () => undefined));
  let port = 0;
  let echoPort = 0;
  let proxy: EgressProxy;
  beforeAll(async () => {
    port = await listening(site);
    echoPort = await listening(echo);
  });
  afterAll(() => {
    site.closeAllConnections();
    site.close();
    echo.close();
  });
  afterEach(() => proxy.close());

  const open = async ({ allow = ["127.0.0.0/8"], bytesMax = 1_000_000, hosts = ["127.0.0.1"] } = {}) => {
    const egress = makeEgress({ allow, resolve: async () => ["127.0.0.1"] });
    proxy = await openProxy(egress, { allows: (host) => hosts.includes(host), bytesMax });
  };
  const login = () => ({
    "proxy-authorization": `Basic ${Buffer.from(`${proxy.username}:${proxy.password}`).toString("base64")}`,
  });
  /** What comes back for an address: status, headers and text, or the error. */
  const ask = (url: string, options: { body?: string; headers?: Record<string, string> } = {}) =>
    new Promise<{ status: number; headers: IncomingMessage["headers"]; text: string }>((resolve, reject) => {
      const { body, headers = login() } = options;
      const method = body === undefined ? "GET" : "POST";
      const sent = request({ host: "127.0.0.1", port: proxy.port, path: url, method, headers, agent: false });
      sent.once("error", reject).once("response", (answer) => {
        const { statusCode: status = 0, headers: got } = answer;
        text(answer).then((read) => resolve({ status, headers: got, text: read }), reject);
      });
      sent.end(body);
    });
  /** What a tunnel says first, and echoes. */
  const tunnel = (place: string, headers: Record<string, string> = login()) =>
    new Promise<{ status: number; echoed: string }>((resolve, reject) => {
      const sent = request({ host: "127.0.0.1", port: proxy.port, method: "CONNECT", path: place, headers });
      sent.once("error", reject).once("connect", (answer, socket) => {
        const status = answer.statusCode ?? 0;
        if (status !== 200) {
          socket.destroy();
          resolve({ status, echoed: "" });
          return;
        }
        socket.once("data", (data: Buffer) => {
          socket.destroy();
          resolve({ status, echoed: data.toString() });
        });
        socket.write("hello");
      });
      sent.end();
    });

  test("passes requests and answers on, and keeps its own headers to itself", async () => {
    await open();
    const { status, headers, text: body } = await ask(`http://127.0.0.1:${port}/a?b=c`, { body: "sent" });
    expect([status, body, headers["x-mine"]]).toEqual([201, "sent|undefined", "yes"]);
    expect(headers["set-cookie"]).toEqual(["a=1", "b=2"]);
    expect(asked.at(-1)).toBe(`POST /a?b=c 127.0.0.1:${port}`);
    expect(await tunnel(`127.0.0.1:${echoPort}`)).toEqual({ status: 200, echoed: "hello" });
  });

  test("serves only whoever shows its password", async () => {
    await open();
    const before = asked.length;
    const strangers: Record<string, string>[] = [{}, { "proxy-authorization": "Basic bWV0ZXJ0cmVlOg==" }];
    for (const headers of strangers) {
      expect((await ask(`http://127.0.0.1:${port}/`, { headers })).status).toBe(407);
      expect((await tunnel(`127.0.0.1:${echoPort}`, headers)).status).toBe(407);
    }
    expect(asked.length).toBe(before);
  });

  test.each([
    ["a host that is not named", { hosts: ["other.example"] }],
    [
      "a named host whose address is private",
      { hosts: ["127.0.0.1", "inside.example"], allow: [] as string[] },
    ],
  ])("leads nowhere for %s", async (_, options) => {
    await open(options);
    const before = asked.length;
    for (const host of ["127.0.0.1", "inside.example"]) {
      // No answer at all: one of the proxy would look like the host's.
      await expect(ask(`http://${host}:${port}/`)).rejects.toThrow(/hang up|ECONNRESET/);
      expect((await tunnel(`${host}:${echoPort}`)).status).toBe(403);
    }
    await expect(ask("ftp://127.0.0.1/")).rejects.toThrow(/hang up|ECONNRESET/);
    expect(asked.length).toBe(before);
  });

  test("an answer that breaks off does not look whole, and a closed port is no answer", async () => {
    await open();
    await expect(ask(`http://127.0.0.1:${port}/broken`)).rejects.toThrow(/aborted|hang up|ECONNRESET/);
    await expect(ask("http://127.0.0.1:9/")).rejects.toThrow(/hang up|ECONNRESET/);
    expect((await tunnel("127.0.0.1:9")).status).toBe(502);
  });

  test("ends everything when more was fetched than it may", async () => {
    await open({ bytesMax: 150_000 });
    expect((await ask(`http://127.0.0.1:${port}/big`)).text).toHaveLength(100_000);
    expect(proxy.failure()).toBeUndefined();
    await expect(ask(`http://127.0.0.1:${port}/big`)).rejects.toThrow();
    expect(proxy.failure()?.reason).toBe("too_large");
    await expect(ask(`http://127.0.0.1:${port}/`)).rejects.toThrow();
    expect((await tunnel(`127.0.0.1:${echoPort}`)).status).toBe(502);
  });

  test("closing it ends tunnels that are open", async () => {
    await open();
    const socket = connect(proxy.port, "127.0.0.1");
    const ended = new Promise((resolve) => socket.once("close", resolve).on("error", () => undefined));
    const headers = `proxy-authorization: ${login()["proxy-authorization"]}`;
    socket.write(`CONNECT 127.0.0.1:${echoPort} HTTP/1.1\r\nhost: x\r\n${headers}\r\n\r\n`);
    await new Promise((resolve) => socket.once("data", resolve));
    await proxy.close();
    await ended;
  });
});
