import { expect, test } from "vitest";
import { simulatedClock } from "./clock.ts";

test("it runs as fast as it is told to, from where it stands, and never back", () => {
  let wall = 5000;
  const clock = simulatedClock(1_000_000, { speed: 10, wall: () => wall });
  wall += 100;
  expect(clock.now()).toBe(1_001_000);
  clock.set({ speed: 2 });
  wall += 100;
  expect(clock.now()).toBe(1_001_200);
  clock.set({ speed: 0, now: 2_000_000 });
  wall += 100;
  expect(clock.now()).toBe(2_000_000);
  clock.set({ now: 1000 });
  expect(clock.now()).toBe(2_000_000);
});

test("whoever waits lives as fast as the machine, and through all that it is set ahead by", () => {
  let wall = 5000;
  const clock = simulatedClock(1_000_000, { speed: 100, wall: () => wall });
  const begun = clock.lived();
  wall += 100;
  expect(clock.lived() - begun).toBe(100);
  clock.set({ now: clock.now() + 3_600_000 });
  expect(clock.lived() - begun).toBe(3_600_100);
  clock.set({ now: 0 });
  expect(clock.lived() - begun).toBe(3_600_100);
});

test("one that catches up is never ahead of the machine, and keeps its pace then", () => {
  let wall = 1_000_000;
  const clock = simulatedClock(900_000, { speed: 100, wall: () => wall, catchesUp: true });
  wall += 500;
  expect(clock.now()).toBe(950_000);
  wall += 1_000;
  expect(clock.now()).toBe(1_001_500);
  wall += 7;
  expect(clock.now()).toBe(1_001_507);
  clock.set({ now: 5_000_000 });
  expect(clock.now()).toBe(1_001_507);
});
