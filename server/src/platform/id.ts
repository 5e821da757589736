import { randomBytes } from "node:crypto";

const processPart = randomBytes(5).toString("hex");
let counter = randomBytes(3).readUIntBE(0, 3);

/**
 * A new identifier: 24 lower-case hex characters, ordered by time and never reused. The layout is that of an
 * ObjectId (4 bytes of seconds, 5 random bytes of the process, 3 bytes that count up), because clients of the
 * Metry API read the time of creation from it.
 */
export function newId(now: number): string {
  counter = (counter + 1) & 0xffffff;
  const seconds = Math.floor(now / 1000) >>> 0;
  return seconds.toString(16).padStart(8, "0") + processPart + counter.toString(16).padStart(6, "0");
}

/** Is `text` shaped like an identifier? */
export function isId(text: string): boolean {
  return /^[0-9a-f]{24}$/.test(text);
}
