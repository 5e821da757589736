import { describe, expect, test } from "vitest";
import { ProviderFailure } from "../../collection/connector.ts";
import { EgressFailure, egressReasons } from "../../platform/egress/egress.ts";
import { cutShort, dropFailure, told, toldContent } from "./failure.ts";

async function* pieces(...texts: (string | Error)[]): AsyncGenerator<Uint8Array> {
  for (const text of texts) {
    if (typeof text !== "string") throw text;
    yield Buffer.from(text);
  }
}

async function read(content: AsyncIterable<Uint8Array>): Promise<string | ProviderFailure> {
  let text = "";
  try {
    for await (const chunk of content) text += Buffer.from(chunk).toString();
  } catch (error) {
    return error as ProviderFailure;
  }
  return text;
}

describe("failures of servers", () => {
  test.each([
    ["login", "credentials"],
    ["permission", "consent"],
    ["certificate", "unreachable"],
    ["no_connection", "unreachable"],
    ["address_refused", "unreachable"],
    ["server", "unreachable"],
  ] as const)("%s is %s, told in fixed words", (reason, kind) => {
    const failure = dropFailure(new EgressFailure(reason, { inner: "what the other side said" }), "a.csv");
    expect([failure.kind, failure.message]).toEqual([kind, `a.csv: ${egressReasons[reason]}`]);
  });

  test("another host key waits for a person, and what is a failure already stays one", () => {
    expect(dropFailure(new EgressFailure("certificate", { retry: "stop" }), "log in").kind).toBe("consent");
    const known = new ProviderFailure("ended", "over");
    expect(dropFailure(known, "a.csv")).toBe(known);
  });

  test("work is told", async () => {
    expect(await told("list", async () => 7)).toBe(7);
    const failing = told(
      "list",
      () => Promise.reject(new Error("x")),
      () => new EgressFailure("login"),
    );
    await expect(failing).rejects.toMatchObject({ kind: "credentials" });
  });
});

describe("contents", () => {
  test("come as they are, and their failures are told", async () => {
    expect(await read(toldContent("a.csv", pieces("a", "b")))).toBe("ab");
    expect(await read(toldContent("a.csv", pieces("a", cutShort(1, 2))))).toMatchObject({
      kind: "unreachable",
    });
  });

  test("that do not go on are given up", async () => {
    async function* stalling(): AsyncGenerator<Uint8Array> {
      yield Buffer.from("a");
      await new Promise(() => undefined);
    }
    expect(await read(toldContent("a.csv", stalling(), { stallMs: 20 }))).toMatchObject({
      kind: "unreachable",
    });
  });

  test("are ended when nobody reads on", async () => {
    let isEnded = false;
    async function* endless(): AsyncGenerator<Uint8Array> {
      try {
        for (;;) yield Buffer.from("a");
      } finally {
        isEnded = true;
      }
    }
    for await (const _ of toldContent("a.csv", endless())) break;
    expect(isEnded).toBe(true);
  });
});
