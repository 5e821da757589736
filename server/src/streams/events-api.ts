import { Readable } from "node:stream";
import { z } from "zod";
import type { Deps } from "../platform/deps.ts";
import { type Endpoint, endpoint, Lasting } from "../platform/http/endpoint.ts";
import { integer } from "../platform/http/schema.ts";
import { invalid, Problem } from "../platform/problem.ts";
import { batchPieces } from "./batch-json.ts";
import { batchOrWait, startOf } from "./consume.ts";
import { limit, limitOf } from "./consume-api.ts";
import { type Lease, takeLease } from "./lease.ts";
import { batchView } from "./schema.ts";
import { streamById } from "./stream.ts";
import { oneStream, ownStream } from "./stream-api.ts";

/** Proxies close what is silent for a minute; half of that is safe, and half again is cheap. */
const keepAliveMs = 15_000;
/** Browsers connect again after so long. */
const retryMs = 2_000;

/** How batches are written one after the other. */
interface Wire {
  type: string;
  opening: string;
  keepAlive: string;
  before(offset: number): string;
  after: string;
  /** Tells why nothing more comes. */
  ending(problem: Problem): string;
}

const serverSentEvents: Wire = {
  type: "text/event-stream; charset=utf-8",
  opening: `retry: ${retryMs}\n\n`,
  keepAlive: ": keep-alive\n\n",
  before: (offset) => `id: ${offset}\ndata: `,
  after: "\n\n",
  ending: ({ status, message }) => `event: end\ndata: ${JSON.stringify({ code: status, message })}\n\n`,
};

const jsonLines: Wire = {
  type: "application/x-ndjson",
  opening: "",
  keepAlive: "\n",
  before: () => "",
  after: "\n",
  ending: () => "",
};

const events = endpoint({
  method: "GET",
  path: "/streams/:id/events",
  access: "basic",
  role: "editor",
  summary: "Batches of a stream as they come: Server-Sent Events, or JSON Lines.",
  description:
    "One event per batch: its id is the offset, its data what `consume` answers. `Last-Event-ID`, or `offset`, is confirmed and gives what follows it; confirm later ones with `commit`, or by connecting again. `Accept: application/x-ndjson` gives a line per batch, and an empty one while there is nothing. The connection counts as the stream's consumer.",
  ids: { id: "stream" },
  params: oneStream,
  query: z.object({
    offset: integer({ min: 1 }).optional(),
    limit,
    wait: integer({ min: 0, max: 86_400 }).optional().meta({
      description: "Ends the answer when nothing came for so many seconds; without it, it goes on.",
    }),
  }),
  reply: batchView,
  async handle({ who, params, query, headers, header, signal, stillAllowed }, deps) {
    const stream = await ownStream(deps.db, who, params.id);
    const lease = await takeLease(deps.db, stream.id);
    try {
      const after = await startOf(
        deps.db,
        stream,
        lastEventId(headers["last-event-id"]) ?? query.offset ?? null,
      );
      header("X-Accel-Buffering", "no");
      const wire = headers.accept?.includes(jsonLines.type) === true ? jsonLines : serverSentEvents;
      const feed = {
        streamId: stream.id,
        lease,
        after,
        limit: limitOf(query.limit, deps),
        signal,
        stillAllowed,
        idleMs: query.wait === undefined ? Number.POSITIVE_INFINITY : query.wait * 1000,
      };
      return new Lasting(wire.type, Readable.from(batches(deps, feed, wire), { objectMode: false }));
    } catch (error) {
      await lease.release();
      throw error;
    }
  },
});

function lastEventId(sent: string | string[] | undefined): number | null {
  if (sent === undefined || sent === "") return null;
  const offset = Number(sent);
  if (!/^\d{1,16}$/.test(String(sent)) || !Number.isSafeInteger(offset)) {
    throw invalid("Last-Event-ID", "must be the id of an earlier event");
  }
  return offset;
}

interface Feed {
  streamId: string;
  lease: Lease;
  after: number;
  limit: number;
  /** Ends when nothing came for so long. */
  idleMs: number;
  signal: AbortSignal;
  stillAllowed: () => Promise<void>;
}

/** Batches for as long as the client listens, may listen, and the server runs. */
async function* batches(deps: Deps, feed: Feed, wire: Wire): AsyncGenerator<string | Buffer> {
  const { lease, limit, signal, idleMs } = feed;
  try {
    if (wire.opening !== "") yield wire.opening;
    let idle = 0;
    for (let { after } = feed; ; ) {
      const stream = await streamById(deps.db, feed.streamId);
      const wanted = { after, limit, waitMs: Math.min(keepAliveMs, idleMs - idle), signal };
      const cut = await batchOrWait(deps, { stream, lease }, wanted);
      if (signal.aborted || lease.lost.aborted) return;
      // Looked at after the values were read: whoever lost the right in between does not get them.
      await feed.stillAllowed();
      if (cut === null) {
        idle += wanted.waitMs;
        if (idle >= idleMs) return;
        yield wire.keepAlive;
      } else {
        yield* batchPieces(cut, { before: wire.before(cut.offset), after: wire.after });
        after = cut.offset;
        idle = 0;
      }
    }
  } catch (error) {
    if (!(error instanceof Problem)) throw error;
    yield wire.ending(error);
  } finally {
    await lease.release();
  }
}

/** The endpoint that pushes. */
export const eventEndpoints: Endpoint[] = [events];
