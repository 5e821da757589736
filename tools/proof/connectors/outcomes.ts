import { readFileSync } from "node:fs";
import type { Client } from "../../../client/src/client.ts";
import type { Connected } from "./people.ts";
import type { Fault } from "./utility.ts";

const collectionPage = new URL("../../../docs/collection.md", import.meta.url);

/** States that follow from kinds of failure, as the page about collection says. */
export function statesOfTable(): Map<string, string> {
  const page = readFileSync(collectionPage, "utf8");
  const table = page.slice(page.indexOf("<!-- consequences -->")).split("<!-- end -->")[0]!;
  const rows = [...table.matchAll(/^\| `(\w+)` \| (?:`(\w+)`|[^|`]+) \|/gm)];
  if (rows.length < 5) throw new Error("docs/collection.md has no table of consequences");
  return new Map(rows.map(([, failure, state]) => [failure!, state ?? "as before"]));
}

/** What a fault of the utility makes of a run: always, sometimes, or nothing that ends it. */
const expected: Readonly<Record<string, { failure: string; always: boolean } | null>> = {
  password: { failure: "credentials", always: true },
  account_locked: { failure: "credentials", always: true },
  captcha: { failure: "person", always: true },
  consent: { failure: "consent", always: true },
  maintenance: { failure: "unreachable", always: true },
  error: { failure: "unreachable", always: false },
  slow: { failure: "unreachable", always: false },
  session_lost: { failure: "unreachable", always: false },
  gone: { failure: "unreachable", always: false },
  busy: { failure: "busy", always: false },
  "layout labels": { failure: "changed", always: true },
  "layout language": { failure: "changed", always: true },
  "layout units": { failure: "changed", always: false },
  "layout decimals": { failure: "changed", always: false },
  "layout columns": null,
  empty_list: null,
  half_meters: null,
  duplicates: null,
  late: null,
  half_day: null,
  corrections: null,
  rewritten: null,
};

const nameOf = ({ kind, variant }: Fault) => (variant === undefined ? kind : `${kind} ${variant}`);

interface Run {
  began: number;
  ended: number;
  outcome: string;
  failure: string | null;
  message: string | null;
  /** Something was asked of the utility. */
  isAsking: boolean;
}

/** What became of runs, by the faults that they met. */
export interface Outcomes {
  runs: Record<string, number>;
  /** Runs that overlap a fault of each kind, by how they ended. */
  faults: Record<string, Record<string, number>>;
  /** Failures that no fault accounts for, and runs that went through a fault that always ends them. */
  unexplained: string[];
}

const countIn = (counts: Record<string, number>, name: string) => (counts[name] = (counts[name] ?? 0) + 1);

/** Of the utility. */
const sessionMs = 900_000;
/** Moments that a clock may be ahead of another. */
const slackMs = 2_000;

/** Holds every run of every connection against the faults of its time. */
export async function judge(connected: readonly Connected[], faults: readonly Fault[]): Promise<Outcomes> {
  const outcomes: Outcomes = { runs: {}, faults: {}, unexplained: [] };
  for (const each of connected) {
    const own = faults.filter(({ username }) => username === null || username === each.username);
    for await (const run of runsOf(each.connect(), each.id)) judgeRun(outcomes, { of: each, own, run });
  }
  return outcomes;
}

async function* runsOf(client: Client, id: string): AsyncGenerator<Run> {
  for await (const run of client.list("GET /connections/{id}/runs", { path: { id } })) {
    const { began, ended, outcome, failure, message, steps } = run;
    if (ended === null) continue;
    const isAsking = steps.length > 0;
    yield { began: instant(began), ended: instant(ended), outcome, failure, message, isAsking };
  }
}

const instant = (text: string) => Date.parse(text.replace("+0000", "Z"));

function judgeRun(
  outcomes: Outcomes,
  { of, own, run }: { of: Connected; own: readonly Fault[]; run: Run },
): void {
  const result = run.failure ?? run.outcome;
  countIn(outcomes.runs, result);
  const met = own.filter(
    ({ from, until }) => from <= run.ended + slackMs && until >= run.began - slackMs && from < until,
  );
  for (const fault of met) countIn((outcomes.faults[nameOf(fault)] ??= {}), result);
  const complain = (why: string) => {
    if (outcomes.unexplained.length >= 10) return;
    const at = new Date(run.began).toISOString().slice(0, 16);
    outcomes.unexplained.push(`${of.username} ${at}: ${result}, ${why}`);
  };
  if (run.outcome === "failed") {
    const causes = met.map((fault) => expected[nameOf(fault)]?.failure);
    // A session does not live through hours that the clock was set ahead by in the middle of a run.
    if (run.ended - run.began > sessionMs) causes.push("unreachable");
    if (run.failure !== "ended" && !causes.includes(run.failure!)) {
      complain(`and no fault accounts for it: ${run.message}`);
    }
  } else if (run.outcome === "complete" && run.isAsking) {
    const ending = met.find((fault) => isWithin(run, fault) && expected[nameOf(fault)]?.always === true);
    if (ending !== undefined) complain(`within ${nameOf(ending)}`);
  }
}

const isWithin = (run: Run, { from, until, isShort }: Fault) =>
  !isShort && from + slackMs < run.began && run.ended < until - slackMs;
