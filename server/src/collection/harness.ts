import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { z } from "zod";
import { newAccount, type TestAccount } from "../../../test/harness/accounts.ts";
import { type TestApi, testApi } from "../../../test/harness/api.ts";
import { testBrowser } from "../../../test/harness/browser.ts";
import { authenticate } from "../accounts/accounts.ts";
import { accountEndpoints } from "../accounts/api.ts";
import { importEndpoints } from "../imports/api.ts";
import { invoiceEndpoints } from "../invoices/api.ts";
import { invoiceJobs } from "../invoices/invoices.ts";
import { meterEndpoints } from "../meters/api.ts";
import { seriesEndpoints } from "../series/api.ts";
import { treeEndpoints } from "../trees/api.ts";
import { webhookEndpoints } from "../webhooks/api.ts";
import { collectionEndpoints } from "./api.ts";
import {
  type Connector,
  connector,
  type Delivery,
  type FoundMeter,
  line,
  ProviderFailure,
  secret,
  titled,
  type Visit,
  type Wanted,
} from "./connector.ts";
import { type Collector, makeCollector } from "./worker.ts";

export { heldBrowsers, noBrowser } from "./browser/harness.ts";

/** A provider that a test plays: what it does not say is a quiet provider without meters. */
export function scriptedConnector(parts: Partial<Connector> = {}): Connector {
  const scripted = connector({
    name: "scripted",
    title: "Scripted Energi",
    countries: ["SE"],
    types: ["electricity"],
    granularities: ["hour", "day", "month"],
    historyDays: 30,
    latenessHours: 12,
    correctionDays: 3,
    help: { en: "Ask the test.", sv: "Fråga testet." },
    settings: z.object({
      username: titled(line(200), { en: "Customer number", sv: "Kundnummer" }),
      password: titled(
        secret(),
        { en: "Password", sv: "Lösenord" },
        { en: "Stands on the bill", sv: "Står på fakturan" },
      ),
    }),
    limits: { perMinute: 1_000, atOnce: 10 },
    async *discover() {},
    async *collect() {},
  });
  return { ...scripted, ...parts };
}

/** What a scripted provider holds and does; a test changes it as it goes. */
export interface Script {
  /** The password that works. */
  password: string;
  meters: FoundMeter[];
  /** Values by meter, metric and granularity: `key metric granularity`. */
  values: Map<string, Map<number, number | null>>;
  /** Thrown by each step, when it is set: `login`, `discover`, `collect`, `collected`. */
  fail: Partial<Record<ScriptStep, () => Error>>;
  /** Logins with a wrong password, and all. */
  wrongLogins: number;
  logins: number;
  asked: Wanted[];
  /** Keys of meters whose values the provider refuses. */
  refused: Set<string>;
  revoked: number;
  /** Added to every document and step. */
  odd: string;
}
export type ScriptStep = "login" | "discover" | "collect" | "collected";

/** A provider with a script of its own. */
export function playedConnector(parts: Partial<Connector> = {}): { connector: Connector; script: Script } {
  const script: Script = {
    password: "right",
    meters: [],
    values: new Map(),
    fail: {},
    wrongLogins: 0,
    logins: 0,
    asked: [],
    refused: new Set(),
    revoked: 0,
    odd: "",
  };
  const throwAt = (step: ScriptStep) => {
    const error = script.fail[step]?.();
    if (error !== undefined) throw error;
  };
  const logIn = (visit: Visit<unknown>) => {
    visit.step("log in");
    script.logins++;
    const { password } = visit.settings as { password: string };
    if (password !== script.password) {
      script.wrongLogins++;
      throw new ProviderFailure("credentials", `no such login: ${password}`);
    }
    throwAt("login");
  };
  const connector = scriptedConnector({
    async *discover(visit) {
      logIn(visit);
      yield* script.meters;
      throwAt("discover");
    },
    async *collect(visit, wanted) {
      script.logins++;
      script.asked.push(...wanted);
      throwAt("collect");
      for (const question of wanted) {
        if (script.refused.has(question.key)) visit.refused(question.key);
        else yield deliveryOf(script, question);
        throwAt("collected");
      }
      visit.step(`read${script.odd}`);
    },
    async revoke() {
      script.revoked++;
    },
    ...parts,
  });
  return { connector, script };
}

