import { createHash } from "node:crypto";
import { isDeepStrictEqual } from "node:util";
import {
  makeScrubber,
  makeWait,
  openHttp,
  secretsIn,
  secretsOfSetup,
  type TraceLine,
} from "../collection/collection.ts";
import {
  type Browser,
  type Connector,
  type Delivery,
  type FoundMeter,
  type Memory,
  ProviderFailure,
  type Visit,
  type Wanted,
} from "../collection/connector.ts";
import type { Reach } from "../platform/transfer/call.ts";
import type { ConnectorCase, Expected } from "./case-file.ts";
import { type Player, playerOf } from "./player.ts";

/** What a run came to, as a case writes it down. */
export interface Told extends Expected {
  asked: string[];
  refused: string[];
  memory: Record<string, string>;
}

/** A case that was played. */
export interface Played {
  told: Told;
  /** The failure itself, with the page that was not understood. */
  failure: ProviderFailure | undefined;
  /** What is wrong; empty when everything is as expected. */
  problems: string[];
}

/**
 * Runs a connector against the recorded provider of a case: through the HTTP of a visit, with a player in the place of
 * the network. Never throws because of what the connector does.
 */
export async function playCase(connector: Connector, played: ConnectorCase): Promise<Played> {
  const player = playerOf(played);
  const run = await runCase(connector, played, player);
  const { told, failure, codesLeft } = run;
  const problems = [...player.complaints(), ...differences(told, played.expected)];
  if (codesLeft > 0) problems.push(`codes of the case that were never asked for: ${codesLeft}`);
  problems.push(...leaks(secretsOf(connector, played), run));
  return { told, failure, problems };
}

/** A run of a case, and what was shown of it on the way. */
export interface CaseRun {
  told: Told;
  failure: ProviderFailure | undefined;
  trace: TraceLine[];
  steps: string[];
  codesLeft: number;
}

/** Runs a case against a player, without looking at what it should come to. */
export async function runCase(
  connector: Connector,
  played: ConnectorCase,
  { egress }: Pick<Player, "egress">,
): Promise<CaseRun> {
  const settings = connector.settings.parse(played.settings);
  const setup = connector.operator?.setup.parse(played.setup) ?? {};
  const trace: TraceLine[] = [];
  const steps: string[] = [];
  const asked: string[] = [];
  const refused: string[] = [];
  const memory = new Map(Object.entries(played.memory));
  const codes = [...played.codes];
  const signal = new AbortController().signal;
  const step = (name: string) => void steps.push(name);
  const wait = makeWait({ step, pause: async () => undefined });
  const visit: Visit<Record<string, unknown>> = {
    settings,
    setup,
    http: openHttp({
      egress,
      scrubber: makeScrubber(secretsOf(connector, played)),
      now: () => played.now,
      signal,
      slot: async () => undefined,
      wait,
      trace: (line) => trace.push(line),
    }),
    reach: noReach(signal),
    browser: noBrowser,
    memory: memoryOf(memory),
    async mayAsk(question) {
      asked.push(question);
      return !played.answered.includes(question);
    },
    async askCode() {
      const code = codes.shift();
      if (code === undefined) throw new ProviderFailure("code", "nobody entered a code in time");
      return code;
    },
    refused: (key) => void refused.push(key),
    wait,
    step,
    now: played.now,
    signal,
  };
  const told: Told = { asked, refused, memory: {} };
  const failure = await collectInto(told, { connector, visit, asking: askingOf(played) });
  told.memory = Object.fromEntries(memory);
  return { told, failure, trace, steps, codesLeft: codes.length };
}

function askingOf({ discover, wanted, invoices }: ConnectorCase): Asking {
  const isStored = invoices && (async (key: string) => invoices.includes(key));
  return { discover, wanted, found: [], isStored };
}

/** What cases record is HTTP. */
export function noReach(signal: AbortSignal): Reach {
  const unplayed = (): never => {
    throw new Error("cases hold no connections other than HTTP");
  };
  return {
    signal,
    egress: { connect: unplayed, connectTls: unplayed, tlsOptions: unplayed, agents: unplayed },
  };
}

const unseen = (): never => {
  throw new Error(
    "recorded talk is HTTP: a connector with a browser is tested with its provider or an emulator",
  );
};

/** What browsers and pages say to each other is not recorded. */
export const noBrowser: Browser = {
  open: unseen,
  fill: unseen,
  press: unseen,
  cookie: unseen,
  setCookie: unseen,
};

/** A memory that lasts for one run. */
export function memoryOf(kept: Map<string, string>): Memory {
  return {
    get: (key) => kept.get(key),
    async set(key, value) {
      if (value === null) kept.delete(key);
      else kept.set(key, value);
    },
  };
}

