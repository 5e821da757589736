import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, expect, test } from "vitest";
import { readConfig, settingViews } from "./config.ts";

const folder = mkdtempSync(join(tmpdir(), "mt-config-"));
afterAll(() => rmSync(folder, { recursive: true, force: true }));

function messageOf(work: () => unknown): string {
  try {
    work();
  } catch (error) {
    return (error as Error).message;
  }
  throw new Error("nothing was thrown");
}

test("defaults need nothing", () => {
  const config = readConfig({}, {});
  expect(config).toMatchObject({
    port: 8080,
    host: "127.0.0.1",
    role: "all",
    databaseUrl: null,
    pageMax: 300,
  });
  expect(config.dataDir).toBe(join(process.cwd(), "data"));
});

test("a flag beats the variable, the variable beats the default of a command and of the schema", () => {
  const env = { METERTREE_PORT: "2000", METERTREE_LOG_LEVEL: "" };
  const defaults = { logLevel: "warn", port: "1000", valuesMax: "5000" };
  expect(readConfig({ port: "3000" }, env, defaults)).toMatchObject({
    port: 3000,
    logLevel: "warn",
    valuesMax: 5000,
  });
  expect(readConfig({}, env, defaults).port).toBe(2000);
  expect(readConfig({}, {}, defaults).port).toBe(1000);
});

test("all mistakes are told at once, with name, value and remedy", () => {
  const message = messageOf(() =>
    readConfig(
      { port: "99999", timezone: "Mars/Olympus" },
      {
        METERTREE_ROLE: "boss",
        METERTREE_PUBLIC_URL: "example.com",
        METERTREE_TRUSTED_PROXIES: "10.0.0.0/8,nonsense",
        METERTREE_TOKEN_IN_QUERY: "perhaps",
        METERTREE_METRICS_TOKEN: "too short",
        METERTREE_PROT: "8080",
      },
    ),
  );
  expect(message.split("\n").slice(0, -1)).toEqual([
    "The configuration has 8 mistakes:",
    "  - METERTREE_PROT is no setting. Correct its name or remove it.",
    '  - --port must be a whole number from 0 to 65535 (it is "99999").',
    '  - METERTREE_PUBLIC_URL must be an address such as https://meters.example.com (it is "example.com").',
    '  - METERTREE_ROLE must be one of all, web, worker (it is "boss").',
    '  - --timezone must be an IANA time zone such as Europe/Stockholm (it is "Mars/Olympus").',
    '  - METERTREE_TOKEN_IN_QUERY must be true or false (it is "perhaps").',
    '  - METERTREE_TRUSTED_PROXIES must be IP addresses or ranges (10.0.0.0/8) with commas between them (it is "10.0.0.0/8,nonsense").',
    "  - METERTREE_METRICS_TOKEN must have at least 16 characters.",
  ]);
});

test("a secret comes from a variable or from a file, and never shows", () => {
  const path = join(folder, "url");
  writeFileSync(path, "postgresql://u:geheim@db/metertree\n");
  expect(readConfig({}, { DATABASE_URL_FILE: path }).databaseUrl).toBe("postgresql://u:geheim@db/metertree");
  const both = messageOf(() =>
    readConfig({}, { DATABASE_URL: "postgresql://u:geheim@db/x", DATABASE_URL_FILE: path }),
  );
  expect(both).toContain("DATABASE_URL and DATABASE_URL_FILE are both set");
  expect(both).not.toContain("geheim");
  expect(messageOf(() => readConfig({}, { METERTREE_KEYS_FILE: join(folder, "none") }))).toContain(
    "no such file",
  );
  expect(messageOf(() => readConfig({}, { METERTREE_METRICS_TOKEN: "geheim" }))).not.toContain("geheim");
  // A secret that is tried as a flag is not taken: lists of processes show flags.
  expect(readConfig({ metricsToken: "a token on the command line" }, {}).metricsToken).toBeNull();
});

test("settings that exclude each other are refused", () => {
  expect(messageOf(() => readConfig({ role: "worker" }, {}))).toContain("DATABASE_URL");
  expect(messageOf(() => readConfig({}, { DATABASE_MIGRATION_URL: "postgresql://db/x" }))).toContain(
    "without DATABASE_URL",
  );
  const keys = { METERTREE_KEYS: "aa".repeat(32), METERTREE_KEY_FILE: "keys.json" };
  expect(messageOf(() => readConfig({}, keys))).toContain("both set");
});

test("lists, numbers and addresses arrive in the form that the server uses", () => {
  const config = readConfig(
    { ratePerSecond: "0.5" },
    {
      METERTREE_ORIGINS: "https://a.example, https://b.example:8443",
      METERTREE_TRUSTED_PROXIES: "127.0.0.1, fd00::/8",
      METERTREE_PUBLIC_URL: "https://meters.example.com/",
      METERTREE_TOKEN_IN_QUERY: "Off",
    },
  );
  expect(config).toMatchObject({
    ratePerSecond: 0.5,
    origins: ["https://a.example", "https://b.example:8443"],
    trustedProxies: ["127.0.0.1", "fd00::/8"],
    publicUrl: "https://meters.example.com",
    tokenInQuery: false,
  });
});

test("what is set up at providers is JSON, by provider and name", () => {
  const providers = { utility: { north: { client_secret: "hidden-secret" } } };
  expect(readConfig({}, { METERTREE_PROVIDERS: JSON.stringify(providers) }).providers).toEqual(providers);
  expect(readConfig({}, {}).providers).toEqual({});
  for (const text of ['{"utility": "hidden-secret"}', "hidden-secret", "[1]", '{"utility": {"north": 7}}']) {
    const message = messageOf(() => readConfig({}, { METERTREE_PROVIDERS: text }));
    expect(message).toContain("METERTREE_PROVIDERS must be JSON");
    expect(message).not.toContain("hidden-secret");
  }
});

test("every setting has a variable of its own, and only secrets lack a flag", () => {
  const variables = settingViews.map((view) => view.variable);
  expect(new Set(variables).size).toBe(variables.length);
  for (const view of settingViews) expect(view.flagName === null).toBe(view.isSecret === true);
});