function deliveryOf({ values, odd }: Script, { key, metric, granularity, from, to }: Wanted): Delivery {
  const all = [...(values.get(`${key} ${metric} ${granularity}`) ?? [])];
  const some = all.filter(([start]) => start >= from && start < to);
  return {
    key,
    metric,
    granularity,
    starts: some.map(([start]) => start),
    values: some.map(([, value]) => value),
    document: { id: `${key}-${from}${odd}` },
  };
}

/** An account that collects from a scripted provider. */
export interface CollectionWorld {
  api: TestApi;
  connector: Connector;
  script: Script;
  owner: TestAccount;
  collector: Collector;
  /** Asks as the owner; throws unless it works, and returns `data`. */
  // biome-ignore lint/suspicious/noExplicitAny: tests look at whatever came back
  ask(method: string, path: string, body?: unknown): Promise<any>;
  /** Connects with the provider, without running yet. */
  // biome-ignore lint/suspicious/noExplicitAny: tests look at whatever came back
  connect(password?: string): Promise<any>;
  /** Begins what is due, and waits for its end. */
  run(): Promise<void>;
  /** Reads invoices that wait for it, at most so many. */
  readInvoices(most?: number): Promise<void>;
  close(): Promise<void>;
}

/** Makes such a world. */
export async function collectionWorld(parts: Partial<Connector> = {}): Promise<CollectionWorld> {
  const { connector, script } = playedConnector(parts);
  const endpoints = [
    ...accountEndpoints,
    ...meterEndpoints,
    ...treeEndpoints,
    ...collectionEndpoints([connector]),
    ...invoiceEndpoints,
    ...webhookEndpoints,
    ...importEndpoints,
    ...seriesEndpoints,
  ];
  const dataDir = mkdtempSync(join(tmpdir(), "metertree-collection-"));
  const browser = connector.needs === "browser" ? { browser: testBrowser() } : {};
  const api = await testApi({ endpoints, authenticate, settings: { dataDir, ...browser } });
  const owner = await newAccount(api.deps);
  const collector = makeCollector(api.deps, [connector]);
  const ask = async (method: string, path: string, body?: unknown) => {
    const answer = await api.call(method, path, {
      token: owner.token,
      ...(body === undefined ? {} : { body }),
    });
    if (answer.status !== 200) throw new Error(`${method} ${path}: ${answer.text}`);
    return answer.json.data;
  };
  return {
    api,
    connector,
    script,
    owner,
    collector,
    ask,
    connect: (password = "right") =>
      ask("POST", "/connections", {
        provider: connector.name,
        credentials: { username: "anna", password },
      }),
    async run() {
      await collector.step();
      await collector.idle();
    },
    async readInvoices(most = Number.POSITIVE_INFINITY) {
      const jobs = api.sentJobs.splice(0);
      const readings = jobs.flatMap(({ name, data }) => {
        const kind = invoiceJobs.find((each) => each.name === name);
        return kind === undefined ? [] : [{ kind, data }];
      });
      for (const { kind, data } of readings.slice(0, most)) {
        await kind.run(data, api.deps, new AbortController().signal);
      }
    },
    async close() {
      await collector.stop();
      await api.close();
      rmSync(dataDir, { recursive: true, force: true });
    },
  };
}

/** A meter of a scripted provider. */
export function meterFound(key: string, more: Partial<FoundMeter> = {}): FoundMeter {
  return {
    key,
    ean: `7359990000${key.padStart(8, "0")}`,
    type: "electricity",
    timezone: "Europe/Stockholm",
    metrics: [{ metric: "energy", granularities: ["hour"] }],
    ...more,
  };
}
