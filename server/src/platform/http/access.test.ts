import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { type TestApi, testApi } from "../../../../test/harness/api.ts";
import { probeApi, probeEndpoints } from "../../../../test/harness/probe.ts";

let api: TestApi;
beforeAll(async () => {
  api = await probeApi();
});
afterAll(() => api.close());

describe("access", () => {
  test("401 only for the credential itself", async () => {
    for (const headers of [
      {},
      { authorization: "" },
      { authorization: "Bearer wrong" },
      { authorization: "Basic x" },
    ]) {
      const answer = await api.call("GET", "/echo/1", { headers: headers as Record<string, string> });
      expect(answer.json.code).toBe(401);
      expect(answer.headers["www-authenticate"]).toBe("Bearer");
    }
  });

  test("403 for a scope that is missing, before the body is looked at", async () => {
    const answer = await api.call("POST", "/things", { token: "basic", body: "{" });
    expect(answer.json).toMatchObject({ code: 403, message: "The token lacks the scope write_meters" });
    expect(answer.headers["www-authenticate"]).toBeUndefined();
  });

  test("403 for an account to act in that is not the caller's", async () => {
    const answer = await api.call("GET", "/echo/1", {
      token: "basic",
      headers: { "X-Subaccount": "foreign" },
    });
    expect(answer.status).toBe(403);
    const own = await api.call("GET", "/echo/1", { token: "basic", headers: { "X-Subaccount": "own" } });
    expect(own.json.data.account).toBe("own");
  });

  test("nobody is needed, or nobody is enough", async () => {
    expect((await api.call("POST", "/nobody", { token: "wrong" })).status).toBe(200);
    expect((await api.call("GET", "/list")).status).toBe(200);
    expect((await api.call("GET", "/list", { token: "basic" })).status).toBe(200);
    expect((await api.call("GET", "/list", { token: "wrong" })).status).toBe(401);
  });

  const session = (role: string) => ({ cookie: `other=1; metertree_session=${role}` });
  test("roles of persons", async () => {
    const allowed: [string, string, string[]][] = [
      ["GET", "/person", ["administrator", "editor", "reader"]],
      ["PUT", "/things", ["administrator", "editor"]],
      ["POST", "/administer", ["administrator"]],
    ];
    for (const [method, path, roles] of allowed) {
      for (const role of ["administrator", "editor", "reader"]) {
        const body = method === "GET" ? undefined : { name: "n" };
        const { status } = await api.call(method, path, { headers: session(role), body });
        expect(status, `${role} ${method} ${path}`).toBe(roles.includes(role) ? 200 : 403);
      }
    }
    expect((await api.call("GET", "/person", { token: "all" })).status).toBe(403);
  });

  test("a page of another site does not write with a session", async () => {
    const ask = async (method: string, headers: Record<string, string>) => {
      const body = method === "GET" ? undefined : { name: "n" };
      const path = method === "GET" ? "/person" : "/things";
      return (await api.call(method, path, { body, headers: { ...session("editor"), ...headers } })).status;
    };
    expect(await ask("PUT", { origin: "http://metertree.test" })).toBe(200);
    expect(await ask("PUT", { origin: "http://here:1", host: "here:1" })).toBe(200);
    expect(await ask("PUT", { origin: "http://evil.test" })).toBe(403);
    expect(await ask("PUT", { origin: "null" })).toBe(403);
    expect(await ask("PUT", { "sec-fetch-site": "cross-site" })).toBe(403);
    expect(await ask("GET", { origin: "http://evil.test" })).toBe(200);
    expect(await ask("PUT", { origin: "http://evil.test", authorization: "Bearer all" })).toBe(200);
  });
});

describe("pages of other origins", () => {
  const origin = "http://app.test";

  test("may ask first", async () => {
    const answer = await api.call("OPTIONS", "/things", {
      headers: {
        origin,
        "access-control-request-method": "DELETE",
        "access-control-request-headers": "x-subaccount",
      },
    });
    expect(answer.status).toBe(204);
    expect(answer.headers).toMatchObject({
      "access-control-allow-origin": "*",
      "access-control-allow-methods": "GET, POST, PUT, DELETE",
      "access-control-allow-headers": "Authorization, Content-Type, X-Subaccount, X-Organization",
    });
    expect(answer.headers["access-control-allow-credentials"]).toBeUndefined();
  });

  test("may read the answer and its headers, of errors too", async () => {
    for (const token of ["basic", "wrong"]) {
      const { headers } = await api.call("GET", "/echo/1", { token, headers: { origin } });
      expect(headers["access-control-allow-origin"]).toBe("*");
      expect(headers["access-control-expose-headers"]).toBe(
        "X-Ignored-Parameters, Retry-After, ETag, X-Request-Id",
      );
    }
  });

  test("use sessions only from a list of origins", async () => {
    const listed = await testApi({ withoutDatabase: true, endpoints: probeEndpoints, origins: [origin] });
    const good = await listed.call("GET", "/list", { headers: { origin } });
    expect(good.headers["access-control-allow-origin"]).toBe(origin);
    expect(good.headers["access-control-allow-credentials"]).toBe("true");
    const bad = await listed.call("GET", "/list", { headers: { origin: "http://evil.test" } });
    expect(bad.headers["access-control-allow-origin"]).toBeUndefined();
    await listed.close();
  });
});

describe("limits", () => {
  test("each credential, each address, and failures by address", async () => {
    const limited = await testApi({
      withoutDatabase: true,
      endpoints: probeEndpoints,
      rate: { perSecond: 10, burst: 3 },
    });
    limited.addCaller("one", { accountId: "a" });
    limited.addCaller("two", { accountId: "a" });
    const statuses = async (path: string, token?: string) => {
      const list: number[] = [];
      for (let i = 0; i < 4; i++)
        list.push((await limited.call("GET", path, token === undefined ? {} : { token })).status);
      return list;
    };
    expect(await statuses("/echo/1", "one")).toEqual([200, 200, 200, 429]);
    expect(await statuses("/echo/1", "two")).toEqual([200, 200, 200, 429]);
    expect(await statuses("/echo/1", "wrong")).toEqual([401, 401, 401, 429]);
    expect(await statuses("/list")).toEqual([429, 429, 429, 429]);
    expect(await statuses("/nothing")).toEqual([429, 429, 429, 429]);
    expect(await statuses("/healthz")).toEqual([200, 200, 200, 200]);
    const answer = await limited.call("GET", "/echo/1", { token: "one" });
    expect(answer.headers["retry-after"]).toBe("1");
    expect(answer.json).toMatchObject({ code: 429 });
    limited.clock.advance(1_000);
    expect((await limited.call("GET", "/echo/1", { token: "one" })).status).toBe(200);
    await limited.close();
  });
});
