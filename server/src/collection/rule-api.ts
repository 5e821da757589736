import { z } from "zod";
import { reach } from "../accounts/accounts.ts";
import type { Queryable } from "../platform/db.ts";
import { type Caller, type Endpoint, endpoint, Message, Page } from "../platform/http/endpoint.ts";
import { readPaging } from "../platform/http/filter.ts";
import { boolean, formatTimestamp, id, integer, timestampText } from "../platform/http/schema.ts";
import { invalid } from "../platform/problem.ts";
import { nodeById } from "../trees/trees.ts";
import { act, type Outcome, tryRules } from "./inbox.ts";
import { actionFields, type Conditions, conditionFields, ruleFields } from "./rule.ts";
import { addRule, changeRule, type InboxRule, removeRule, ruleById, rulesOf } from "./rules.ts";

const ruleView = z.object({
  _id: z.string(),
  name: z.string(),
  position: z.int().describe("1 is tried first"),
  enabled: z.boolean(),
  conditions: conditionFields.describe("All of them hold; none at all: every found meter"),
  actions: z.record(z.string(), z.unknown()).describe("As they were written"),
  created: timestampText(),
});

const view = ({ id, name, position, enabled, conditions, actions, created }: InboxRule) => ({
  _id: id,
  name,
  position,
  enabled,
  conditions,
  actions,
  created: formatTimestamp(created),
});

const outcomeView = z.object({
  count: z.int().describe("Meters in the inbox that a rule is for"),
  active: z.int().describe("How many of them become active"),
  ignored: z.int(),
  placed: z.int().describe("How many get a place in a tree"),
  changed: z.boolean().describe("False for a preview"),
  meters: z
    .array(
      z.object({
        _id: z.string(),
        ean: z.string().nullable(),
        name: z.string().nullable(),
        address: z.string().nullable(),
        rules: z.array(z.string()).describe("Names of the rules that are for it"),
        becomes: z.object({
          box: z.string().optional(),
          name: z.string().optional(),
          tags: z.array(z.string()),
          tree_id: z.string().optional(),
          tree_child: z.string().nullable().optional(),
        }),
      }),
    )
    .describe("The first 100"),
});

/** Meters that rules are applied to in one request. */
const metersMax = 10_000;
const metersShown = 100;

function viewOutcomes(outcomes: readonly Outcome[], changed: boolean): z.output<typeof outcomeView> {
  const countOf = (test: (outcome: Outcome) => boolean) => outcomes.filter(test).length;
  return {
    count: outcomes.length,
    active: countOf(({ decision }) => decision.box === "active"),
    ignored: countOf(({ decision }) => decision.box === "ignored"),
    placed: countOf(({ decision }) => decision.place !== undefined),
    changed,
    meters: outcomes.slice(0, metersShown).map(({ meter, decision: { rules, box, name, tags, place } }) => ({
      _id: meter.id,
      ean: meter.ean,
      name: meter.name,
      address: meter.address,
      rules,
      becomes: {
        ...(box === undefined ? {} : { box }),
        ...(name === undefined ? {} : { name }),
        tags,
        ...(place === undefined ? {} : { tree_id: place.treeId, tree_child: place.child }),
      },
    })),
  };
}

const ids = { tree_id: "tree", account: "account" } as const;
const position = integer({ min: 1, max: 1000 })
  .optional()
  .meta({ description: "Where it stands among the rules." });
const one = z.object({ id: id() });

/** `me` and ids of subaccounts as ids; 404 for others. */
async function named(db: Queryable, who: Caller, conditions: Conditions): Promise<Conditions> {
  if (conditions.account === undefined) return conditions;
  return { ...conditions, account: (await reach(db, who, conditions.account)).id };
}

const list = endpoint({
  method: "GET",
  path: "/inbox_rules",
  access: "basic",
  summary: "Lists the account's rules for found meters, in the order in which they are tried.",
  query: z.object({
    skip: z.string().optional(),
    offset: z.string().optional(),
    limit: z.string().optional(),
  }),
  reply: z.array(ruleView),
  list: true,
  async handle({ who, search }, { db, settings }) {
    const { skip, limit } = readPaging(search, settings.pageMax);
    const rules = await rulesOf(db, who.accountId);
    return new Page(rules.slice(skip, skip + limit).map(view), { count: rules.length, skip, limit });
  },
});

const read = endpoint({
  method: "GET",
  path: "/inbox_rules/:id",
  access: "basic",
  summary: "Reads a rule.",
  ids: { id: "inbox_rule" },
  params: one,
  reply: ruleView,
  handle: async ({ who, params }, { db }) => view(await ruleById(db, who.accountId, params.id)),
});

