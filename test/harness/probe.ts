import { Readable } from "node:stream";
import { z } from "zod";
import { type Endpoint, endpoint, Message, Page, Raw } from "../../server/src/platform/http/endpoint.ts";
import { boolean, commaList, id, integer } from "../../server/src/platform/http/schema.ts";
import { Problem } from "../../server/src/platform/problem.ts";
import { type TestApi, type TestApiOptions, testApi } from "./api.ts";

/** An id that passes. */
export const thing = "5d1c9f2a8b3e4c0017a6d2f1";
/** A secret that must not turn up anywhere. */
export const canary = "c4n4ry5ecret";
/** What `/fault/:name` throws. */
export const faults = new Map<string, unknown>();

/** Endpoints that show what a handler gets. */
export const probeEndpoints: Endpoint[] = [
  endpoint({
    method: "GET",
    path: "/echo/:period",
    access: "basic",
    summary: "What came",
    query: z.object({
      metrics: commaList(z.string()).optional(),
      deep: boolean().optional(),
      count: integer().optional(),
      one: z.string().optional(),
    }),
    filters: (name) => name === "name" || name.startsWith("stats."),
    reply: z.any(),
    handle: ({ params, query, search, who, requestId, remoteAddress }) => ({
      params,
      query,
      search: [...search],
      account: who.accountId,
      requestId,
      remoteAddress,
    }),
  }),
  endpoint({
    method: "GET",
    path: "/things/:id",
    access: "basic",
    summary: "One thing",
    ids: { id: "meter" },
    params: z.object({ id: id() }),
    reply: z.object({ id: z.string() }),
    handle: ({ params, header }) => {
      header("ETag", 'W/"v1"');
      return { id: params.id };
    },
  }),
  ...(["POST", "PUT"] as const).map((method) =>
    endpoint({
      method,
      path: "/things",
      access: "write_meters",
      summary: "Takes a body",
      body: z.object({
        name: z.string().min(1),
        fields: z.record(z.string(), z.unknown()).optional(),
        tags: z.array(z.string()).optional(),
        inner: z.object({ a: z.number() }).partial().optional(),
      }),
      reply: z.any(),
      handle: ({ body }) => body,
    }),
  ),
  endpoint({
    method: "DELETE",
    path: "/things/:id",
    access: "write_meters",
    summary: "Deletes, with a body",
    body: z.object({ revoke_meters: z.boolean().default(false) }),
    reply: z.undefined(),
    handle: ({ body }) => new Message(`Deleted ${body.revoke_meters}.`),
  }),
  endpoint({
    method: "GET",
    path: "/list",
    access: "optional",
    summary: "A list",
    list: true,
    reply: z.array(z.number()),
    filters: (name) => name === "name",
    handle: ({ search, ignored }) => {
      if (search.has("name")) ignored("sort");
      return new Page([1, 2], { count: 7, skip: 2, limit: 2 }, { next_page: null });
    },
  }),
  endpoint({
    method: "POST",
    path: "/nobody",
    access: "public",
    summary: "No body wanted",
    reply: z.any(),
    handle: ({ who }) => who,
  }),
  endpoint({
    method: "GET",
    path: "/fault/:name",
    access: "public",
    summary: "Throws",
    reply: z.any(),
    handle: ({ params }) => {
      throw faults.get((params as unknown as { name: string }).name);
    },
  }),
  endpoint({
    method: "GET",
    path: "/raw/:kind",
    access: "public",
    summary: "Bytes",
    reply: z.any(),
    handle: ({ params, header }) => {
      const { kind } = params as unknown as { kind: string };
      const text = JSON.stringify(Array.from({ length: 5_000 }, (_, i) => i));
      if (kind === "same") header("ETag", '"x"');
      if (kind === "stream")
        return new Raw("application/json", Readable.from([text.slice(0, 9), text.slice(9)]));
      if (kind === "bytes") return new Raw("text/csv", new TextEncoder().encode("a;b"));
      if (kind === "unchanged") return new Raw("text/csv", Buffer.alloc(0), 304);
      return new Raw("application/json", Buffer.from(text));
    },
  }),
  endpoint({
    method: "GET",
    path: "/liar",
    access: "public",
    summary: "Answers something else than it says",
    reply: z.object({ a: z.number() }),
    handle: () => ({ a: "text" }),
  }),
  endpoint({
    method: "GET",
    path: "/person",
    access: "session",
    summary: "",
    reply: z.any(),
    handle: () => 1,
  }),
  endpoint({
    method: "POST",
    path: "/administer",
    access: "write_accounts",
    role: "administrator",
    summary: "",
    reply: z.any(),
    handle: () => 1,
  }),
];

type ProbeOptions = Omit<TestApiOptions, "endpoints" | "authenticate" | "withoutDatabase">;

/**
 * An API of endpoints that show what a handler gets. The token `basic` may read, `all` may everything; the value of
 * the session cookie is the role of the person.
 */
export async function probeApi(options: ProbeOptions = {}): Promise<TestApi> {
  const api: TestApi = await testApi({
    ...options,
    withoutDatabase: true,
    endpoints: probeEndpoints,
    authenticate: async ({ authorization, accessToken, cookie, subaccount }) => {
      const session = { kind: "session", accountId: "p", credentialId: "s" } as const;
      if (cookie !== null && authorization === null)
        return api.addCaller("s", { ...session, role: roleOf(cookie) });
      const token = accessToken ?? authorization?.replace(/^Bearer /, "");
      if (token !== "basic" && token !== "all") return null;
      if (subaccount === "foreign") throw new Problem("forbidden", "X-Subaccount is not yours");
      const scopes = new Set(token === "all" ? ["basic", "write_meters", "write_accounts"] : ["basic"]);
      return api.addCaller(token, { accountId: subaccount ?? "a", scopes });
    },
  });
  return api;
}

const roleOf = (cookie: string) => cookie as "administrator" | "editor" | "reader";
