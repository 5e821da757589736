import fc from "fast-check";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import type { TestApi } from "../../../../test/harness/api.ts";
import { probeApi, thing } from "../../../../test/harness/probe.ts";

let api: TestApi;
beforeAll(async () => {
  api = await probeApi();
});
afterAll(() => api.close());

describe("tolerance", () => {
  test.each(["/api/v2/echo/2015", "/api/2.0/echo/2015", "/api/v2/echo/2015/", "/api/v2//echo/2015//"])(
    "%s is the same endpoint",
    async (path) => {
      const answer = await api.call("GET", path, { token: "basic" });
      expect(answer.json.data.params).toEqual({ period: "2015" });
    },
  );

  test.each(["2015+2014", "2015%2B2014", "2015%2b2014"])(
    "a period list %s keeps its plus",
    async (period) => {
      const answer = await api.call("GET", `/echo/${period}`, { token: "basic" });
      expect(answer.json.data.params.period).toBe("2015+2014");
    },
  );

  test.each(["Bearer basic", "bearer basic", "BEARER  basic ", "OAuth basic", "oauth basic", "OAUTH basic"])(
    "the credential %j",
    async (authorization) => {
      expect((await api.call("GET", "/echo/1", { headers: { authorization } })).status).toBe(200);
    },
  );

  test.each([
    "access_token=basic",
    "a=1&access_token=basic&b=2",
    "access%5Ftoken=basic",
    "access_token=basic&access_token=x",
  ])("the token in the address: %s", async (query) => {
    const answer = await api.call("GET", "/echo/1", { query });
    expect(answer.status).toBe(200);
    expect(JSON.stringify(answer.json.data.search)).not.toContain("token");
    expect(answer.headers["x-ignored-parameters"] ?? "").not.toContain("token");
  });

  test.each([
    "metrics=a,b",
    "metrics=a&metrics=b",
    "metrics[]=a&metrics[]=b",
    "metrics%5B%5D=a&metrics%5B%5D=b",
  ])("a list as %s", async (query) => {
    const answer = await api.call("GET", "/echo/1", { token: "basic", query });
    expect(answer.json.data.query).toEqual({ metrics: ["a", "b"] });
  });

  test("parameters are texts and become what the schema says", async () => {
    const answer = await api.call("GET", "/echo/1", { token: "basic", query: "deep=true&count=7" });
    expect(answer.json.data.query).toEqual({ deep: true, count: 7 });
  });

  test("a parameter that is no list is given once", async () => {
    const answer = await api.call("GET", "/echo/1", { token: "basic", query: "one=a&one=b" });
    expect(answer.status).toBe(400);
    expect(answer.json.errors).toEqual({ one: ["must be a text, given only once"] });
  });

  const json = '{"name":"n"}';
  test.each([
    ["application/json", json],
    ["application/json; charset=utf-8", json],
    ["text/plain", json],
    ["text/plain;charset=UTF-8", `\ufeff${json}`],
    ["application/x-www-form-urlencoded", json],
    ["application/x-www-form-urlencoded", "name=n"],
    ["application/x-www-form-urlencoded; charset=UTF-8", "name=n"],
    ["application/octet-stream", ` \n${json}`],
    ["application/vnd.api+json", json],
    ["json", json],
    ["", json],
  ])("a body as %j: %j", async (type, body) => {
    const headers: Record<string, string> = type === "" ? {} : { "content-type": type };
    const answer = await api.call("POST", "/things", { token: "all", body: Buffer.from(body), headers });
    expect(answer.json.data).toEqual({ name: "n" });
  });

  test("a form repeats and brackets its lists", async () => {
    const headers = { "content-type": "application/x-www-form-urlencoded" };
    for (const body of ["name=a+b&tags=x&tags=y", "name=a%20b&tags[]=x&tags[]=y"]) {
      const answer = await api.call("POST", "/things", { token: "all", body, headers });
      expect(answer.json.data).toEqual({ name: "a b", tags: ["x", "y"] });
    }
  });

  test.each([
    [{ revoke_meters: true }, "Deleted true."],
    [undefined, "Deleted false."],
    ["", "Deleted false."],
  ])("DELETE with the body %j", async (body, message) => {
    const headers = { "content-type": "application/json" };
    const answer = await api.call("DELETE", `/things/${thing}`, { token: "all", body, headers });
    expect(answer.text).toBe(JSON.stringify({ code: 200, message }));
  });

  test("an empty body with a JSON content type, where none is wanted and where one is", async () => {
    const headers = { "content-type": "application/json" };
    expect((await api.call("POST", "/nobody", { body: "", headers })).status).toBe(200);
    const answer = await api.call("POST", "/things", { token: "all", body: "", headers });
    expect(answer.json.errors).toEqual({ name: ["is required"] });
  });

  test("a body that nobody wants may be anything", async () => {
    expect((await api.call("POST", "/nobody", { body: "{not json" })).status).toBe(200);
  });

  test("an empty object may be written as an empty list", async () => {
    const body = { name: "n", fields: [], inner: [], tags: [] };
    const answer = await api.call("PUT", "/things", { token: "all", body });
    expect(answer.json.data).toEqual({ name: "n", fields: {}, inner: {}, tags: [] });
    expect((await api.call("DELETE", `/things/${thing}`, { token: "all", body: [] })).status).toBe(200);
    const wrong = await api.call("PUT", "/things", { token: "all", body: { name: "n", inner: [1] } });
    expect(wrong.json.errors).toEqual({ inner: ["must be an object, given only once"] });
  });

  test("POST and PUT where both are listed", async () => {
    for (const method of ["POST", "PUT"]) {
      expect((await api.call(method, "/things", { token: "all", body: { name: "n" } })).status).toBe(200);
    }
  });

  test("HEAD for GET", async () => {
    const answer = await api.call("HEAD", `/things/${thing}`, { token: "basic" });
    expect(answer).toMatchObject({ status: 200, text: "" });
    expect(Number(answer.headers["content-length"])).toBeGreaterThan(50);
  });
});

