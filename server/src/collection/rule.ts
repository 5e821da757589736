import { z } from "zod";
import { type Box, type MeterType, meterTypes } from "../meters/meters.ts";
import { fold } from "../platform/http/filter.ts";
import { accountId, boolean, decimal, id } from "../platform/http/schema.ts";

/** What is known of a found meter: what rules look at and put into names. */
export interface Facts {
  provider: string;
  ean: string | null;
  /** As the provider shows it. */
  name: string;
  address: string;
  type: MeterType;
  customerNumber: string;
  customerName: string;
  /** The provider's own words. */
  text: string;
  /** The account that holds the root meter. */
  accountId: string;
}

const text = (charsMax: number) =>
  z
    .string()
    .trim()
    .max(charsMax)
    .refine((value) => !value.includes("\0"), "must not contain the character NUL");

const some = text(200).min(1).optional();

/** Which meters a rule is for: all conditions that it names hold. */
export const conditionFields = z.object({
  provider: some.meta({ description: "Name of the provider.", example: "eloverblik" }),
  ean_prefix: some.meta({ description: "First characters of the metering point's id." }),
  address: some.meta({ description: "Part of the address, whatever the case." }),
  customer: some.meta({ description: "The customer number, or a part of the customer's name." }),
  text: some.meta({ description: "Part of the provider's own words about the meter." }),
  type: z.enum(meterTypes).optional(),
  account: accountId()
    .optional()
    .meta({ description: "Id of the subaccount that the meter belongs to; `me` for your own meters." }),
});
export type Conditions = z.output<typeof conditionFields>;

/** Names that patterns may use, and what they stand for. */
const placeholders: Readonly<Record<string, (facts: Facts) => string>> = {
  ean: (facts) => facts.ean ?? "",
  name: (facts) => facts.name,
  address: (facts) => facts.address,
  type: (facts) => facts.type,
  provider: (facts) => facts.provider,
  text: (facts) => facts.text,
  "customer.number": (facts) => facts.customerNumber,
  "customer.name": (facts) => facts.customerName,
};

const placeholder = /\{([^{}]*)\}/g;
const known = Object.keys(placeholders)
  .map((name) => `{${name}}`)
  .join(", ");

const pattern = text(200)
  .min(1)
  .refine(
    (value) => [...value.matchAll(placeholder)].every(([, name]) => Object.hasOwn(placeholders, name!)),
    `knows the placeholders ${known}`,
  )
  .optional();

/** What a rule does with its meters; at least one of it. */
export const actionFields = z
  .object({
    box: z.enum(["active", "ignored"]).optional(),
    name: pattern.meta({ description: `Name to give: text with ${known}.`, example: "{address} {ean}" }),
    tags: z.array(text(100).min(1)).max(20).optional(),
    tree_id: id().optional().meta({ description: "Tree node to place the meter at." }),
    tree_child: pattern.meta({
      description: "Place it at the child of `tree_id` with this name, which is added when there is none.",
      example: "{address}",
    }),
    factor: decimal().pipe(z.number().min(-10_000).max(10_000)).optional(),
  })
  .refine(
    ({ box, name, tags, tree_id }) =>
      box !== undefined || name !== undefined || (tags ?? []).length > 0 || tree_id !== undefined,
    "says nothing to do: give box, name, tags or tree_id",
  )
  .refine(
    ({ tree_id, tree_child, factor }) =>
      tree_id !== undefined || (tree_child === undefined && factor === undefined),
    "needs tree_id for tree_child and factor",
  );
export type Actions = z.output<typeof actionFields>;

/** A rule as clients write it. */
export const ruleFields = z.object({
  name: text(200).min(1),
  enabled: boolean().default(true),
  conditions: conditionFields.default({}),
  actions: actionFields,
});

/** A rule that can be tried on meters. */
export interface Rule {
  name: string;
  conditions: Conditions;
  actions: Actions;
}

const contains = (whole: string, part: string) => fold(whole).includes(fold(part));

/** Is the rule for this meter? */
export function matches({ conditions }: Pick<Rule, "conditions">, facts: Facts): boolean {
  const { provider, ean_prefix, address, customer, text: words, type, account } = conditions;
  return (
    (provider === undefined || provider === facts.provider) &&
    (ean_prefix === undefined || (facts.ean ?? "").startsWith(ean_prefix)) &&
    (address === undefined || contains(facts.address, address)) &&
    (customer === undefined || customer === facts.customerNumber || contains(facts.customerName, customer)) &&
    (words === undefined || contains(facts.text, words)) &&
    (type === undefined || type === facts.type) &&
    (account === undefined || account === facts.accountId)
  );
}

/** The text of a pattern for a meter: blanks that absent facts leave behind are closed up. */
export function fill(patternText: string, facts: Facts): string {
  return patternText
    .replace(placeholder, (_, name: string) => placeholders[name]!(facts))
    .replace(/\s+/g, " ")
    .trim()
    .slice(0, 500);
}

/** What all rules together do with one meter. */
export interface Decision {
  /** Names of the rules that match, in order. */
  rules: string[];
  box?: Extract<Box, "active" | "ignored">;
  name?: string;
  tags: string[];
  place?: { treeId: string; child: string | null; factor: number };
}

/**
 * What rules decide about a meter; `undefined` when none is for it. Of box, name and place the first rule that says
 * something counts; tags of all rules come together. A name or child that comes out empty is not given.
 */
export function decide(rules: readonly Rule[], facts: Facts): Decision | undefined {
  const matching = rules.filter((rule) => matches(rule, facts));
  if (matching.length === 0) return undefined;
  const decision: Decision = { rules: matching.map((rule) => rule.name), tags: [] };
  for (const { actions } of matching) {
    if (actions.box !== undefined) decision.box ??= actions.box;
    const name = actions.name === undefined ? "" : fill(actions.name, facts);
    if (name !== "") decision.name ??= name;
    decision.tags = [...new Set([...decision.tags, ...(actions.tags ?? [])])];
    if (actions.tree_id !== undefined) decision.place ??= placeOf(actions, actions.tree_id, facts);
  }
  return decision;
}

function placeOf({ tree_child, factor = 1 }: Actions, treeId: string, facts: Facts) {
  const child = tree_child === undefined ? "" : fill(tree_child, facts);
  return { treeId, child: child === "" ? null : child, factor };
}
