import type { FastifyInstance } from "fastify";
import { pause } from "../platform/pause.ts";
import { Problem } from "../platform/problem.ts";

/**
 * Asks the API as a client does, without a network; returns `data`, whose type the caller knows from the reference.
 * @throws Problem with the words of an answer that is no success
 */
// biome-ignore lint/suspicious/noExplicitAny: answers are those of our own endpoints
export type Ask = (method: "GET" | "POST" | "PUT", path: string, body?: object) => Promise<any>;

const busyMs = 1_000;

/** Requests to an API in this process with a token. */
export function makeAsk(app: FastifyInstance, token: string): Ask {
  const never = new AbortController().signal;
  return async (method, path, body) => {
    for (;;) {
      const answer = await app.inject({
        method,
        url: `/api/v2${path}`,
        headers: { authorization: `Bearer ${token}` },
        ...(body === undefined ? {} : { payload: body }),
      });
      const json = answer.json<{ data?: unknown; message?: string }>();
      if (answer.statusCode === 200) return json.data;
      // People use the same token, and its requests are counted.
      if (answer.statusCode !== 429) {
        throw new Problem("unavailable", `${method} ${path} answered ${answer.statusCode}: ${json.message}`);
      }
      await pause(busyMs, never);
    }
  };
}
