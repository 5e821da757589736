import { readFileSync } from "node:fs";
import { join } from "node:path";
import type { Config } from "./config.ts";
import type { Settings } from "./platform/deps.ts";
import type { KeySource } from "./platform/secrets.ts";

/** Version of the product. */
export const version = (
  JSON.parse(readFileSync(new URL("../package.json", import.meta.url), "utf8")) as { version: string }
).version;

/** Where the master keys of this configuration are; `make` lets the first start make the file. */
export function keySource(config: Config, make: boolean): KeySource {
  if (config.keys !== null) return { text: config.keys };
  return { file: config.keyFile ?? join(config.dataDir, "keys.json"), make };
}

/** The part of the configuration that handlers see. */
export function settingsOf(config: Config): Settings {
  return {
    dataDir: config.dataDir,
    publicUrl: config.publicUrl ?? `http://localhost:${config.port}`,
    timezone: config.timezone,
    valuesMax: config.valuesMax,
    pageMax: config.pageMax,
    uploadBytesMax: config.uploadBytesMax,
    expandedBytesMax: config.expandedBytesMax,
    tokenInQuery: config.tokenInQuery,
    egressAllow: config.egressAllow,
    smtpUrl: config.smtpUrl,
    smtpFrom: config.smtpFrom,
    changeDays: config.changeDays,
    deliveryDays: config.deliveryDays,
    providers: config.providers,
    browser: {
      path: config.chromiumPath,
      sandbox: config.chromiumSandbox,
      memoryBytesMax: config.browserMemoryBytesMax,
      atOnce: config.browsersMax,
    },
  };
}
