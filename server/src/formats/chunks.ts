import { setImmediate as turn } from "node:timers/promises";

/** Largest piece that a format sees at once: small enough that none blocks the event loop for long. */
export const pieceBytesMax = 64 * 1024;

/**
 * Re-slices a source into pieces of at most 64 KiB and lets the event loop turn after each one,
 * because a source that sits in memory would otherwise be read in one go.
 */
export async function* pieces(
  source: AsyncIterable<Uint8Array>,
): AsyncGenerator<Uint8Array, void, undefined> {
  let sinceTurn = 0;
  for await (const chunk of source) {
    for (let from = 0; from < chunk.length; from += pieceBytesMax) {
      const piece = chunk.subarray(from, from + pieceBytesMax);
      yield piece;
      sinceTurn += piece.length;
      if (sinceTurn >= pieceBytesMax) {
        sinceTurn = 0;
        await turn();
      }
    }
  }
}
