import { createHash } from "node:crypto";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { type TestApi, testSettings } from "../../../../test/harness/api.ts";
import { probeApi } from "../../../../test/harness/probe.ts";
import type { Check } from "./health.ts";
import { buildServer } from "./server.ts";

let api: TestApi;
beforeAll(async () => {
  api = await probeApi();
});
afterAll(() => api.close());

describe("the reference page", () => {
  test("is where the front door leads", async () => {
    const answer = await api.call("GET", "/");
    expect(answer.status).toBe(302);
    expect(answer.headers.location).toBe("/docs");
  });

  test("asks nobody but this server", async () => {
    const { text, headers } = await api.call("GET", "/docs");
    expect(headers["content-type"]).toBe("text/html; charset=utf-8");
    const sources = [...text.matchAll(/(?:src|href)="([^"]*)"/g)].map((match) => match[1]);
    expect(sources).toEqual(["/docs/js/scalar.js"]);
    expect(text).not.toMatch(/https?:\/\//);
    expect(text).toContain('"url": "/openapi.json"');
    expect(text).toContain('"telemetry": false');
    expect(text).toContain('"withDefaultFonts": false');
    const policy = headers["content-security-policy"]!;
    expect(policy).toContain("default-src 'none'");
    expect(policy).toContain("connect-src 'self'");
    expect(policy).not.toMatch(/https?:|\*|unsafe-eval/);
    const [, inline] = /<script type="text\/javascript">([\s\S]*?)<\/script>/.exec(text)!;
    expect(policy).toContain(`'sha256-${createHash("sha256").update(inline!).digest("base64")}'`);
  });

  test("brings its script along", async () => {
    const answer = await api.call("GET", "/docs/js/scalar.js");
    expect(answer.headers["content-type"]).toContain("javascript");
    expect(answer.headers["cache-control"]).toBe("public, max-age=86400");
    expect(answer.text.length).toBeGreaterThan(1_000_000);
    expect(answer.text).toContain("createApiReference");
  });

  test("describes the endpoints of this server", async () => {
    const answer = await api.call("GET", "/openapi.json");
    expect(answer.json.paths["/things/{id}"].get.operationId).toBe("getThingsById");
    const again = await api.call("GET", "/openapi.json", {
      headers: { "if-none-match": answer.headers.etag! },
    });
    expect(again).toMatchObject({ status: 304, text: "" });
  });
});

describe("health", () => {
  let checks: () => Promise<Record<string, Check>>;
  const asked = { count: 0 };
  const server = (metricsToken?: string) =>
    buildServer({
      endpoints: [],
      deps: { ...api.deps, settings: testSettings },
      authenticate: async () => null,
      version: "9.9.9",
      ready: () => {
        asked.count++;
        return checks();
      },
      ...(metricsToken === undefined ? {} : { metricsToken }),
    });

  test("alive is whoever answers", async () => {
    expect((await api.call("GET", "/healthz")).json).toEqual({ status: "ok" });
    expect((await api.call("HEAD", "/healthz")).status).toBe(200);
  });

  test("ready is who can work; reasons stay in the log", async () => {
    const app = server();
    checks = async () => ({ database: { ok: true }, jobs: { ok: true } });
    const good = await app.inject("/readyz");
    expect(good.json()).toEqual({ status: "ok", checks: { database: "ok", jobs: "ok" } });
    checks = async () => ({ database: { ok: false, message: "no route to db7" }, jobs: { ok: true } });
    const bad = await app.inject("/readyz");
    expect(bad.statusCode).toBe(503);
    expect(bad.json()).toEqual({ status: "unavailable", checks: { database: "failing", jobs: "ok" } });
    expect(api.logLines.join("")).toContain("no route to db7");
    checks = () => Promise.reject(new Error("broken"));
    expect((await app.inject("/readyz")).json()).toEqual({
      status: "unavailable",
      checks: { checks: "failing" },
    });
    await app.close();
  });

  test("many askers are one look", async () => {
    const app = server();
    const gate = Promise.withResolvers<Record<string, Check>>();
    checks = () => gate.promise;
    await app.ready();
    asked.count = 0;
    const answers = Array.from({ length: 20 }, () =>
      app.inject("/readyz").then((answer) => answer.statusCode),
    );
    await expect.poll(() => asked.count).toBe(1);
    gate.resolve({ database: { ok: true } });
    expect(await Promise.all(answers)).toEqual(Array(20).fill(200));
    expect(asked.count).toBe(1);
    await app.close();
  });

  test("metrics count requests by route, not by address", async () => {
    const { text } = await api.call("GET", "/metrics");
    await api.call("GET", "/echo/2015", { token: "basic" });
    await api.call("GET", "/echo/2016", { token: "basic" });
    await api.call("GET", "/api/v2/not/there");
    const after = (await api.call("GET", "/metrics")).text;
    expect(text).toContain('metertree_build_info{version="0.0.0-test"');
    expect(after).toContain(
      'metertree_http_request_seconds_count{route="/echo/:period",method="GET",status="200"} 2',
    );
    expect(after).toContain('route="unknown",method="GET",status="404"');
    expect(after).not.toContain("2015");
  });

  test("metrics are for this machine only, and not through a proxy", async () => {
    for (const remoteAddress of ["127.0.0.1", "::1", "::ffff:127.0.0.1"]) {
      expect((await api.server.inject({ url: "/metrics", remoteAddress })).statusCode).toBe(200);
    }
    expect((await api.server.inject({ url: "/metrics", remoteAddress: "192.0.2.1" })).statusCode).toBe(403);
    for (const header of ["x-forwarded-for", "forwarded", "via", "x-real-ip"]) {
      expect((await api.server.inject({ url: "/metrics", headers: { [header]: "x" } })).statusCode).toBe(403);
    }
  });

  test("or for whoever has the token", async () => {
    const app = server("m3trics");
    const ask = (authorization: string) =>
      app.inject({ url: "/metrics", remoteAddress: "192.0.2.1", headers: { authorization } });
    expect((await ask("Bearer m3trics")).statusCode).toBe(200);
    expect((await ask("Bearer wrong")).statusCode).toBe(403);
    expect((await app.inject("/metrics")).statusCode).toBe(403);
    await app.close();
  });

  test("a proxy is believed only when it is trusted", async () => {
    const far = {
      url: "/api/v2/echo/1",
      headers: { authorization: "Bearer basic", "x-forwarded-for": "203.0.113.9" },
    };
    expect((await api.server.inject(far)).json().data.remoteAddress).toBe("127.0.0.1");
    const behind = await probeApi({ trustedProxies: ["127.0.0.0/8"] });
    expect((await behind.server.inject(far)).json().data.remoteAddress).toBe("203.0.113.9");
    await behind.close();
  });
});
