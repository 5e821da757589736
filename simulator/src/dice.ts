/** An even number in [0, 1) that depends on nothing but its arguments (mixing steps of MurmurHash3). */
export function chance(seed: number, index: number): number {
  let mixed = Math.imul(seed ^ Math.imul(index, 0xcc9e2d51), 0x1b873593);
  mixed = Math.imul(mixed ^ (mixed >>> 16), 0x85ebca6b);
  mixed = Math.imul(mixed ^ (mixed >>> 13), 0xc2b2ae35);
  return ((mixed ^ (mixed >>> 16)) >>> 0) / 0x1_0000_0000;
}

/** A whole number from `min` to `max`, both included. */
export function between(seed: number, index: number, [min, max]: readonly [number, number]): number {
  return min + Math.floor(chance(seed, index) * (max - min + 1));
}

/** One of a list. */
export function oneOf<T>(seed: number, index: number, list: readonly T[]): T {
  return list[Math.floor(chance(seed, index) * list.length)]!;
}

/** A seed of its own for what has a name. */
export function seedOf(seed: number, text: string): number {
  let mixed = seed | 0;
  for (const char of text) mixed = (Math.imul(mixed, 31) + char.codePointAt(0)!) | 0;
  return mixed;
}
