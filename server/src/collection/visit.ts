import { type Queryable, sql } from "../platform/db.ts";
import type { Deps } from "../platform/deps.ts";
import type { Egress } from "../platform/egress/egress.ts";
import { after, pause, stopwatch } from "../platform/pause.ts";
import type { Browsers } from "./browser/browsers.ts";
import { openVisitBrowser } from "./browser/visit-browser.ts";
import { type Claimed, LostConnection } from "./claim.ts";
import {
  type Browser,
  type Connector,
  type Http,
  type HttpAnswer,
  type Memory,
  ProviderFailure,
  type Visit,
  type Words,
} from "./connector.ts";
import { opened, type Settings, sealed, secretsIn } from "./credentials.ts";
import { type HttpOptions, openHttp, type TraceLine } from "./http.ts";
import { type Limit, limitsOf, mayAsk, takeSlot } from "./limits.ts";
import { openReach } from "./reach.ts";
import { makeScrubber, type Scrubber } from "./scrub.ts";
import { presentSetup, secretsOfSetup, setupOf } from "./setup.ts";
import { waitForCode } from "./state.ts";

/** One step of a run, as people see it. */
export interface Step {
  name: string;
  /** Epoch milliseconds. */
  at: number;
  counts?: Readonly<Record<string, number>>;
}

/** A visit, and what is known of it when it is over. */
export interface OpenVisit {
  visit: Visit<Settings>;
  scrubber: Scrubber;
  trace: TraceLine[];
  steps: Step[];
  /** Keys of meters that the provider refuses. */
  refused: Set<string>;
  /** Text of the latest answer, for whoever must find out what a connector stumbled over. */
  lastPage(): string | undefined;
  /** Ends the telling, when the end of the run is about to be written with all its steps. */
  told(): Promise<void>;
  /**
   * Sets what a consent came to in the memory, and ends the consent, in one moment.
   * @throws LostConnection when the credentials were changed meanwhile
   */
  keepAccess(entries: Readonly<Record<string, string>>, consentId: string): Promise<void>;
  /** Ends what the visit has opened. */
  close(): Promise<void>;
}

const traceMax = 300;
const stepsMax = 200;
const tellMs = 200;
const memoryBytesMax = 65_536;
const codeMs = 600_000;
const askMs = 500;
/** Longest wait for a provider that asks for it, and all waits of a run. */
const waitSecondsMax = 120;
const waitedSecondsMax = 900;
/** Shorter waits are not worth telling. */
const waitSecondsTold = 5;

/** Opens a visit for a run. */
export async function openVisit(
  deps: Deps,
  {
    connector,
    claimed,
    settings,
    browsers,
  }: { connector: Connector; claimed: Claimed; settings: Settings; browsers: Browsers },
  signal: AbortSignal,
): Promise<OpenVisit> {
  const { clock, egress } = deps;
  const setups = deps.settings.providers;
  const scrubber = makeScrubber([
    ...secretsIn(connector, settings),
    ...secretsOfSetup(connector, setupOf(connector, settings, setups)),
  ]);
  const trace: TraceLine[] = [];
  const { steps, step, told } = makeTeller(deps, { claimed, scrubber });
  const wait = makeWait({
    step,
    async pause(seconds) {
      await pause(seconds * 1000, signal);
      signal.throwIfAborted();
    },
  });
  const addLine = (line: TraceLine) => {
    if (trace.length < traceMax) trace.push(line);
  };
  const way: HttpOptions & { egress: Egress } = {
    egress,
    scrubber,
    now: clock.now,
    signal,
    slot: (limit) => takeSlots(deps, limitsOf(connector, limit), signal),
    wait,
    trace: addLine,
  };
  const window = openVisitBrowser({ ...way, wait, trace: addLine, browsers, connector, settings });
  const { http, browser, lastPage } = remembering(openHttp(way), window.browser);
  const { memory, keepAccess } = await openMemory(deps, { claimed, scrubber });
  const refused = new Set<string>();
  const visit: Visit<Settings> = {
    settings,
    get setup() {
      return presentSetup(connector, settings, setups);
    },
    http,
    browser,
    reach: openReach({ egress, signal, now: clock.now, trace: addLine }),
    memory,
    mayAsk: (question) =>
      mayAsk(deps.db, connector, { connectionId: claimed.id, question, now: clock.now() }),
    refused: (key) => void refused.add(key),
    wait,
    step,
    now: clock.now(),
    signal,
    askCode: async (prompt) => {
      step("waiting for a code");
      const code = await askCode(deps, { claimed, prompt }, signal);
      scrubber.add(code);
      step("got a code");
      return code;
    },
  };
  return { visit, scrubber, trace, steps, refused, lastPage, told, keepAccess, close: window.close };
}

