import { isDeepStrictEqual } from "node:util";
import type { Connector } from "../collection/connector.ts";
import type { ConnectorCase } from "./case-file.ts";
import { type Mutant, mutantsOf } from "./mutants.ts";
import { runCase, type Told } from "./play.ts";
import { playerOf } from "./player.ts";

/** What came of the mutants of a case. */
export interface MutantsChecked {
  count: number;
  /** Mutants that came to something wrong, and to what. */
  problems: string[];
  /** Members of JSON that mutants took away. */
  parts: Set<string>;
}

/** Answers of a kind, such as the pages of meters, that are changed; the others are like them. */
const perKindMax = 2;

/**
 * Changes the answers of a case one by one, as providers do without a word. Each mutant must come to the same meters and
 * values, or end in `changed`: never to a wrong value, never to values that are missing without a trace. Parts of JSON
 * that the provider may leave out are not taken away: then less is what is meant.
 */
export async function checkMutants(
  connector: Connector,
  played: ConnectorCase,
  { optionalParts }: { optionalParts: ReadonlySet<string> },
): Promise<MutantsChecked> {
  const checked: MutantsChecked = { count: 0, problems: [], parts: new Set() };
  if (played.expected.failure !== undefined) return checked;
  const expected = valuesOf(played.expected);
  const kinds = new Map<string, number>();
  for (const [at, { request, response }] of played.talk.entries()) {
    if (response === "none" || response.status !== 200) continue;
    const kind = `${request.method} ${new URL(request.url).pathname.replace(/[^/]*\d[^/]*/g, "#")}`;
    const times = kinds.get(kind) ?? 0;
    kinds.set(kind, times + 1);
    if (times >= perKindMax) continue;
    for (const mutant of mutantsOf(response)) {
      if (mutant.gone !== undefined) checked.parts.add(mutant.gone);
      if (optionalParts.has(mutant.gone ?? "")) continue;
      const changed = { ...response, body: Buffer.from(mutant.body) };
      const talk = played.talk.with(at, { request, response: changed });
      const { told } = await runCase(connector, played, playerOf({ talk, order: "any", knowsNot: true }));
      checked.count++;
      const wrong = wrongIn(told, played.expected, {
        ...mutant,
        hasValues: hasValues(response.body, expected),
      });
      if (wrong !== undefined) checked.problems.push(`${request.url}: ${mutant.what}: ${wrong}`);
    }
  }
  return checked;
}

type Values = Map<string, string>;

/** Does an answer hold values that were delivered? Then its unit is theirs. */
function hasValues(body: Buffer, expected: Values): boolean {
  const text = body.toString("utf8");
  const numbers = [...expected.values()]
    .map((line) => line.split(" | ")[0]!)
    .filter((number) => number.length > 2);
  return numbers.some((number) => text.includes(number) || text.includes(number.replace(".", ",")));
}

/** What is wrong with a run of a mutant; `undefined` when nothing is. */
function wrongIn(
  told: Told,
  expected: ConnectorCase["expected"],
  { isShorter = false, factor, hasValues }: Mutant & { hasValues: boolean },
): string | undefined {
  const { failure } = told;
  const isTold = failure !== undefined;
  if (isTold && failure.kind !== "changed") return `ends in ${failure.kind}: ${failure.message}`;
  const mayMiss = isTold || isShorter;
  const right = valuesOf(expected);
  const isConverted = factor !== undefined && hasValues && !isTold;
  return (
    wrongMeters(told.found ?? [], expected.found ?? [], mayMiss) ??
    wrongInvoices(told.invoices ?? [], expected.invoices ?? [], mayMiss) ??
    wrongValues(valuesOf(told), isConverted ? converted(right, factor) : right, mayMiss)
  );
}

function converted(values: Values, factor: number): Values {
  return new Map(
    [...values].map(([place, line]) => {
      const [value, quality] = line.split(" | ");
      const number = Number((Number(value) * factor).toPrecision(12));
      return [place, value === "none" ? line : `${number} | ${quality}`];
    }),
  );
}

type Found = readonly Record<string, unknown>[];

function wrongMeters(found: Found, expected: Found, mayMiss: boolean): string | undefined {
  const byKey = new Map(expected.map((meter) => [meter.key, meter]));
  for (const meter of found) {
    const right = byKey.get(meter.key);
    if (right === undefined) return `a meter ${meter.key} that is not there`;
    for (const [fact, value] of Object.entries(meter)) {
      // The words of a provider, for rules, may be any.
      if (fact === "text" || isDeepStrictEqual(value, right[fact]) || isShorter(value, right[fact])) continue;
      return `the ${fact} of ${meter.key} is ${JSON.stringify(value)}`;
    }
  }
  const missing = expected.filter(({ key }) => found.every((meter) => meter.key !== key));
  return missing.length > 0 && !mayMiss ? `${missing.length} meters are missing` : undefined;
}

/** Words for people, such as an address, of which a part is not there any more. */
function isShorter(words: unknown, right: unknown): boolean {
  if (typeof words !== "string" || typeof right !== "string") return false;
  const all = right.split(/[\s,]+/);
  return words.split(/[\s,]+/).every((word) => all.includes(word));
}

type Invoices = readonly { key: string }[];

/** What stands in an invoice is read by others; here it counts that it is there. */
function wrongInvoices(invoices: Invoices, expected: Invoices, mayMiss: boolean): string | undefined {
  const known = new Set(expected.map(({ key }) => key));
  const other = invoices.find(({ key }) => !known.has(key));
  if (other !== undefined) return `an invoice ${other.key} that is not there`;
  const missing = known.size - invoices.length;
  return missing > 0 && !mayMiss ? `${missing} invoices are missing` : undefined;
}

function valuesOf({ deliveries = [] }: Pick<Told, "deliveries">): Values {
  const values: Values = new Map();
  for (const { key, metric, granularity, values: lines } of deliveries) {
    for (const line of lines as string[]) {
      const [start = "", ...value] = line.split(" | ");
      values.set(`${key} ${metric} ${granularity} ${start}`, value.join(" | "));
    }
  }
  return values;
}

function wrongValues(values: Values, expected: Values, mayMiss: boolean): string | undefined {
  for (const [place, value] of values) {
    const right = expected.get(place);
    if (value !== right) return `${place} is ${value}, not ${right ?? "there"}`;
  }
  return values.size < expected.size && !mayMiss
    ? `${expected.size - values.size} values are missing`
    : undefined;
}
