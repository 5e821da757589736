import { Readable } from "node:stream";
import { z } from "zod";
import type { Deps } from "../platform/deps.ts";
import { type Endpoint, endpoint, Raw } from "../platform/http/endpoint.ts";
import { integer } from "../platform/http/schema.ts";
import { columnPieces } from "./batch-columns.ts";
import { batchPieces, type Shown } from "./batch-json.ts";
import { batchOrWait, startOf } from "./consume.ts";
import { takeLease } from "./lease.ts";
import { batchView } from "./schema.ts";
import { oneStream, ownStream } from "./stream-api.ts";

const limitUsual = 1_000;
const waitSecondsMax = 60;
const type = "application/json; charset=utf-8";

/** How many values a batch may have, of what was asked for. */
export function limitOf(asked: number | undefined, { settings }: Pick<Deps, "settings">): number {
  return Math.min(asked ?? limitUsual, settings.valuesMax);
}

export const limit = integer({ min: 1, max: 1_000_000_000 })
  .optional()
  .meta({ description: "Most values of the batch, 1,000 unless stated." });
const wait = integer({ min: 0, max: waitSecondsMax })
  .optional()
  .meta({ description: "Seconds to wait for something new when there is nothing." });

/** How a batch of values is written: one by one, or as lists. */
const layouts = { values: batchPieces, columns: columnPieces } as const;
const layout = z.enum(["values", "columns"]).optional().meta({
  description:
    "`values`: each by itself, as every client reads them; `columns`: lists of starts and values, a tenth of the bytes.",
});

const consume = endpoint({
  method: "POST",
  path: "/streams/:id/consume",
  access: "basic",
  summary: "The next batch of a stream.",
  description:
    "Send the offset of the last answer: that confirms everything before it and gives what follows. The same offset gives the same batch again, with the values as they are now. Without an offset, what follows `last_offset`. See `docs/streams.md`.",
  ids: { id: "stream" },
  params: oneStream,
  query: z.object({ limit, wait, layout }),
  body: z.object({ offset: z.int().min(1).nullable().optional(), limit, wait, layout }).optional(),
  reply: batchView,
  async handle({ who, params, query, body, signal }, deps) {
    const stream = await ownStream(deps.db, who, params.id);
    const lease = await takeLease(deps.db, stream.id);
    try {
      const after = await startOf(deps.db, stream, body?.offset ?? null);
      const cut = await batchOrWait(
        deps,
        { stream, lease },
        {
          after,
          limit: limitOf(body?.limit ?? query.limit, deps),
          waitMs: (body?.wait ?? query.wait ?? 0) * 1000,
          signal,
        },
      );
      const nothing = { resource: stream.resource, runs: [], invoices: [], count: 0 };
      const pieces = layouts[body?.layout ?? query.layout ?? "values"];
      return answerOf(cut ?? { offset: after === 0 ? null : after, ...nothing }, pieces);
    } finally {
      await lease.release();
    }
  },
});

/** Short answers are one piece, with a length; long ones leave while they are written. */
function answerOf(batch: Shown, piecesOf: typeof batchPieces): Raw {
  const pieces = piecesOf(batch, {
    before: '{"code":200,"message":"OK","profiling":null,"data":',
    after: "}",
  });
  const first = pieces.next().value!;
  const second = pieces.next();
  if (second.done === true) return new Raw(type, first);
  const all = function* () {
    yield first;
    yield second.value;
    yield* pieces;
  };
  return new Raw(type, Readable.from(all(), { objectMode: false, highWaterMark: 1_048_576 }));
}

/** The endpoint that consumers poll. */
export const consumeEndpoints: Endpoint[] = [consume];
