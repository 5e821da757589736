import { readFileSync } from "node:fs";
import { Webhook } from "standardwebhooks";
import { afterAll, afterEach, beforeAll, describe, expect, test } from "vitest";
import { type Certificates, makeCertificates } from "../../../../test/harness/servers/certificates.ts";
import { type Answer, type HttpServer, httpServer } from "../../../../test/harness/servers/http.ts";
import { listener } from "../../platform/egress/harness.ts";
import { testTarget } from "./all.ts";
import { deliveryId, failureOfDelivery, send, targetOf, thrown, type World, world } from "./harness.ts";

const secrets = [1, 2].map((byte) => `whsec_${Buffer.alloc(32, byte).toString("base64")}`) as [
  string,
  string,
];
const certificates = makeCertificates();

describe("HTTP", () => {
  let place: World;
  const servers: HttpServer[] = [];
  const start = async (options: Parameters<typeof httpServer>[0] = {}) => {
    const server = await httpServer(options);
    servers.push(server);
    return { server, url: `http://files.test:${server.port}/in?list=1` };
  };
  const status = (code: number, headers: Record<string, string> = {}): { answer: Answer } => ({
    answer: (_, response) => response.writeHead(code, headers).end("no"),
  });

  beforeAll(() => {
    place = world(certificates === null ? {} : { ca: certificates.ca });
  });
  afterEach(async () => {
    for (const server of servers.splice(0)) await server.close();
  });
  afterAll(() => place.close());

  test("a file is posted with a name, a type and an id that never changes", async () => {
    const { server, url } = await start();
    const file = place.file(300_000, { name: "x/Öl 1'(*).csv" });
    await send(place, { http: { url } }, { file });
    await send(place, { http: { url } }, { file });
    const [first, second] = server.received;
    expect(first?.body.equals(readFileSync(file.path))).toBe(true);
    expect(first).toMatchObject({ method: "POST", path: "/in?list=1" });
    expect(first?.headers).toMatchObject({
      "content-type": "text/csv",
      "content-length": "300000",
      "content-disposition": "attachment; filename*=UTF-8''x_%C3%96l%201%27%28%2A%29.csv",
      "idempotency-key": deliveryId,
    });
    expect(first?.headers["webhook-signature"]).toBeUndefined();
    expect(second?.headers["idempotency-key"]).toBe(deliveryId);
  });

  test("credentials of the address are sent as a login", async () => {
    const { server, url } = await start();
    await send(place, { http: { url: url.replace("://", "://me:s%20cret@") } }, { file: place.file("x") });
    const { authorization = "" } = server.received[0]!.headers;
    expect(Buffer.from(authorization.slice(6), "base64").toString()).toBe("me:s cret");
  });

  test("both secrets sign while they are exchanged, and each receiver can verify", async () => {
    const { server, url } = await start();
    const [secret, previous_secret] = secrets;
    const file = place.file("a;b\n");
    await send(place, { http: { url, secret, previous_secret } }, { file });
    const { headers, body } = server.received[0]!;
    // The clock of the test stands still in the past; verifiers go by the real one.
    const signed = headers as Record<string, string>;
    const at = new Date(Number(signed["webhook-timestamp"]) * 1000);
    expect(at.getTime()).toBe(place.deps.clock.now());
    const both = secrets.map((each) => new Webhook(each).sign(deliveryId, at, body.toString()));
    expect(signed["webhook-signature"]).toBe(both.join(" "));
    expect(signed["webhook-id"]).toBe(deliveryId);
  });

  test.each([
    [500, "server", "again"],
    [503, "server", "again"],
    [429, "server", "again"],
    [507, "full", "again"],
    [401, "login", "stop"],
    [403, "permission", "stop"],
    [404, "permission", "stop"],
    [413, "too_large", "stop"],
    [304, "other", "again"],
    [422, "other", "again"],
  ])("HTTP %i is %s", async (code, reason, retry) => {
    const { url } = await start(status(code));
    expect(await failureOfDelivery(send(place, { http: { url } }, { file: place.file("x") }))).toEqual([
      reason,
      retry,
    ]);
  });

  test("how long to wait is handed on", async () => {
    const { url } = await start(status(503, { "retry-after": "120" }));
    const failure = await thrown(send(place, { http: { url } }, { file: place.file("x") }));
    expect(failure.retryAfterSeconds).toBe(120);
  });

  test("an answer that is cut after 200 confirms nothing", async () => {
    const { url } = await start({
      answer: (_, response) => {
        response.writeHead(200, { "content-length": "10" });
        response.write("x", () => response.destroy());
      },
    });
    const failure = failureOfDelivery(send(place, { http: { url } }, { file: place.file("x") }));
    expect(await failure).toEqual(["no_connection", "again"]);
  });

  test("an answer without end is not read to it", async () => {
    const { url } = await start({
      answer: (_, response) => {
        const more = () => void (response.writable && response.write("x".repeat(10_000), more));
        more();
      },
    });
    const failure = failureOfDelivery(send(place, { http: { url } }, { file: place.file("x") }));
    expect(await failure).toEqual(["too_large", "stop"]);
  });

  test.each(["that drips", "that never comes"])("an answer %s is given up", async (kind) => {
    const { url } = await start({
      answer: (_, response) => {
        if (kind !== "that drips") return;
        const timer = setInterval(() => response.write("x"), 20);
        response.on("close", () => clearInterval(timer));
      },
    });
    const signal = AbortSignal.timeout(150);
    const failure = failureOfDelivery(send(place, { http: { url } }, { file: place.file("x"), signal }));
    expect(await failure).toEqual(["no_connection", "again"]);
  });

  test("a server that reads a byte a second is given up", async () => {
    const { url } = await start({ early: (request) => request.pause() !== undefined });
    const signal = AbortSignal.timeout(150);
    const failure = failureOfDelivery(
      send(place, { http: { url } }, { file: place.file(8_000_000), signal }),
    );
    expect(await failure).toEqual(["no_connection", "again"]);
  });

  test("a server that answers before it has read everything is heard", async () => {
    const { url } = await start({
      early: (request) => {
        request.socket.end("HTTP/1.1 413 Too Large\r\ncontent-length: 0\r\nconnection: close\r\n\r\n");
        return true;
      },
    });
    const [reason] = await failureOfDelivery(send(place, { http: { url } }, { file: place.file(4_000_000) }));
    // The answer can be lost when the connection is reset while we still send.
    expect(["too_large", "no_connection"]).toContain(reason);
  });

  test("a redirect is followed with the file, and never to a private address", async () => {
    const { server, url } = await start();
    const { url: from } = await start(status(308, { location: url }));
    await send(place, { http: { url: from } }, { file: place.file("whole file") });
    expect(server.received[0]?.body.toString()).toBe("whole file");
    const inside = await listener("127.0.0.2");
    for (const location of [`http://127.0.0.2:${inside.port}/`, `http://inside.test:${inside.port}/`]) {
      const { url: bad } = await start(status(301, { location }));
      const failure = failureOfDelivery(send(place, { http: { url: bad } }, { file: place.file("x") }));
      expect(await failure).toEqual(["address_refused", "stop"]);
    }
    expect(inside.count()).toBe(0);
    await inside.close();
  });

  test("a test posts nothing", async () => {
    const { server, url } = await start(status(405));
    const options = { deps: place.deps, id: "1", stepMs: 1 };
    await testTarget(targetOf({ http: { url } }), options);
    expect(server.received.map(({ method, body }) => [method, body.length])).toEqual([["OPTIONS", 0]]);
    const { url: closed } = await start(status(401));
    expect((await thrown(testTarget(targetOf({ http: { url: closed } }), options))).reason).toBe("login");
  });

  test("what an answer repeats of the secrets is not told", async () => {
    const { url } = await start({
      answer: (request, response) => {
        response.writeHead(500);
        response.end(`${request.url} ${request.headers.authorization}`);
      },
    });
    const secretUrl = url.replace("://", "://me:hunter22@").replace("list=1", "token=abc%20def");
    const failure = await thrown(send(place, { http: { url: secretUrl } }, { file: place.file("x") }));
    expect(failure.inner).toBe("HTTP 500: /in?token=******** Basic ********=");
  });

  test.skipIf(certificates === null)("certificates are checked", async () => {
    const { good, expired, other, unknown } = certificates ?? ({} as Certificates);
    const { server } = await start({ tls: good });
    await send(place, { http: { url: `https://files.test:${server.port}/` } }, { file: place.file("x") });
    expect(server.received).toHaveLength(1);
    for (const tls of [expired, other, unknown]) {
      const { server: bad } = await start({ tls });
      const http = { url: `https://files.test:${bad.port}/` };
      expect(await failureOfDelivery(send(place, { http }, { file: place.file("x") }))).toEqual([
        "certificate",
        "again",
      ]);
      expect(bad.received).toEqual([]);
    }
  });

  test.skipIf(certificates === null)("no redirect leads from https to http", async () => {
    const { server, url } = await start();
    const { server: from } = await start({
      tls: (certificates ?? ({} as Certificates)).good,
      ...status(307, { location: url }),
    });
    const http = { url: `https://files.test:${from.port}/` };
    expect((await failureOfDelivery(send(place, { http }, { file: place.file("x") })))[0]).toBe("other");
    expect(server.received).toEqual([]);
  });
});
