import { z } from "zod";
import { accountById, accountRefs, accountRefView } from "../accounts/accounts.ts";
import { any, type Queryable, sql } from "../platform/db.ts";
import { formatTimestamp, timestampText } from "../platform/http/schema.ts";
import type { Connection } from "./connection.ts";
import { failureKinds } from "./connector.ts";
import type { ConsentLink } from "./consent.ts";
import { connectionStates, stateMeanings } from "./consequence.ts";
import { wordsIn } from "./provider.ts";
import type { Step } from "./visit.ts";

/** A step of a run, as answers show it. */
export const stepView = z.object({
  name: z.string(),
  at: timestampText(),
  counts: z.record(z.string(), z.number()).nullable(),
});

/** A connection as answers show it. */
export const connectionView = z.object({
  _id: z.string(),
  account: accountRefView.nullable(),
  provider: z.string(),
  name: z.string().nullable(),
  credentials: z.record(z.string(), z.unknown()).describe("Secrets are shown as `********`"),
  state: z.enum(connectionStates),
  state_since: timestampText(),
  who_acts: z.enum(["nobody", "customer", "operator"]),
  what_to_do: z.string().describe("In the language of the asking account"),
  is_customer_action_required: z.boolean(),
  code: z
    .object({ prompt: z.string(), expires: timestampText() })
    .nullable()
    .describe(
      "While a login waits for a code: what to ask the customer. Send it to `/connections/{id}/code`",
    ),
  consent: z
    .object({ url: z.string(), expires: timestampText() })
    .nullable()
    .describe(
      "Where the customer gives consent, in their browser: only in the answer to the request that makes the link",
    ),
  failure: z.enum(failureKinds).nullable().describe("Of the last run; null when it succeeded"),
  failures: z.int().describe("How many runs in a row have failed"),
  failing_since: timestampText().nullable(),
  running: z
    .object({ _id: z.string(), began: timestampText(), steps: z.array(stepView) })
    .nullable()
    .describe("The run that is on"),
  next_run: timestampText().nullable().describe("Null while one is on, and when none begins by itself"),
  discovered: timestampText().nullable().describe("When meters were last looked for"),
  collected: timestampText().nullable().describe("When everything that was wanted was last asked for"),
  backfill: z
    .object({ from: timestampText(), to: timestampText() })
    .nullable()
    .describe("What is left of a period that was asked for"),
  created: timestampText(),
  updated: timestampText(),
});

/** A connection whose customer has just been asked for consent. */
export function withLink(
  view: z.output<typeof connectionView>,
  link: ConsentLink | null,
): z.output<typeof connectionView> {
  return link === null ? view : { ...view, consent: { url: link.url, expires: formatTimestamp(link.until) } };
}

const at = (instant: number | null) => (instant === null ? null : formatTimestamp(instant));

interface Running {
  id: string;
  began: number;
  steps: Step[];
}

/** Shows the steps of a run. */
export function viewSteps(steps: readonly Step[]): z.output<typeof stepView>[] {
  return steps.map((step) => ({
    name: step.name,
    at: formatTimestamp(step.at),
    counts: step.counts ?? null,
  }));
}

/** The language that an account reads. */
export async function languageOfAccount(db: Queryable, accountId: string): Promise<string> {
  return (await accountById(db, accountId)).language;
}

/** Shows connections, in order, in a language. */
export async function viewConnections(
  db: Queryable,
  connections: readonly Connection[],
  language: string,
): Promise<z.output<typeof connectionView>[]> {
  const accounts = await accountRefs(
    db,
    connections.map(({ accountId }) => accountId),
  );
  const runs = await db.rows<Running>(sql`
    select id, (extract(epoch from began) * 1000)::float8 as began, steps from connection_run
    where id = ${any(connections.flatMap(({ runId }) => runId ?? []))}`);
  const byId = new Map(runs.map((run) => [run.id, run]));
  return connections.map((connection) => {
    const run = byId.get(connection.runId ?? "");
    return {
      ...stateOf(connection, language),
      _id: connection.id,
      account: accounts.get(connection.accountId) ?? null,
      provider: connection.provider,
      name: connection.name,
      credentials: connection.settings,
      running:
        run === undefined
          ? null
          : { _id: run.id, began: formatTimestamp(run.began), steps: viewSteps(run.steps) },
      next_run: connection.runId === null ? at(connection.nextRun) : null,
      discovered: at(connection.discovered),
      collected: at(connection.collected),
      backfill: backfillOf(connection),
      created: formatTimestamp(connection.created),
      updated: formatTimestamp(connection.updated),
    };
  });
}

function backfillOf({ backfillFrom, backfillTo }: Connection) {
  if (backfillFrom === null || backfillTo === null) return null;
  return { from: formatTimestamp(backfillFrom), to: formatTimestamp(backfillTo) };
}

function stateOf(connection: Connection, language: string) {
  const { state, stateSince, codePrompt, codeUntil, failure, failures, failingSince } = connection;
  const { who, what } = stateMeanings[state];
  return {
    state,
    state_since: formatTimestamp(stateSince),
    who_acts: who,
    what_to_do: wordsIn(what, language),
    is_customer_action_required: who === "customer",
    code:
      codePrompt === null || codeUntil === null
        ? null
        : { prompt: wordsIn(codePrompt, language), expires: formatTimestamp(codeUntil) },
    consent: null,
    failure,
    failures,
    failing_since: at(failingSince),
  };
}
