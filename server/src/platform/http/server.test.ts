import { afterAll, beforeAll, expect, test } from "vitest";
import { z } from "zod";
import { type TestApi, testApi } from "../../../../test/harness/api.ts";
import { endpoint } from "./endpoint.ts";

let api: TestApi;
beforeAll(async () => {
  api = await testApi({
    withoutDatabase: true,
    endpoints: [
      endpoint({
        method: "GET",
        path: "/things/:id",
        access: "basic",
        summary: "One thing",
        reply: z.object({ id: z.string() }),
        handle: ({ params }) => params as unknown,
      }),
    ],
  });
  api.addCaller("secret", { accountId: "a" });
});
afterAll(() => api.close());

test("a period list keeps its plus signs", async () => {
  const answer = await api.call("GET", "/things/2015+2014", { token: "secret" });
  expect(answer.status).toBe(200);
  expect(answer.json).toEqual({ code: 200, message: "OK", profiling: null, data: { id: "2015+2014" } });
});
