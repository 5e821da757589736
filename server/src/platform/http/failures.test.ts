import { afterAll, beforeAll, describe, expect, test } from "vitest";
import type { TestApi } from "../../../../test/harness/api.ts";
import { canary, faults, probeApi, thing } from "../../../../test/harness/probe.ts";
import { Problem } from "../problem.ts";

let api: TestApi;
beforeAll(async () => {
  api = await probeApi();
});
afterAll(() => api.close());

describe("errors", () => {
  test("of fields have a message per field, in both places", async () => {
    const answer = await api.call("POST", "/things", {
      token: "all",
      body: { name: "", tags: ["a", 1], inner: { a: "x" } },
    });
    const errors = {
      name: ["must not be empty"],
      "tags.1": ["must be a text"],
      "inner.a": ["must be a number"],
    };
    expect(answer.json).toEqual({
      code: 400,
      message: "name: must not be empty (and 2 more)",
      request_id: answer.headers["x-request-id"],
      errors,
      data: { errors },
    });
  });

  test.each([
    ["{", "The body is not JSON"],
    ['{"name": nope}', "The body is not JSON"],
    ["name=n", "The body is not JSON"],
    ['{"name":"n","__proto__":{"x":1}}', "The body has a member named __proto__"],
    ['{"name":"n","\\u005f_proto__":{"x":1}}', "The body has a member named __proto__"],
    [
      `{"name":"n","fields":${'{"a":'.repeat(200)}1${"}".repeat(200)}}`,
      "The body nests deeper than 100 levels",
    ],
  ])("of the body %s", async (body, message) => {
    const answer = await api.call("POST", "/things", {
      token: "all",
      body,
      headers: { "content-type": "application/json" },
    });
    expect(answer.status).toBe(400);
    expect(answer.json.message).toContain(message);
    expect(({} as { x?: number }).x).toBeUndefined();
  });

  test("of a body that is no text", async () => {
    const answer = await api.call("POST", "/things", { token: "all", body: Buffer.from([0x7b, 0xff, 0x7d]) });
    expect(answer.json).toMatchObject({ code: 400, message: "The body is not UTF-8 text" });
  });

  test("brackets in texts do not count as depth", async () => {
    const name = `${"[".repeat(500)}"\\${"{".repeat(500)}`;
    const answer = await api.call("POST", "/things", { token: "all", body: { name } });
    expect(answer.json.data.name).toBe(name);
  });

  test("an id that is none is not found, another parameter is wrong", async () => {
    for (const wrong of ["abc", "%00", "5D1C9F2A8B3E4C0017A6D2F1", `${thing}0`]) {
      const answer = await api.call("GET", `/things/${wrong}`, { token: "basic" });
      expect(answer.json).toMatchObject({ code: 404, message: "Resource not found" });
    }
  });

  test("unknown paths are not found, whatever is sent there", async () => {
    for (const path of ["/api/v2/nothing", "/api/v3/list", "/x", "/api/v2", "/api/v2/echo/1/2"]) {
      const answer = await api.call("POST", path, {
        body: "{",
        headers: { "content-type": "application/json" },
      });
      expect(answer.json).toEqual({
        code: 404,
        message: "Resource not found",
        request_id: answer.headers["x-request-id"],
      });
    }
  });

  test("another method of a known path is not allowed", async () => {
    const answer = await api.call("PATCH", `/things/${thing}`, { body: "{" });
    expect(answer).toMatchObject({ status: 405, json: { code: 405 } });
    expect(answer.headers.allow).toBe("GET, DELETE, HEAD, OPTIONS");
    expect((await api.call("HEAD", "/things")).headers.allow).toBe("POST, PUT, OPTIONS");
    expect((await api.call("DELETE", "/api/2.0/list")).status).toBe(405);
  });

  test("a body too large, a type that cannot be meant", async () => {
    const large = await api.call("POST", "/things", { token: "all", body: { name: "x".repeat(1_100_000) } });
    expect(large.json).toMatchObject({ code: 413 });
    const headers = { "content-type": "multipart/form-data; boundary=x" };
    const form = await api.call("POST", "/things", { token: "all", body: "--x--", headers });
    expect(form.json).toMatchObject({ code: 415 });
  });

  test("addresses that are too long or broken", async () => {
    expect((await api.call("GET", `/echo/${"1".repeat(8_000)}`, { token: "basic" })).status).toBe(200);
    expect((await api.call("GET", `/echo/${"1".repeat(9_000)}`, { token: "basic" })).json).toMatchObject({
      code: 414,
    });
    expect((await api.call("GET", `/echo/1?${"a".repeat(33_000)}`, { token: "basic" })).json).toMatchObject({
      code: 414,
    });
    const broken = await api.call("GET", "/echo/%zz", { token: "basic" });
    expect(broken.json).toMatchObject({ code: 400 });
    expect(broken.json.request_id).toBe(broken.headers["x-request-id"]);
  });

  test("a fault of ours says nothing, and the log everything", async () => {
    faults.set("secret", new Error(`password of the database is ${canary}`));
    const answer = await api.call("GET", "/fault/secret", { mayFail: true });
    expect(answer.json).toEqual({
      code: 500,
      message: "Internal error",
      request_id: answer.headers["x-request-id"],
    });
    const line = api.logLines
      .map((text) => JSON.parse(text))
      .find((entry) => entry.err?.message.includes(canary));
    expect(line).toMatchObject({ level: "error", request_id: answer.headers["x-request-id"] });
  });

  test.each([
    ["something thrown that is no error", "text", 500],
    ["a problem with a pause", new Problem("conflict", "busy", { retryAfterSeconds: 7 }), 409],
    [
      "the database is away",
      Object.assign(new Error("x"), { code: "ECONNREFUSED", syscall: "connect" }),
      503,
    ],
    ["the database stops", Object.assign(new Error("x"), { code: "57P01" }), 503],
    ["the database starts", Object.assign(new Error("x"), { code: "57P03" }), 503],
    ["too many connections", Object.assign(new Error("x"), { code: "53300" }), 503],
    ["the disk is full", Object.assign(new Error("x"), { code: "53100" }), 503],
    ["a standby only reads", Object.assign(new Error("x"), { code: "25006" }), 503],
    ["the connection broke", Object.assign(new Error("x"), { code: "08006" }), 503],
    ["the driver's own words", new Error("Connection terminated unexpectedly"), 503],
    ["a cause below", new Error("outer", { cause: Object.assign(new Error("x"), { code: "57P03" }) }), 503],
    ["text that cannot be stored", Object.assign(new Error("x"), { code: "22021" }), 400],
    ["a constraint", Object.assign(new Error("x"), { code: "23505" }), 500],
  ])("%s", async (_name, error, status) => {
    faults.set("one", error);
    const answer = await api.call("GET", "/fault/one", { mayFail: true });
    expect(answer.json.code).toBe(status);
    expect(answer.status).toBe(status);
    if (status === 503) expect(Number(answer.headers["retry-after"])).toBeGreaterThan(0);
    if (status === 409) expect(answer.headers["retry-after"]).toBe("7");
  });
});