const create = endpoint({
  method: "POST",
  path: "/inbox_rules",
  access: "collection",
  summary: "Adds a rule for found meters.",
  description:
    "A rule is for the meters that all its `conditions` hold for, and does its `actions` with those that lie in the " +
    "inbox: at once when a connection finds them, and with `POST /inbox_rules/apply` for those that are there. Of " +
    "`box`, `name` and place the first rule that says something counts; tags of all rules come together. Rules of a " +
    "manager are also for the meters of its subaccounts, after the rules of these.",
  ids,
  body: ruleFields.extend({ position }),
  reply: ruleView,
  examples: {
    body: {
      name: "Electricity of Storgatan",
      conditions: { address: "storgatan", type: "electricity" },
      actions: { box: "active", name: "{address} {ean}", tags: ["electricity"] },
    },
  },
  handle: ({ who, body: { position: at, ...rule } }, { db, clock }) =>
    db.transaction(async (tx) => {
      const conditions = await named(tx, who, rule.conditions);
      const options = { accountId: who.accountId, now: clock.now(), position: at };
      return view(await addRule(tx, options, { ...rule, conditions }));
    }),
});

const change = endpoint({
  method: "PUT",
  path: "/inbox_rules/:id",
  access: "collection",
  summary: "Changes a rule; what the body leaves out stays. Conditions and actions are replaced as a whole.",
  ids: { id: "inbox_rule", ...ids },
  params: one,
  body: z
    .object({
      name: ruleFields.shape.name,
      enabled: boolean(),
      conditions: conditionFields,
      actions: actionFields,
      position,
    })
    .partial(),
  reply: ruleView,
  handle: ({ who, params, body: { position: at, ...rule } }, { db }) =>
    db.transaction(async (tx) => {
      const conditions = rule.conditions === undefined ? undefined : await named(tx, who, rule.conditions);
      const options = { accountId: who.accountId, id: params.id, position: at };
      return view(await changeRule(tx, options, { ...rule, conditions }));
    }),
});

const remove = endpoint({
  method: "DELETE",
  path: "/inbox_rules/:id",
  access: "collection",
  summary: "Deletes a rule; what it has done stays.",
  ids: { id: "inbox_rule" },
  params: one,
  reply: z.undefined(),
  async handle({ who, params }, { db }) {
    await db.transaction((tx) => removeRule(tx, who.accountId, params.id));
    return new Message("Deleted inbox rule.");
  },
});

const preview = endpoint({
  method: "POST",
  path: "/inbox_rules/preview",
  access: "collection",
  summary: "Shows what a rule that is not saved would do with the meters in the inbox.",
  ids,
  body: ruleFields,
  reply: outcomeView,
  async handle({ who, body }, { db }) {
    const conditions = await named(db, who, body.conditions);
    const { tree_id: treeId } = body.actions;
    if (treeId !== undefined) await nodeById(db, { accountId: who.accountId, clientId: null }, treeId);
    const rules = [{ ...body, conditions }];
    return viewOutcomes(await tryRules(db, { accountId: who.accountId, rules, limit: metersMax }), false);
  },
});

const apply = endpoint({
  method: "POST",
  path: "/inbox_rules/apply",
  access: "collection",
  summary:
    "Applies the rules to the found meters that lie in the inbox; `preview` only shows what they would do.",
  description: `All that are enabled, or the one named by \`rule\`. At most ${metersMax} meters in one request.`,
  ids: { rule: "inbox_rule" },
  body: z.object({ rule: id().optional(), preview: boolean().default(false) }),
  reply: outcomeView,
  handle: ({ who, body }, { db, clock }) =>
    db.transaction(async (tx) => {
      const { accountId } = who;
      const rules =
        body.rule === undefined
          ? (await rulesOf(tx, accountId)).filter((rule) => rule.enabled)
          : [await ruleById(tx, accountId, body.rule)];
      if (rules.length === 0) throw invalid("rule", "there is no rule that is enabled; add one first");
      const outcomes = await tryRules(tx, { accountId, rules, limit: metersMax });
      if (!body.preview) {
        const actorId = who.actorId ?? who.ownAccountId;
        await act(tx, { accountId, now: clock.now(), actorId }, outcomes);
      }
      return viewOutcomes(outcomes, !body.preview);
    }),
});

/** Rules for found meters. */
export const ruleEndpoints: Endpoint[] = [list, read, create, change, remove, preview, apply];
