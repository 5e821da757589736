import { createServer, type RequestListener, type Server } from "node:http";
import type { AddressInfo } from "node:net";
import { Readable } from "node:stream";
import { afterEach, describe, expect, test } from "vitest";
import { EgressFailure, makeEgress } from "./egress.ts";
import { type Listener, listener } from "./harness.ts";

const egress = makeEgress({
  allow: ["127.0.0.1"],
  resolve: async (name) => (name === "inside.example" ? ["127.0.0.2"] : ["127.0.0.1"]),
});
const open: (Server | Listener)[] = [];

async function server(answer: RequestListener): Promise<string> {
  const made = createServer(answer);
  await new Promise<void>((resolve) => made.listen(0, "127.0.0.1", resolve));
  open.push(made);
  return `http://127.0.0.1:${(made.address() as AddressInfo).port}`;
}

afterEach(async () => {
  for (const each of open.splice(0)) {
    if ("closeAllConnections" in each) each.closeAllConnections();
    await each.close();
  }
});

async function failure(work: Promise<unknown>): Promise<EgressFailure> {
  const error = await work.catch((reason: unknown) => reason);
  expect(error).toBeInstanceOf(EgressFailure);
  return error as EgressFailure;
}

interface Seen {
  path: string;
  method: string;
  headers: Record<string, unknown>;
  body: string;
}

/** Answers by path, and notes what came. */
function noting(seen: Seen[], answers: Record<string, [number, Record<string, string>]>): RequestListener {
  return (request, response) => {
    const chunks: Buffer[] = [];
    request.on("data", (chunk) => chunks.push(chunk));
    request.on("end", () => {
      const path = request.url ?? "";
      const { method = "", headers } = request;
      seen.push({ path, method, headers, body: Buffer.concat(chunks).toString() });
      const [status, given] = answers[path] ?? [200, {}];
      response.writeHead(status, given).end(path);
    });
  };
}

describe("requests", () => {
  test("send method, headers and body, and give back what came", async () => {
    const seen: Seen[] = [];
    const url = await server(noting(seen, { "/made": [201, { "X-Made": "yes" }] }));
    const headers = { "Content-Type": "text/csv", "Content-Length": "3" };
    const answer = await egress.request(`${url}/made#part`, {
      method: "POST",
      headers,
      body: () => Readable.from([Buffer.from("a,b")]),
    });
    expect([answer.status, answer.headers["x-made"], answer.body.toString()]).toEqual([201, "yes", "/made"]);
    expect(seen[0]).toMatchObject({ method: "POST", body: "a,b", headers: { "content-type": "text/csv" } });
  });

  test("make a login of credentials in the address", async () => {
    const seen: Seen[] = [];
    const url = await server(noting(seen, {}));
    await egress.request(url.replace("://", "://us%C3%A9r:p%3Ass@"));
    const sent = Buffer.from(String(seen[0]?.headers.authorization).slice(6), "base64").toString();
    expect(sent).toBe("usér:p:ss");
  });

  test("refuse what is no web address", async () => {
    for (const url of ["ftp://a.example/", "file:///etc/passwd", "unix:/run/x", "data:,x", "nothing", ""]) {
      expect((await failure(egress.request(url))).retry).toBe("stop");
    }
  });

  test("follow redirects with method and body, as far as they may", async () => {
    const seen: Seen[] = [];
    const url = await server(
      noting(seen, {
        "/a": [301, { location: "/b" }],
        "/b": [307, { location: "/c" }],
        "/d": [303, { location: "/e" }],
      }),
    );
    const post = { method: "POST", body: "x", headers: { authorization: "Bearer t", "content-type": "a/b" } };
    expect((await egress.request(`${url}/a`, { ...post, redirectsMax: 2 })).body.toString()).toBe("/c");
    expect(seen.map(({ method, body }) => method + body)).toEqual(["POSTx", "POSTx", "POSTx"]);
    expect(seen[2]?.headers.authorization).toBe("Bearer t");
    expect((await egress.request(`${url}/a`, { ...post, redirectsMax: 1 })).status).toBe(307);
    expect((await egress.request(`${url}/a`, post)).status).toBe(301);
    seen.length = 0;
    await egress.request(`${url}/d`, { ...post, redirectsMax: 1 });
    expect(seen[1]).toMatchObject({ method: "GET", body: "" });
    expect(seen[1]?.headers["content-type"]).toBeUndefined();
  });

  test("never follow a redirect to a private address", async () => {
    const inside = await listener("127.0.0.2");
    open.push(inside);
    for (const place of [
      `127.0.0.2:${inside.port}`,
      `inside.example:${inside.port}`,
      "169.254.169.254",
      "0x7f.2",
    ]) {
      const url = await server((_, response) =>
        response.writeHead(301, { location: `http://${place}/` }).end(),
      );
      const { reason } = await failure(egress.request(url, { method: "POST", body: "x", redirectsMax: 5 }));
      expect([place, reason, inside.count()]).toEqual([place, "address_refused", 0]);
    }
  });

  test("never follow a redirect away from the web", async () => {
    for (const place of ["file:///etc/passwd", "ftp://127.0.0.1/", "gopher://127.0.0.1/", "http://"]) {
      const url = await server((_, response) => response.writeHead(302, { location: place }).end());
      expect((await failure(egress.request(url, { redirectsMax: 5 }))).reason).toBe("other");
    }
  });

  test("give another origin nothing that lets somebody in", async () => {
    const seen: Seen[] = [];
    const other = await server(noting(seen, {}));
    const url = await server((_, response) => response.writeHead(307, { location: `${other}/x` }).end());
    const headers = {
      Authorization: "Bearer t",
      Cookie: "a=b",
      "X-Api-Key": "k",
      "webhook-signature": "s",
      "Content-Type": "a/b",
    };
    await egress.request(url.replace("://", "://user:pass@"), {
      method: "POST",
      headers,
      body: "x",
      redirectsMax: 1,
    });
    expect(seen[0]?.headers["content-type"]).toBe("a/b");
    expect(Object.keys(seen[0]?.headers ?? {}).sort()).toEqual(
      expect.not.arrayContaining(["authorization", "cookie", "x-api-key", "webhook-signature"]),
    );
  });

  test("end with an answer that never ends, drips, or is cut", async () => {
    const endless = await server((_, response) => {
      const more = () => void (response.writable && response.write("x".repeat(10_000), more));
      more();
    });
    expect((await failure(egress.request(endless))).reason).toBe("too_large");
    const drip = await server((_, response) => {
      response.write("x");
      const timer = setInterval(() => response.write("x"), 20);
      response.on("close", () => clearInterval(timer));
    });
    expect((await failure(egress.request(drip, { timeoutMs: 100 }))).reason).toBe("no_connection");
    const cut = await server((_, response) => {
      response.writeHead(200, { "content-length": "100" });
      response.write("x", () => response.destroy());
    });
    expect((await failure(egress.request(cut))).reason).toBe("no_connection");
    const headless = await server((request) => request.socket.destroy());
    expect((await failure(egress.request(headless))).reason).toBe("no_connection");
  });

  test("never send a header with a line break", async () => {
    const seen: Seen[] = [];
    const url = await server(noting(seen, {}));
    await failure(egress.request(url, { headers: { "x-name": "a\r\nx-other: b" } }));
    expect(seen).toEqual([]);
  });
});
