import type { Logger } from "pino";
import type { Clock } from "./clock.ts";
import type { Db } from "./db.ts";
import type { Egress } from "./egress/egress.ts";
import type { Jobs } from "./jobs.ts";
import type { Keys } from "./secrets.ts";

/** What the whole server is handed: built once in `main.ts`, or by a test. */
export interface Deps {
  db: Db;
  clock: Clock;
  log: Logger;
  keys: Keys;
  jobs: Jobs;
  settings: Settings;
  /** The way out to machines that tenants name. */
  egress: Egress;
}

/** The part of the configuration that handlers need. */
export interface Settings {
  /** Where uploads wait and the embedded database lives. */
  dataDir: string;
  /** Address that clients reach the server at, without a trailing slash: links are made from it, never from a request. */
  publicUrl: string;
  /** Zone of meters whose source states none, for new accounts. */
  timezone: string;
  /** Most values that one request may ask for. */
  valuesMax: number;
  /** Longest list page. */
  pageMax: number;
  /** Most bytes of an uploaded file, and of all that it expands to. */
  uploadBytesMax: number;
  expandedBytesMax: number;
  /** Accept `?access_token=`. */
  tokenInQuery: boolean;
  /** Addresses and ranges that requests of ours may go to although they are private; `10.0.0.0/8`. */
  egressAllow: readonly string[];
  /** Mail server, as `smtps://user:password@host:465`; without one nothing is mailed. */
  smtpUrl: string | null;
  /** Sender of mails. */
  smtpFrom: string;
  /** Days for which the log of changes is kept; a stream that is behind it gets the present values again. */
  changeDays: number;
  /** Days for which delivered files, deliveries and runs are kept. */
  deliveryDays: number;
  /** What the operator has set up for providers, by provider and name. */
  providers: Readonly<Record<string, Readonly<Record<string, unknown>>>>;
  /** Browsers that connectors drive. */
  browser: BrowserSettings;
}

export interface BrowserSettings {
  /** Chromium's program; null: where packages put it. */
  path: string | null;
  /** Runs pages in Chromium's sandbox. */
  sandbox: boolean;
  /** Most memory of one browser with all its processes. */
  memoryBytesMax: number;
  /** Browsers of one server process. */
  atOnce: number;
}