/** Waits for a place under each of the limits. */
async function takeSlots({ db, clock }: Deps, limits: readonly Limit[], signal: AbortSignal): Promise<void> {
  for (const limit of limits) {
    await pause(await takeSlot(db, limit, clock.now()), signal);
    signal.throwIfAborted();
  }
}

/** The ways of a visit; the latest answer is at hand as text, when it is one. */
function remembering(
  http: Http,
  browser: Browser,
): { http: Http; browser: Browser; lastPage: OpenVisit["lastPage"] } {
  let last: HttpAnswer | undefined;
  const kept = async (asking: Promise<HttpAnswer>) => {
    last = await asking;
    return last;
  };
  return {
    http: { ...http, send: (url, request) => kept(http.send(url, request)) },
    browser: {
      ...browser,
      open: (url, wait) => kept(browser.open(url, wait)),
      press: (selector, wait) => kept(browser.press(selector, wait)),
    },
    lastPage: () => (last?.bytes.includes(0) === false ? last.text() : undefined),
  };
}

/** Tells steps while they are taken, at once and then no more often than people can see. */
function makeTeller(
  deps: Deps,
  { claimed, scrubber }: { claimed: Claimed; scrubber: Scrubber },
): Pick<OpenVisit, "steps" | "told"> & Pick<Visit<Settings>, "step"> {
  const steps: Step[] = [];
  let telling: Promise<void> = Promise.resolve();
  let callOff: (() => void) | undefined;
  let elapsed: (() => number) | undefined;
  const tell = () => {
    callOff = undefined;
    elapsed = stopwatch();
    telling = telling
      .then(() => tellSteps(deps, claimed, steps))
      .catch((error: unknown) => {
        deps.log.warn({ err: error, run: claimed.runId }, "a step of a run was not written");
      });
  };
  const step: Visit<Settings>["step"] = (name, counts) => {
    if (steps.length >= stepsMax) steps.splice(1, 1);
    steps.push({
      name: storable(scrubber.scrub(name)).slice(0, 100),
      at: deps.clock.now(),
      ...(counts === undefined ? {} : { counts }),
    });
    callOff ??= after(elapsed === undefined ? 0 : tellMs - elapsed(), tell);
  };
  const told = () => {
    callOff?.();
    return telling;
  };
  return { steps, step, told };
}

/** `Visit.wait`: bounded, as a run that waits holds one of the provider's places. */
export function makeWait({
  step,
  pause,
}: Pick<Visit<Settings>, "step"> & { pause(seconds: number): Promise<void> }): Visit<Settings>["wait"] {
  let waited = 0;
  return async (seconds) => {
    if (seconds > waitSecondsMax || waited + seconds > waitedSecondsMax) {
      throw new ProviderFailure("busy", `the provider asks to come back in ${seconds} seconds`, {
        retryAfterSeconds: seconds,
      });
    }
    waited += seconds;
    if (seconds >= waitSecondsTold) step("wait", { seconds });
    await pause(seconds);
  };
}

