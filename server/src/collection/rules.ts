import { type Queryable, sql, type Tx } from "../platform/db.ts";
import { newId } from "../platform/id.ts";
import { invalid, notFound } from "../platform/problem.ts";
import { nodeById } from "../trees/trees.ts";
import type { Actions, Conditions, Rule } from "./rule.ts";

/** Rules of one account. */
const rulesMax = 200;

/** A rule as it is kept. */
export interface InboxRule extends Rule {
  id: string;
  accountId: string;
  /** 1 is tried first. */
  position: number;
  enabled: boolean;
  /** Epoch milliseconds. */
  created: number;
}

/** What is written of a rule. */
export interface RuleChange {
  name: string;
  enabled: boolean;
  conditions: Conditions;
  actions: Actions;
}

interface Row extends Omit<InboxRule, "actions"> {
  actions: Omit<Actions, "tree_id">;
  treeId: string | null;
}

/** The rules of an account, in the order in which they are tried. A place whose tree node was deleted is gone. */
export async function rulesOf(db: Queryable, accountId: string): Promise<InboxRule[]> {
  const rows = await db.rows<Row>(sql`
    select id, account_id as "accountId", position, name, enabled, conditions, actions, tree_id as "treeId",
      (extract(epoch from created) * 1000)::float8 as created
    from inbox_rule where account_id = ${accountId} order by position, id`);
  return rows.map(({ treeId, actions, ...rule }, index) => {
    const { tree_child: _, factor: __, ...placeless } = actions;
    return {
      ...rule,
      position: index + 1,
      actions: treeId === null ? placeless : { ...actions, tree_id: treeId },
    };
  });
}

/** One rule of an account, or 404. */
export async function ruleById(db: Queryable, accountId: string, id: string): Promise<InboxRule> {
  const rule = (await rulesOf(db, accountId)).find((one) => one.id === id);
  if (rule === undefined) throw notFound(`inbox rule ${id} of account ${accountId}`);
  return rule;
}

/** Adds a rule, at the end unless a position is given. Throws 404 for a foreign tree node, 400 for too many rules. */
export async function addRule(
  tx: Tx,
  { accountId, now, position }: { accountId: string; now: number; position?: number | undefined },
  change: RuleChange,
): Promise<InboxRule> {
  await holdRules(tx, accountId);
  const before = await rulesOf(tx, accountId);
  if (before.length >= rulesMax)
    throw invalid("name", `an account has at most ${rulesMax} rules; delete some first`);
  const { name, enabled, conditions, actions } = change;
  const id = newId(now);
  const { tree_id: treeId = null, ...others } = actions;
  await assertOwnNode(tx, accountId, treeId);
  await tx.run(sql`
    insert into inbox_rule (id, account_id, position, name, enabled, conditions, actions, tree_id, created)
    values (${id}, ${accountId}, ${before.length + 1}, ${name}, ${enabled}, ${JSON.stringify(conditions)}::jsonb,
            ${JSON.stringify(others)}::jsonb, ${treeId}, ${new Date(now)})`);
  await moveRule(tx, accountId, { id, position });
  return ruleById(tx, accountId, id);
}

/** Replaces what is given of a rule; a position moves it there. */
export async function changeRule(
  tx: Tx,
  { accountId, id, position }: { accountId: string; id: string; position?: number | undefined },
  change: { [Field in keyof RuleChange]?: RuleChange[Field] | undefined },
): Promise<InboxRule> {
  await holdRules(tx, accountId);
  const rule = await ruleById(tx, accountId, id);
  const { name = rule.name, enabled = rule.enabled, conditions = rule.conditions } = change;
  const { tree_id: treeId = null, ...others } = change.actions ?? rule.actions;
  await assertOwnNode(tx, accountId, treeId);
  await tx.run(sql`
    update inbox_rule set name = ${name}, enabled = ${enabled}, conditions = ${JSON.stringify(conditions)}::jsonb,
      actions = ${JSON.stringify(others)}::jsonb, tree_id = ${treeId} where id = ${id}`);
  await moveRule(tx, accountId, { id, position });
  return ruleById(tx, accountId, id);
}

/** Deletes a rule; what it did stays. */
export async function removeRule(tx: Tx, accountId: string, id: string): Promise<void> {
  const removed = await tx.run(sql`delete from inbox_rule where id = ${id} and account_id = ${accountId}`);
  if (removed === 0) throw notFound(`inbox rule ${id} of account ${accountId}`);
}

/** Whoever changes the order of rules takes turns. */
async function holdRules(tx: Tx, accountId: string): Promise<void> {
  await tx.run(sql`select pg_advisory_xact_lock(hashtextextended(${`inbox rules of ${accountId}`}, 0))`);
}

async function moveRule(
  tx: Tx,
  accountId: string,
  { id, position }: { id: string; position: number | undefined },
): Promise<void> {
  if (position === undefined) return;
  const order = (await rulesOf(tx, accountId)).map((rule) => rule.id).filter((one) => one !== id);
  order.splice(position - 1, 0, id);
  await tx.run(sql`
    update inbox_rule r set position = ordered.n
    from unnest(${order}::text[]) with ordinality as ordered (id, n)
    where r.id = ordered.id and r.account_id = ${accountId}`);
}

async function assertOwnNode(db: Queryable, accountId: string, treeId: string | null): Promise<void> {
  if (treeId !== null) await nodeById(db, { accountId, clientId: null }, treeId);
}