describe("unknown parameters", () => {
  test("are ignored and named", async () => {
    const answer = await api.call("GET", "/echo/1", {
      token: "basic",
      query: "nme=x&name=y&stats.a=1&a,b=1&nme=z&%C3%A4=1",
    });
    expect(answer.status).toBe(200);
    expect(answer.headers["x-ignored-parameters"]).toBe("nme, a%2Cb, %C3%A4");
  });

  test("are an error when the caller is strict", async () => {
    const answer = await api.call("GET", "/echo/1", { token: "basic", query: "nme=x&name=y&strict=true" });
    expect(answer.status).toBe(400);
    expect(answer.json.errors).toEqual({ nme: ["is not a parameter of this endpoint"] });
    const right = await api.call("GET", "/echo/1", { token: "basic", query: "name=y&strict=true" });
    expect(right.json.data.search).toEqual([["name", "y"]]);
  });

  test("that only the handler can tell are named too, or refused", async () => {
    expect((await api.call("GET", "/list", { query: "name=x" })).headers["x-ignored-parameters"]).toBe(
      "sort",
    );
    expect((await api.call("GET", "/list", { query: "name=x&strict=1" })).status).toBe(400);
  });

  test("of a list are not its own", async () => {
    const answer = await api.call("GET", "/list", {
      query: "skip=1&limit=2&sort=a&q=b&offset=1&strict=true",
    });
    expect(answer.status).toBe(200);
  });

  test("in any number fit the header", async () => {
    const query = Array.from({ length: 2_000 }, (_, i) => `unknown${i}=`).join("&");
    const answer = await api.call("GET", "/echo/1", { token: "basic", query });
    expect(answer.headers["x-ignored-parameters"]!.length).toBeLessThan(1_100);
  });
});

test("no query string and no path makes a fault", async () => {
  const piece = fc.oneof(
    fc.string({ unit: "binary", maxLength: 20 }),
    fc.constantFrom(
      "metrics",
      "deep",
      "count",
      "one",
      "name",
      "stats.a",
      "strict",
      "access_token",
      "__proto__",
      "constructor",
    ),
    fc.constantFrom(
      "%",
      "%zz",
      "%00",
      "%C3",
      "[]",
      "[$ne]",
      "..",
      "+",
      "&&",
      "==",
      ";",
      "#",
      "<201503",
      "null",
      "1e400",
    ),
  );
  const pair = fc.tuple(piece, fc.boolean(), piece, piece).map(([name, encode, sign, value]) => {
    const text = (part: string) =>
      encode ? encodeURIComponent(part.toWellFormed()) : part.replace(/[^!-~]/g, "%E4");
    return `${text(name)}${text(sign)}=${text(value)}`;
  });
  await fc.assert(
    fc.asyncProperty(
      fc.array(pair, { maxLength: 12 }),
      fc.constantFrom("/echo/1", "/list", "/things/x"),
      async (pairs, path) => {
        const answer = await api.call("GET", path, {
          query: pairs.join("&"),
          headers: { authorization: "Bearer basic" },
        });
        expect([200, 400, 401, 404]).toContain(answer.status);
        expect(answer.json.code).toBe(answer.status);
      },
    ),
    { numRuns: 1_000 },
  );
  expect(Object.keys(Object.prototype)).toEqual([]);
});