/** Text of a connector as the database takes it. */
const storable = (text: string) => text.toWellFormed().replaceAll("\0", "");

/** Writes the steps of a run, and moves what watchers look at. */
async function tellSteps({ db }: Deps, { id, runId }: Claimed, steps: readonly Step[]): Promise<void> {
  await db.run(sql`
    with told as (update connection set version = version + 1 where id = ${id} and run_id = ${runId} returning run_id)
    update connection_run r set steps = ${JSON.stringify(steps)}::jsonb from told where r.id = told.run_id`);
}

async function openMemory(
  { db, keys }: Deps,
  { claimed, scrubber }: { claimed: Claimed; scrubber: Scrubber },
): Promise<{ memory: Memory } & Pick<OpenVisit, "keepAccess">> {
  const of = { keys, of: claimed, column: "memory" } as const;
  const text = await opened(db, of, claimed.memory);
  const kept = new Map(Object.entries(JSON.parse(text ?? "{}") as Record<string, string>));
  // Mostly tokens; what is no secret does no harm when it is hidden.
  scrubber.add(...kept.values());
  let stored = claimed.memory;
  const boxed = () => {
    const plain = JSON.stringify(Object.fromEntries(kept));
    if (plain.length > memoryBytesMax) throw new Error(`a connector keeps more than ${memoryBytesMax} bytes`);
    return sealed(db, of, plain);
  };
  /** Also of a run that was ended: a refresh token that is good for one use has replaced the stored one. */
  const isOurs = () => sql`id = ${claimed.id} and memory is not distinct from ${stored}::bytea`;
  const write = async () => {
    const box = await boxed();
    await db.run(sql`update connection set memory = ${box} where ${isOurs()}`);
    stored = box;
  };
  /** One after the other: each finds what the one before has stored. */
  let writing = Promise.resolve();
  return {
    memory: {
      get: (key) => kept.get(key),
      async set(key, value) {
        if (value === null) kept.delete(key);
        else {
          kept.set(key, value);
          scrubber.add(value);
        }
        writing = writing.then(write, write);
        await writing;
      },
    },
    async keepAccess(entries, consentId) {
      for (const [key, value] of Object.entries(entries)) kept.set(key, value);
      scrubber.add(...Object.values(entries));
      const box = await boxed();
      const ended = await db.run(sql`
        with held as (update connection set memory = ${box} where ${isOurs()} returning id)
        delete from connection_consent c using held where c.connection_id = held.id and c.id = ${consentId}`);
      if (ended === 0) throw new LostConnection();
      stored = box;
    },
  };
}

/** Shows the prompt, and waits until the code is there; other processes take it from the customer. */
async function askCode(
  deps: Deps,
  { claimed, prompt }: { claimed: Claimed; prompt: Words },
  signal: AbortSignal,
): Promise<string> {
  const { db, keys, clock } = deps;
  const now = clock.now();
  await db.transaction((tx) => waitForCode(tx, deps, { claimed, prompt, until: now + codeMs }));
  while (clock.now() < now + codeMs) {
    const box = await codeOf(db, claimed);
    if (box !== null) {
      await db.run(sql`
        update connection set code = null, code_prompt = null, code_until = null, state = 'checking',
          state_since = ${new Date(clock.now())}, version = version + 1
        where id = ${claimed.id} and run_id = ${claimed.runId}`);
      return (await opened(db, { keys, of: claimed, column: "code" }, box))!;
    }
    await pause(askMs, signal);
    signal.throwIfAborted();
  }
  throw new ProviderFailure("code", "nobody entered a code in time");
}

async function codeOf(db: Queryable, { id, runId }: Claimed): Promise<Buffer | null> {
  const row = await db.maybe<{ code: Buffer | null }>(
    sql`select code from connection where id = ${id} and run_id = ${runId}`,
  );
  // It was paused or deleted, or got other credentials: nobody will enter a code for this login.
  if (row === undefined) throw new LostConnection();
  return row.code;
}
