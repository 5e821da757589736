/** The utility's own time. */
export interface SimulatedClock {
  /** Epoch milliseconds of the utility. */
  now(): number;
  /**
   * Milliseconds as a visitor lives through them: those of the machine, whatever the speed, and all that the clock is
   * set ahead by. Sessions and tokens end by them.
   */
  lived(): number;
  /** Simulated seconds per second; 0 stands still. */
  readonly speed: number;
  /** Sets the time, the speed, or both. The time never goes back: what was published stays published. */
  set(change: { now?: number; speed?: number }): void;
}

/**
 * A clock that begins at `now` and runs `speed` times as fast as `wall`. With `catchesUp` it never gets ahead of
 * `wall`: once there, it keeps its pace.
 */
export function simulatedClock(
  now: number,
  { speed = 1, wall = Date.now, catchesUp = false } = {},
): SimulatedClock {
  let begun = { now, wall: wall(), speed };
  let leapt = 0;
  const read = () => {
    const own = begun.now + (wall() - begun.wall) * begun.speed;
    return catchesUp ? Math.min(own, wall()) : own;
  };
  return {
    now: () => Math.floor(read()),
    lived: () => wall() + leapt,
    get speed() {
      return begun.speed;
    },
    set(change) {
      const before = read();
      begun = { now: Math.max(before, change.now ?? 0), wall: wall(), speed: change.speed ?? begun.speed };
      leapt += begun.now - before;
    },
  };
}
