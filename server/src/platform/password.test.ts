import { expect, test } from "vitest";
import { hashPassword, passwordFits } from "./password.ts";

test("a password fits its own hash only", async () => {
  const hash = await hashPassword("correct horse battery staple");
  expect(hash).toMatch(/^\$argon2id\$v=19\$m=19456,t=2,p=1\$[A-Za-z0-9+/]{22}\$[A-Za-z0-9+/]{43}$/);
  expect(await passwordFits("correct horse battery staple", hash)).toBe(true);
  expect(await passwordFits("correct horse battery stapl", hash)).toBe(false);
});

test("two hashes of one password differ", async () => {
  expect(await hashPassword("same")).not.toBe(await hashPassword("same"));
});

test("a hash made elsewhere is understood", async () => {
  // From the tests of the reference implementation (phc-winner-argon2, test.c).
  const hash = "$argon2id$v=19$m=256,t=2,p=1$c29tZXNhbHQ$nf65EOgLrQMR/uIPnA4rEsF5h7TKyQwu9U1bMCHGi/4";
  expect(await passwordFits("password", hash)).toBe(true);
  expect(await passwordFits("passwore", hash)).toBe(false);
});

test("nobody has no password, and finding that out is as much work as a wrong one", async () => {
  expect(await passwordFits("", null)).toBe(false);
  const hash = await hashPassword("right");
  const work = async (stored: string | null) => {
    const before = process.cpuUsage().user;
    for (let i = 0; i < 3; i++) expect(await passwordFits("wrong", stored)).toBe(false);
    return process.cpuUsage().user - before;
  };
  // Half is far beyond any noise: without the work it would be a thousandth.
  expect(await work(null)).toBeGreaterThan((await work(hash)) / 2);
});

test("composed and decomposed letters are one password", async () => {
  expect(await passwordFits("a\u030Angstro\u0308m", await hashPassword("\u00E5ngstr\u00F6m"))).toBe(true);
});

test("beyond what can wait, a login is told to come back instead of piling up", async () => {
  const all = await Promise.allSettled(Array.from({ length: 80 }, () => passwordFits("x", null)));
  const refused = all.filter((one) => one.status === "rejected");
  expect(refused).toHaveLength(80 - 2 - 64);
  expect(refused[0]!.reason).toMatchObject({ code: "unavailable", retryAfterSeconds: 5 });
});
