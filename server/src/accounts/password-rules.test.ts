import fc from "fast-check";
import { expect, test } from "vitest";
import { newPasswordHash, weakness } from "./password-rules.ts";

test.each(["password", "12345678901234", ""])("%j is too short", (password) => {
  expect(weakness(password)).toContain("at least 15 characters");
});

test.each([
  "passwordpassword",
  "Password123Password123",
  "P@ssw0rd12345678",
  "1q2w3e4r5t1q2w3e4r5t",
  "qwertyuiopasdfghjkl",
  "abcdefghijklmnopqrstuvwxyz",
  "aaaaaaaaaaaaaaaaaaaaaaaa",
  "987654321987654321",
  "iloveyou2024iloveyou",
  "xk7q!xk7q!xk7q!xk7q!",
  "sommar2025vinter2026",
  "letmeinletmein1!",
  "adminadminadmin",
])("%j is made of what is guessed first", (password) => {
  expect(weakness(password)).toContain("guessed first");
});

test.each([
  "correct horse battery staple",
  "tall ladder near the boathouse",
  "xK7#qp2!vN9@zLm",
  "åtta små ekorrar hoppar",
  "8d1f03a97c5be264",
  "Sommaren då jag lärde mig simma",
])("%j is fine", (password) => {
  expect(weakness(password)).toBeNull();
});

test("names of the account do not count as much of a password", () => {
  const own = ["Karin Lindqvist", "karin.lindqvist@fastighet.example"];
  expect(weakness("karinlindqvistfastighet", own)).toContain("guessed first");
  expect(weakness("karinlindqvistfastighet")).toBeNull();
});

test("at least 64 characters are allowed, megabytes are not", () => {
  expect(
    weakness(
      "vX3 ".repeat(1) + "kq9-zt7 wb2+mf8 hd5=jn4 ly6:cr1 ps0;ga3 ev7,xo9 iu2.tk8 zb4 qw6 rm".slice(0, 66),
    ),
  ).toBeNull();
  expect(weakness("x".repeat(257))).toContain("at most 256");
});

test("any text gets an answer, soon", () => {
  fc.assert(
    fc.property(fc.string({ unit: "binary", maxLength: 300 }), (password) => {
      expect([null, "string"]).toContain(weakness(password) === null ? null : typeof weakness(password));
    }),
    { numRuns: 200 },
  );
});

test("a refusal names the field and never the password", async () => {
  const failure = await newPasswordHash("passwordpassword", [], "new_password").catch((error) => error);
  expect(failure).toMatchObject({ code: "invalid", errors: { new_password: [expect.any(String)] } });
  expect(JSON.stringify(failure.errors) + failure.message).not.toContain("passwordpassword");
});
