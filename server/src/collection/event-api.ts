import { Readable } from "node:stream";
import { z } from "zod";
import { any, sql } from "../platform/db.ts";
import type { Deps } from "../platform/deps.ts";
import { type Caller, type Endpoint, endpoint, Lasting } from "../platform/http/endpoint.ts";
import { integer } from "../platform/http/schema.ts";
import { stopwatch } from "../platform/pause.ts";
import { Problem } from "../platform/problem.ts";
import { Watch } from "../platform/watch.ts";
import { reachConnection } from "./connection.ts";
import { oneConnection } from "./connection-api.ts";
import { connectionView, languageOfAccount, viewConnections } from "./connection-view.ts";

/** Proxies close what is silent for a minute. */
const keepAliveMs = 15_000;
const lookMs = 300;

const watches = new WeakMap<Deps, Watch<string>>();

/** One question to the database for everybody who watches in this process. */
function watchOf(deps: Deps): Watch<string> {
  let watch = watches.get(deps);
  if (watch === undefined) {
    const read = async (ids: string[]) => {
      const rows = await deps.db.rows<{ id: string; version: number }>(
        sql`select id, version from connection where id = ${any(ids)}`,
      );
      return new Map(rows.map((row) => [row.id, row.version]));
    };
    watches.set(deps, (watch = new Watch(read, lookMs)));
  }
  return watch;
}

const events = endpoint({
  method: "GET",
  path: "/connections/:id/events",
  access: "collection",
  summary: "What happens to a connection, as it happens: Server-Sent Events.",
  description:
    "Each event is what `/connections/{id}` would answer: the first one at once, then one for each change of its state " +
    "and each step of a run. `event: end` says why nothing more comes.",
  ids: { id: "connection" },
  params: oneConnection,
  query: z.object({
    wait: integer({ min: 0, max: 86_400 }).optional().meta({
      description: "Ends the answer when nothing came for so many seconds; without it, it goes on.",
    }),
  }),
  reply: connectionView,
  async handle({ who, params, query, header, signal, stillAllowed }, deps) {
    await reachConnection(deps.db, who, { id: params.id });
    header("X-Accel-Buffering", "no");
    const idleMs = query.wait === undefined ? Number.POSITIVE_INFINITY : query.wait * 1000;
    const pieces = changes(deps, { who, id: params.id, idleMs, signal, stillAllowed });
    return new Lasting("text/event-stream; charset=utf-8", Readable.from(pieces, { objectMode: false }));
  },
});

interface Watching {
  who: Caller;
  id: string;
  idleMs: number;
  signal: AbortSignal;
  stillAllowed(): Promise<void>;
}

async function* changes(
  deps: Deps,
  { who, id, idleMs, signal, stillAllowed }: Watching,
): AsyncGenerator<string> {
  const language = await languageOfAccount(deps.db, who.accountId);
  let idle = 0;
  let told = -1;
  try {
    while (!signal.aborted) {
      const connection = await reachConnection(deps.db, who, { id });
      await stillAllowed();
      if (connection.version !== told) {
        told = connection.version;
        idle = 0;
        const [view] = await viewConnections(deps.db, [connection], language);
        yield `id: ${told}\ndata: ${JSON.stringify(view)}\n\n`;
        continue;
      }
      if (idle >= idleMs) return;
      const elapsed = stopwatch();
      const limit = AbortSignal.any([signal, AbortSignal.timeout(Math.min(keepAliveMs, idleMs - idle))]);
      await watchOf(deps).moved(new Map([[id, told]]), limit);
      // Whole ones: what is left of the time is given to a timer.
      idle += Math.ceil(elapsed());
      if (limit.aborted && idle < idleMs) yield ": keep-alive\n\n";
    }
  } catch (error) {
    if (!(error instanceof Problem)) throw error;
    yield `event: end\ndata: ${JSON.stringify({ code: error.status, message: error.message })}\n\n`;
  }
}

/** The endpoint that pushes. */
export const connectionEventEndpoints: Endpoint[] = [events];