/** What a run asks its connector for. */
export interface Asking {
  discover: boolean;
  wanted: readonly Wanted[];
  /** The meters that were found, as the connector made them. */
  found: FoundMeter[];
  /** Which invoices are stored already; without it none are asked for. */
  isStored?: ((key: string) => Promise<boolean>) | undefined;
}

/** Asks as the engine does, writes down what comes, and returns how it failed. */
export async function collectInto(
  told: Told,
  {
    connector,
    visit,
    asking,
  }: { connector: Connector; visit: Visit<Record<string, unknown>>; asking: Asking },
): Promise<ProviderFailure | undefined> {
  try {
    if (asking.discover) {
      told.found = [];
      for await (const meter of connector.discover(visit)) {
        asking.found.push(meter);
        told.found.push(plain(meter));
      }
    }
    if (asking.wanted.length > 0) {
      told.deliveries = [];
      for await (const delivery of connector.collect(visit, asking.wanted)) {
        told.deliveries.push(deliveryText(delivery));
      }
    }
    if (asking.isStored !== undefined && connector.invoices !== undefined) {
      told.invoices = [];
      for await (const { key, fileName, content } of connector.invoices(visit, asking.isStored)) {
        const sha256 = createHash("sha256").update(content).digest("hex");
        told.invoices.push({ key, fileName, bytes: content.length, sha256 });
      }
    }
    return undefined;
  } catch (error) {
    const failure = error instanceof ProviderFailure ? error : stumbled(error);
    const { kind, retryAfterSeconds, message } = failure;
    told.failure = {
      kind,
      ...(retryAfterSeconds === undefined ? {} : { retry_after_seconds: retryAfterSeconds }),
      message,
    };
    return failure;
  }
}

/** As the engine sees an error that the connector has no word for. */
function stumbled(error: unknown): ProviderFailure {
  const message = error instanceof Error ? error.message : String(error);
  return new ProviderFailure("changed", `the connector stumbled: ${message}`, { cause: error });
}

const plain = <Value>(value: Value): Record<string, unknown> => JSON.parse(JSON.stringify(value));

/** A delivery with a line for each value, `start | value | quality`, so that a person can check it. */
function deliveryText(delivery: Delivery): Record<string, unknown> {
  const { starts, values, quality = "measured", ...about } = delivery;
  const qualityOf = (i: number) => (typeof quality === "string" ? quality : quality[i]);
  const lines = starts.map((start, i) => `${instantText(start)} | ${values[i] ?? "none"} | ${qualityOf(i)}`);
  return { ...plain(about), values: lines };
}

const instantText = (at: number) => new Date(at).toISOString().replace(/:00\.000Z$/, "Z");

/** Where a run is another than it was expected to be. */
function differences(told: Told, expected: Expected): string[] {
  const found: string[] = [];
  const compare = (what: string, got: unknown, wanted: unknown) => {
    if (!isDeepStrictEqual(got, wanted)) {
      found.push(
        `${what}: expected ${JSON.stringify(wanted, null, 2)}\nbut it was ${JSON.stringify(got, null, 2)}`,
      );
    }
  };
  const { message, ...failure } = told.failure ?? {};
  const { message: part = "", ...failureExpected } = expected.failure ?? {};
  compare("failure", told.failure && failure, expected.failure && failureExpected);
  if (!(message ?? "").includes(part)) found.push(`the message of the failure is: ${message}`);
  else if (found.length > 0 && message !== undefined) found.push(`the failure says: ${message}`);
  // What was yielded before a failure is looked at where the case names it.
  const isWhole = expected.failure === undefined;
  if (isWhole || expected.found !== undefined) compare("found", told.found, expected.found);
  if (isWhole || expected.deliveries !== undefined) {
    compare("deliveries", told.deliveries, expected.deliveries);
  }
  if (isWhole || expected.invoices !== undefined) compare("invoices", told.invoices, expected.invoices);
  if (expected.asked !== undefined) compare("asked", told.asked, expected.asked);
  if (expected.refused !== undefined) compare("refused", told.refused, expected.refused);
  if (expected.memory !== undefined) compare("memory", told.memory, expected.memory);
  return found;
}

const secretsOf = (connector: Connector, { settings, setup }: ConnectorCase) => [
  ...secretsIn(connector, settings),
  ...secretsOfSetup(connector, setup),
];

/** Secrets where everybody would read them: in what was told, not only where the engine hides them. */
function leaks(secrets: readonly string[], { told, trace, steps, failure }: CaseRun): string[] {
  const scrubber = makeScrubber(secrets);
  const places = {
    "the trace": trace,
    "a step": steps,
    "what was found": told.found,
    "a delivery": told.deliveries,
    "an invoice": told.invoices,
    "the message of the failure": failure?.message,
  };
  return Object.entries(places).flatMap(([place, value]) => {
    const text = JSON.stringify(value) ?? "";
    return scrubber.scrub(text) === text ? [] : [`a secret of the settings stands in ${place}`];
  });
}
