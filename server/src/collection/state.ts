import { sql, type Tx } from "../platform/db.ts";
import type { Deps } from "../platform/deps.ts";
import type { Claimed } from "./claim.ts";
import type { Words } from "./connector.ts";
import { type ConnectionState, type IssueKind, isOther, issueKinds } from "./consequence.ts";
import { type Concerned, openIssue, resolveIssues } from "./issue.ts";

/** Issues that are about the state of a connection: those of other states pass when it changes. */
const stateIssues = issueKinds.filter((kind) => !isOther(kind));

/** A state to change to; `issue` is opened with it. */
export interface Change {
  state: ConnectionState;
  issue: IssueKind | null;
  now: number;
}

/** Changes the state of a connection that the transaction holds; issues of other states resolve by themselves. */
export async function changeState(
  tx: Tx,
  deps: Pick<Deps, "clock">,
  { connection, state, issue, now }: Change & { connection: Concerned },
): Promise<void> {
  await tx.run(sql`
    update connection set version = version + 1, state = ${state},
      state_since = case when state = ${state} then state_since else ${new Date(now)} end
    where id = ${connection.id}`);
  const passed = stateIssues.filter((kind) => kind !== state);
  await resolveIssues(tx, { connectionId: connection.id, kinds: passed, now });
  if (issue !== null) await openIssue(tx, deps, { connection, kind: issue, now });
}

/** Shows that a run waits for a code of the customer. Nothing when the run has lost the connection. */
export async function waitForCode(
  tx: Tx,
  { clock }: Pick<Deps, "clock">,
  { claimed, prompt, until }: { claimed: Claimed; prompt: Words; until: number },
): Promise<void> {
  const held = await tx.run(sql`
    update connection set code = null, code_prompt = ${JSON.stringify(prompt)}::jsonb, code_until = ${new Date(until)}
    where id = ${claimed.id} and run_id = ${claimed.runId}`);
  if (held === 0) return;
  const state = "waiting_for_code";
  await changeState(tx, { clock }, { connection: claimed, state, issue: state, now: clock.now() });
}
