import fc from "fast-check";
import { expect, test } from "vitest";
import { cookieJar } from "./cookies.ts";
import { makeScrubber } from "./scrub.ts";

const secret = fc
  .string({ minLength: 6, maxLength: 40, unit: "grapheme" })
  .filter((text) => !text.includes("*"));

test("a secret is found in every form that protocols give it, wherever it stands", () => {
  fc.assert(
    fc.property(secret, fc.string(), fc.string(), (value, before, after) => {
      const { scrub } = makeScrubber([value]);
      const bytes = Buffer.from(value);
      const forms = [
        value,
        encodeURIComponent(value),
        bytes.toString("hex"),
        JSON.stringify(value).slice(1, -1),
      ];
      for (const form of forms) expect(scrub(`${before}${form}${after}`)).not.toContain(form);
      const login = Buffer.from(`${before}:${value}`).toString("base64");
      const core = bytes.toString("base64").slice(2, -4);
      if (core.length >= 6) expect(scrub(Buffer.from(value).toString("base64"))).not.toContain(core);
      expect(scrub(login).length).toBeGreaterThan(0);
      if (value.length >= 8) expect(scrub(login)).not.toBe(login);
    }),
  );
});

test("what is learned later is taken out too, the longest first, and short values stay", () => {
  const scrubber = makeScrubber(["abcdef", "ab"]);
  scrubber.add("abcdefgh");
  expect(scrubber.scrub("abcdefgh abcdef ab")).toBe("******** ******** ab");
});

test("cookies go where they belong, and nowhere after they end", () => {
  let now = 0;
  const jar = cookieJar(() => now);
  const home = new URL("https://www.utility.example/account/login");
  jar.take(
    home,
    "a=1; Path=/; Secure, b=2; Domain=utility.example; Path=/account, c=3, d=4; Max-Age=5, e=5; Domain=other.example",
  );
  expect(jar.header(home)).toBe("b=2; c=3; d=4; a=1");
  expect(jar.header(new URL("http://www.utility.example/account/x"))).toBe("b=2; c=3; d=4");
  expect(jar.header(new URL("https://api.utility.example/account"))).toBe("b=2");
  expect(jar.header(new URL("https://utility.example.evil/account"))).toBe("");
  expect(jar.header(new URL("https://www.utility.example/accounting"))).toBe("a=1");
  now = 6_000;
  jar.take(home, "c=; Max-Age=0");
  expect(jar.header(home)).toBe("b=2; a=1");
  jar.take(home, "x=1; Domain=example, nonsense");
  // What has ended is still a secret.
  expect(jar.values().sort()).toEqual(["1", "2", "4"]);
});
