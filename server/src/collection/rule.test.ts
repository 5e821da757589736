import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { decide, type Facts, fill, matches, ruleFields } from "./rule.ts";

const facts: Facts = {
  provider: "scripted",
  ean: "735999100000000017",
  name: "Fastighetsel",
  address: "Storgatan 1, Uppsala",
  type: "electricity",
  customerNumber: "1002",
  customerName: "Brf Ängen",
  text: "Gatubelysning område Öster",
  accountId: "a".repeat(24),
};

describe("conditions", () => {
  test.for([
    [{}, true],
    [{ provider: "scripted" }, true],
    [{ provider: "script" }, false],
    [{ ean_prefix: "735999" }, true],
    [{ ean_prefix: "999" }, false],
    [{ address: "STORGATAN" }, true],
    [{ address: "lillgatan" }, false],
    [{ customer: "1002" }, true],
    [{ customer: "100" }, false],
    [{ customer: "brf äng" }, true],
    [{ text: "öster" }, true],
    [{ type: "electricity" }, true],
    [{ type: "heat" }, false],
    [{ account: "a".repeat(24) }, true],
    [{ account: "b".repeat(24) }, false],
    [{ address: "storgatan", type: "heat" }, false],
  ] as const)("%j: %s", ([conditions, isFor]) => {
    expect(matches({ conditions }, facts)).toBe(isFor);
  });

  test("a meter without an ean is behind no prefix", () => {
    expect(matches({ conditions: { ean_prefix: "7" } }, { ...facts, ean: null })).toBe(false);
  });
});

describe("patterns", () => {
  test("put facts into text and close gaps that absent ones leave", () => {
    expect(fill("{address}: {customer.number} {ean}", facts)).toBe(
      "Storgatan 1, Uppsala: 1002 735999100000000017",
    );
    expect(fill("El {customer.name} {ean}", { ...facts, customerName: "", ean: null })).toBe("El");
  });

  test("facts are text, never patterns: what a provider writes is not looked into", () => {
    fc.assert(
      fc.property(fc.string(), (name) => {
        const filled = fill("{name}", { ...facts, name });
        expect(filled).toBe(name.replace(/\s+/g, " ").trim().slice(0, 500));
      }),
    );
    expect(fill("{name} $&", { ...facts, name: "{ean}" })).toBe("{ean} $&");
  });
});

describe("rules together", () => {
  const place = { tree_id: "c".repeat(24), tree_child: "{address}" };

  test("the first one that says something counts, and tags come together", () => {
    const decision = decide(
      [
        { name: "other", conditions: { type: "heat" }, actions: { box: "ignored" } },
        { name: "tags", conditions: {}, actions: { tags: ["a", "b"], name: "{customer.name}" } },
        { name: "box", conditions: {}, actions: { box: "active", tags: ["b", "c"], name: "later" } },
        { name: "place", conditions: {}, actions: { box: "ignored", ...place, factor: 0.5 } },
      ],
      facts,
    );
    expect(decision).toEqual({
      rules: ["tags", "box", "place"],
      box: "active",
      name: "Brf Ängen",
      tags: ["a", "b", "c"],
      place: { treeId: place.tree_id, child: facts.address, factor: 0.5 },
    });
  });

  test("without a rule for it nothing is decided", () => {
    expect(
      decide([{ name: "n", conditions: { type: "gas" }, actions: { box: "active" } }], facts),
    ).toBeUndefined();
  });

  test("a name that comes out empty is not given, a child neither", () => {
    const bare = { ...facts, address: "" };
    const rule = { name: "n", conditions: {}, actions: { name: "{address}", ...place } };
    expect(decide([rule], bare)).toEqual({
      rules: ["n"],
      tags: [],
      place: { treeId: place.tree_id, child: null, factor: 1 },
    });
  });
});

test.for([
  [{ name: "n", actions: {} }, "nothing to do"],
  [{ name: "n", actions: { name: "{adress}" } }, "{address}"],
  [{ name: "n", actions: { box: "inbox" } }, ""],
  [{ name: "n", actions: { box: "active", tree_child: "{address}" } }, "tree_id"],
  [{ name: "", actions: { box: "active" } }, ""],
  [{ name: "n", conditions: { address: "" }, actions: { box: "active" } }, ""],
] as const)("a rule such as %j is refused", ([rule, hint]) => {
  const parsed = ruleFields.safeParse(rule);
  expect(parsed.success).toBe(false);
  expect(JSON.stringify(parsed.error?.issues)).toContain(hint);
});
