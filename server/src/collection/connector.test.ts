import { describe, expect, test } from "vitest";
import { z } from "zod";
import { connector, line, markOf, ProviderFailure, secret, titled, wordsOf } from "./connector.ts";
import { scriptedConnector } from "./harness.ts";

const good = scriptedConnector();

describe("a connector", () => {
  test("is held against the rules when it is defined", () => {
    const shape = (field: Record<string, z.ZodType>) => ({ ...good, settings: z.object(field) });
    const title = { en: "Token", sv: "Nyckel" };
    for (const [wrong, message] of [
      [{ ...good, name: "Two Words" }, "words joined by dashes"],
      [shape({ user: line(10) }), "the field user needs a title in en and sv"],
      [shape({ user: titled(line(10), { en: "User", sv: " " }) }), "needs a title"],
      [shape({ api_token: titled(line(10), title) }), "api_token must be made by secret()"],
      [{ ...good, help: { en: "x", sv: "" } }, "help is missing"],
      [{ ...good, types: [] }, "must not be empty"],
      [{ ...good, limits: { perMinute: 0, atOnce: 1 } }, "let one request through"],
    ] as const) {
      expect(() => connector(wrong)).toThrow(message);
    }
    expect(connector(shape({ api_token: titled(secret(), title) })).name).toBe("scripted");
  });

  test("keeps words and marks of fields, also of those that were described after", () => {
    const field = titled(secret(), { en: "Token", sv: "Nyckel" }).describe("more");
    expect([wordsOf(field)?.title.sv, markOf(field).secret]).toEqual(["Nyckel", "whole"]);
    expect(wordsOf(line(3))).toBeUndefined();
  });

  test("says what kind of failure it met", () => {
    const failure = new ProviderFailure("busy", "429", { retryAfterSeconds: 30 });
    expect([failure.kind, failure.retryAfterSeconds, failure.page]).toEqual(["busy", 30, undefined]);
  });
});
