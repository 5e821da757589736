import { gunzipSync, zstdDecompressSync } from "node:zlib";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { type TestApi, testApi } from "../../../../test/harness/api.ts";
import { canary, faults, probeApi, probeEndpoints, thing } from "../../../../test/harness/probe.ts";

let api: TestApi;
beforeAll(async () => {
  api = await probeApi();
});
afterAll(() => api.close());

describe("the envelope", () => {
  test("of one thing", async () => {
    const answer = await api.call("GET", `/things/${thing}`, { token: "basic" });
    expect(answer.text).toBe(`{"code":200,"message":"OK","profiling":null,"data":{"id":"${thing}"}}`);
    expect(answer.headers).toMatchObject({
      "content-type": "application/json; charset=utf-8",
      "cache-control": "no-store",
      "x-content-type-options": "nosniff",
      "referrer-policy": "no-referrer",
      "access-control-allow-origin": "*",
    });
    expect(answer.headers["content-security-policy"]).toContain("frame-ancestors 'none'");
  });

  test("of a list", async () => {
    const answer = await api.call("GET", "/list");
    expect(answer.json).toEqual({
      code: 200,
      message: "OK",
      profiling: null,
      count: 7,
      skip: 2,
      limit: 2,
      next_page: null,
      data: [1, 2],
    });
  });

  test("of nothing", async () => {
    expect((await api.call("POST", "/nobody")).json.data).toBeNull();
  });

  test("none around raw bytes and streams", async () => {
    expect((await api.call("GET", "/raw/bytes")).text).toBe("a;b");
    expect((await api.call("GET", "/raw/stream")).json).toHaveLength(5_000);
    expect((await api.call("GET", "/raw/unchanged")).status).toBe(304);
  });

  test("an ETag that the client has is answered with 304", async () => {
    for (const known of ['W/"v1"', '"v1"', '"v0", W/"v1"', "*"]) {
      const answer = await api.call("GET", `/things/${thing}`, {
        token: "basic",
        headers: { "if-none-match": known },
      });
      expect(answer).toMatchObject({ status: 304, text: "" });
      expect(answer.headers.etag).toBe('W/"v1"');
    }
    const other = await api.call("GET", `/things/${thing}`, {
      token: "basic",
      headers: { "if-none-match": '"v0"' },
    });
    expect(other.status).toBe(200);
    expect((await api.call("GET", "/raw/same", { headers: { "if-none-match": '"x"' } })).status).toBe(304);
  });

  test("a test server refuses an answer that is not what its endpoint says", async () => {
    await expect(api.call("GET", "/liar")).rejects.toThrow(/reply schema refuses: a:/);
    expect((await api.call("GET", "/liar", { mayFail: true })).status).toBe(500);
  });
});

describe("compression", () => {
  test.each([
    ["gzip", gunzipSync],
    ["zstd", zstdDecompressSync],
  ] as const)("%s of bytes and streams", async (encoding, expand) => {
    for (const kind of ["buffer", "stream"]) {
      const headers = { "accept-encoding": encoding };
      const response = await api.server.inject({ url: `/api/v2/raw/${kind}`, headers });
      expect(response.headers["content-encoding"]).toBe(encoding);
      expect(response.headers.vary).toContain("accept-encoding");
      expect(JSON.parse(expand(response.rawPayload).toString())).toHaveLength(5_000);
    }
  });

  test("not of small answers, nor unasked", async () => {
    expect(
      (await api.call("GET", "/list", { headers: { "accept-encoding": "gzip" } })).headers[
        "content-encoding"
      ],
    ).toBeUndefined();
    expect((await api.call("GET", "/raw/buffer")).headers["content-encoding"]).toBeUndefined();
  });
});

describe("the log", () => {
  test("has one line per request, with what is needed to find it", async () => {
    const from = api.logLines.length;
    await api.call("GET", "/echo/2015", {
      token: "basic",
      query: "a=1",
      headers: { "x-request-id": "mine-1" },
    });
    const lines = api.logLines.slice(from).map((text) => JSON.parse(text));
    expect(lines).toHaveLength(1);
    expect(lines[0]).toMatchObject({
      level: "info",
      msg: "request",
      request_id: "mine-1",
      method: "GET",
      route: "/echo/:period",
      status: 200,
      account: "a",
    });
    expect(lines[0].ms).toBeGreaterThanOrEqual(0);
  });

  test("uses the caller's request id when it is sane", async () => {
    const idOf = async (given: string) =>
      (await api.call("GET", "/list", { headers: { "x-request-id": given } })).headers["x-request-id"];
    expect(await idOf("abc-1.2_3")).toBe("abc-1.2_3");
    for (const bad of ["a b", 'a"b', "x".repeat(65), ""]) expect(await idOf(bad)).toMatch(/^[0-9a-f-]{36}$/);
  });

  test("never holds a credential or a body", async () => {
    const from = api.logLines.length;
    const headers = { cookie: `metertree_session=${canary}`, authorization: `Bearer ${canary}` };
    const body = { name: canary, password: canary, client_secret: canary };
    await api.call("POST", "/things", { headers, body });
    await api.call("PUT", "/things", { token: "all", body });
    await api.call("PUT", "/things", {
      token: "all",
      body: `{"name": ${canary}`,
      headers: { "content-type": "text/plain" },
    });
    await api.call("GET", "/echo/1", { query: `access_token=${canary}&x=${canary}` });
    await api.call("GET", "/nothing", { query: `access_token=${canary}` });
    await api.call("GET", `/echo/%zz?access_token=${canary}`);
    await api.call("GET", `/echo/1?a=${"a".repeat(33_000)}&access_token=${canary}`);
    faults.set(
      "canary",
      Object.assign(new Error(`at /x?access_token=${canary}`), { detail: canary, parameters: [canary] }),
    );
    await api.call("GET", "/fault/canary", { mayFail: true, headers });
    expect(api.logLines.length).toBeGreaterThan(from + 7);
    expect(api.logLines.slice(from).join("")).not.toContain(canary);
    expect((await api.call("GET", "/metrics")).text).not.toContain(canary);
  });

  test("no answer repeats a token from the address", async () => {
    for (const path of ["/nothing", "/echo/%zz", "/echo/1", `/echo/1?a=${"a".repeat(33_000)}`]) {
      const mark = path.includes("?") ? "&" : "?";
      const answer = await api.call("GET", `${path}${mark}access_token=${canary}&strict=true`);
      expect(answer.text + JSON.stringify(answer.headers)).not.toContain(canary);
    }
  });

  test("where tokens in addresses are switched off they are unknown parameters, still not logged", async () => {
    const off = await testApi({
      withoutDatabase: true,
      endpoints: probeEndpoints,
      settings: { tokenInQuery: false },
    });
    off.addCaller(canary, { accountId: "a" });
    expect((await off.call("GET", "/echo/1", { query: `access_token=${canary}` })).status).toBe(401);
    expect(off.logLines.join("")).not.toContain(canary);
    await off.close();
  });
});
