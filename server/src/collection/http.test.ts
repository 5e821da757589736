import { createServer, type IncomingMessage, type Server, type ServerResponse } from "node:http";
import type { AddressInfo } from "node:net";
import { afterAll, beforeAll, beforeEach, describe, expect, test } from "vitest";
import { makeEgress } from "../platform/egress/egress.ts";
import { type Http, ProviderFailure } from "./connector.ts";
import { type HttpOptions, openHttp, type TraceLine } from "./http.ts";
import { makeScrubber } from "./scrub.ts";

/** A server that does what a test says, at two addresses that are different origins. */
let server: Server;
let at: string;
let elsewhere: string;
let handle: (request: IncomingMessage & { body: string }, response: ServerResponse) => void;
let seen: (IncomingMessage & { body: string })[];

beforeAll(async () => {
  server = createServer(async (request, response) => {
    const chunks = await request.toArray();
    const full = Object.assign(request, { body: Buffer.concat(chunks as Buffer[]).toString() });
    seen.push(full);
    handle(full, response);
  });
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  const { port } = server.address() as AddressInfo;
  at = `http://127.0.0.1:${port}`;
  elsewhere = `http://localhost:${port}`;
});
afterAll(() => new Promise((resolve) => server.close(resolve)));
beforeEach(() => {
  seen = [];
  handle = (_, response) => response.end("ok");
});

const egress = makeEgress({ allow: ["127.0.0.0/8"], resolve: async () => ["127.0.0.1"] });
afterAll(() => egress.close());

function open(more: Partial<HttpOptions> = {}): { http: Http; trace: TraceLine[]; slots: () => number } {
  const trace: TraceLine[] = [];
  let slots = 0;
  const http = openHttp({
    egress,
    scrubber: makeScrubber(["hunter2 secret"]),
    now: () => 1_000,
    signal: new AbortController().signal,
    slot: async () => void slots++,
    trace: (line) => void trace.push(line),
    ...more,
  });
  return { http, trace, slots: () => slots };
}

const failureOf = async (work: Promise<unknown>): Promise<ProviderFailure> => {
  const error = await work.catch((thrown: unknown) => thrown);
  expect(error).toBeInstanceOf(ProviderFailure);
  return error as ProviderFailure;
};

describe("requests of a visit", () => {
  test("are answered with what came, also when it only looks like JSON with a token", async () => {
    const scrubber = makeScrubber();
    const { http } = open({ scrubber });
    handle = (_, response) => {
      response.setHeader("content-type", "application/json");
      response.end('{"access_token": "half-a\\qtoken", "note": "');
    };
    expect((await http.send(`${at}/`)).text()).toContain("half-a");
    expect(scrubber.scrub("half-a\\qtoken")).toBe("********");
  });

  test("name the tighter limit that they fall under", async () => {
    const limits: (string | undefined)[] = [];
    const { http } = open({ slot: async (limit) => void limits.push(limit) });
    await http.send(at);
    await http.send(at, { limit: "token" });
    expect(limits).toEqual([undefined, "token"]);
  });

  test("keep cookies, follow redirects after a form, and take a place for each hop", async () => {
    handle = (request, response) => {
      if (request.url === "/login") {
        response.setHeader("set-cookie", [
          "sid=s3ss10n; Path=/; HttpOnly; Expires=Wed, 21 Oct 2099 07:28:00 GMT",
          "theme=dark; Path=/; Max-Age=100",
          "other=1; Domain=example.com",
        ]);
        response.writeHead(302, { location: "/home" }).end();
      } else response.end(`${request.method} ${request.headers.cookie}`);
    };
    const { http, slots, trace } = open();
    const answer = await http.send(`${at}/login`, { form: { user: "anna", password: "hunter2 secret" } });
    expect(answer.text()).toBe("GET sid=s3ss10n; theme=dark");
    expect([answer.url, slots(), http.cookie("sid", `${at}/x`)]).toEqual([`${at}/home`, 2, "s3ss10n"]);
    expect(seen[0]?.body).toBe("user=anna&password=hunter2+secret");
    expect(trace).toMatchObject([
      { method: "POST", status: 302, at: 1_000 },
      { method: "GET", status: 200, bytes: 27 },
    ]);
  });

  test("show another origin neither credentials nor forms", async () => {
    handle = (request, response) => {
      if (request.url === "/away") response.writeHead(302, { location: `${elsewhere}/there` }).end();
      else if (request.url === "/keep") response.writeHead(307, { location: `${elsewhere}/there` }).end();
      else response.end("there");
    };
    const { http } = open();
    await http.send(`${at}/away`, { headers: { Authorization: "Bearer x", Accept: "text/html" } });
    expect(seen[1]?.headers).toMatchObject({ accept: "text/html" });
    expect(seen[1]?.headers.authorization).toBeUndefined();
    expect((await http.send(`${at}/keep`, { form: { password: "p" } })).status).toBe(307);
    expect(seen).toHaveLength(3);
  });

  test.each([
    [500, {}, "unreachable", undefined],
    [503, {}, "unreachable", undefined],
    [503, { "retry-after": "40" }, "busy", 40],
    [429, { "retry-after": "7" }, "busy", 7],
    [429, {}, "busy", undefined],
  ] as const)("call %i with %j a failure", async (status, headers, kind, seconds) => {
    handle = (_, response) => response.writeHead(status, headers).end();
    const failure = await failureOf(open().http.send(at));
    expect([failure.kind, failure.retryAfterSeconds]).toEqual([kind, seconds]);
    expect((await open().http.send(at, { anyStatus: true })).status).toBe(status);
  });

  test("wait for a busy provider and ask again, for as long as it says, and not for ever", async () => {
    const answers = [
      [429, { "retry-after": "7" }],
      [503, { "retry-after": "Thu, 01 Jan 1970 00:00:31 GMT" }],
      [429, {}],
      [200, {}],
    ] as const;
    let at_ = 0;
    handle = (_, response) => {
      const [status, headers] = answers[at_++ % answers.length]!;
      response.writeHead(status, headers).end();
    };
    const waited: number[] = [];
    const wait = async (seconds: number) => void waited.push(seconds);
    expect((await open({ wait }).http.send(at, { form: { a: "1" } })).status).toBe(200);
    expect(waited).toEqual([7, 30, 20]);
    expect(seen.map(({ body }) => body)).toEqual(["a=1", "a=1", "a=1", "a=1"]);
    handle = (_, response) => response.writeHead(429).end();
    waited.length = 0;
    expect((await failureOf(open({ wait }).http.send(at))).kind).toBe("busy");
    expect(waited).toEqual([5, 10, 20, 40]);
    expect((await open({ wait }).http.send(at, { anyStatus: true })).status).toBe(429);
  });

  test("hand out what is no failure of the network, and read text and JSON", async () => {
    handle = (request, response) => {
      if (request.url === "/latin")
        response.writeHead(404, { "content-type": "text/html; charset=iso-8859-1" }).end(Buffer.from([0xe5]));
      else response.end(request.url === "/json" ? request.body : "<html>");
    };
    const { http } = open();
    const missing = await http.send(`${at}/latin`);
    expect([missing.status, missing.text()]).toEqual([404, "å"]);
    expect((await http.send(`${at}/json`, { json: { a: 1 } })).json()).toEqual({ a: 1 });
    const page = await http.send(`${at}/page`);
    expect(() => page.json()).toThrow(ProviderFailure);
  });

  test("end with the run, and tell a provider that is gone from that", async () => {
    const gone = await failureOf(open().http.send("http://127.0.0.1:1/"));
    expect(gone.kind).toBe("unreachable");
    const private_ = await failureOf(
      open({ egress: makeEgress({ allow: [], resolve: async () => ["127.0.0.1"] }) }).http.send(at),
    );
    expect(private_.kind).toBe("unreachable");
    const controller = new AbortController();
    handle = () => controller.abort(new Error("stopped"));
    await expect(open({ signal: controller.signal }).http.send(at)).rejects.toThrow("stopped");
  });

  test("are traced without secrets", async () => {
    const { http, trace } = open();
    const query = { access_token: "abc", name: "hunter2 secret", day: "2026-01-01" };
    await http.send(`${at}/data`, { query });
    expect(trace[0]?.url).toBe(`${at}/data?access_token=********&name=********&day=2026-01-01`);
  });
});
