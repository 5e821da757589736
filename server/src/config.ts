import { readFileSync } from "node:fs";
import { isIP } from "node:net";
import { resolve } from "node:path";
import { z } from "zod";
import { Problem } from "./platform/problem.ts";

/** What people need to know about a setting; names of variable and flag follow from its key. */
interface About {
  /** One or two sentences for `--help` and the configuration page. */
  about: string;
  group: "Server" | "Database" | "Keys" | "Limits" | "Access" | "Network" | "Browser";
  /** Placeholder of the value in `--help`. */
  value: string;
  /** Environment variable when it is not `METERTREE_` and the key. */
  env?: string;
  /** Never a flag (process lists show them), never in a message; `<variable>_FILE` may name a file with it. */
  isSecret?: true;
  /** Admin commands take it too: it says where data and keys are. */
  isForCommands?: true;
  /** What applies without it, when that is not simply the default value. */
  without?: string;
}

const abouts = z.registry<About>();

const wholeNumber = (min: number, max: number) =>
  z
    .string()
    .refine((text) => /^\d{1,15}$/.test(text) && Number(text) >= min && Number(text) <= max, {
      error: `must be a whole number from ${min} to ${max}`,
    })
    .transform(Number);

const decimalNumber = (min: number, max: number) =>
  z
    .string()
    .refine((text) => /^\d{1,9}(\.\d{1,6})?$/.test(text) && Number(text) >= min && Number(text) <= max, {
      error: `must be a number from ${min} to ${max}`,
    })
    .transform(Number);

const yes = ["true", "1", "yes", "on"];
const no = ["false", "0", "no", "off"];
const flag = () =>
  z
    .string()
    .transform((text) => text.toLowerCase())
    .refine((text) => yes.includes(text) || no.includes(text), { error: "must be true or false" })
    .transform((text) => yes.includes(text));

const oneOf = <const Words extends readonly [string, ...string[]]>(words: Words) =>
  z.enum(words, { error: `must be one of ${words.join(", ")}` });

const text = () => z.string().trim().min(1, "must not be empty");

const list = (isGood: (entry: string) => boolean, error: string) =>
  z
    .string()
    .transform((value) => value.split(",").map((entry) => entry.trim()))
    .refine((entries) => entries.every(isGood), { error });

const webAddress = (value: string) => /^https?:$/.test(URL.parse(value)?.protocol ?? "");

function isAddressRange(entry: string): boolean {
  const [address = "", bits, ...rest] = entry.split("/");
  const version = isIP(address);
  if (version === 0 || rest.length > 0) return false;
  return bits === undefined || (/^\d{1,3}$/.test(bits) && Number(bits) <= (version === 4 ? 32 : 128));
}

const isZone = (name: string) => {
  try {
    new Intl.DateTimeFormat("en", { timeZone: name });
    return true;
  } catch {
    return false;
  }
};

const setups = z.record(z.string(), z.record(z.string(), z.record(z.string(), z.unknown())));

function setupsIn(value: string): z.output<typeof setups> | undefined {
  try {
    return setups.safeParse(JSON.parse(value)).data;
  } catch {
    return undefined;
  }
}

function refused(context: z.RefinementCtx): never {
  const message = 'must be JSON such as {"green-button-cmd": {"name": {…}}}';
  context.addIssue({ code: "custom", message });
  return z.NEVER;
}

/** Every setting there is. Flags, variables, `--help` and docs/configuration.md are made from it. */
export const configSchema = z.object({
  host: text().default("127.0.0.1").register(abouts, {
    about:
      "Address to listen on. Use 0.0.0.0 (or ::) to be reached from other machines, behind a proxy with TLS.",
    group: "Server",
    value: "address",
  }),
  port: wholeNumber(0, 65_535).default(8080).register(abouts, {
    about: "Port to listen on; 0 takes any free one.",
    group: "Server",
    value: "number",
  }),
  publicUrl: z
    .string()
    .refine(webAddress, { error: "must be an address such as https://meters.example.com" })
    .transform((value) => value.replace(/\/{1,9}$/, ""))
    .nullable()
    .default(null)
    .register(abouts, {
      about: "Address that clients reach the server at. Links in answers and mails begin with it.",
      group: "Server",
      value: "url",
      without: "http://localhost and the port",
    }),
  role: oneOf(["all", "web", "worker"]).default("all").register(abouts, {
    about: "What this process does: answer requests, run jobs, or both. Separate roles need DATABASE_URL.",
    group: "Server",
    value: "role",
  }),
  dataDir: text()
    .default("data")
    .transform((path) => resolve(path))
    .register(abouts, {
      about: "Folder for the embedded database, the keys, waiting uploads and the documents of invoices.",
      group: "Server",
      value: "folder",
      isForCommands: true,
      without: "data, below the current folder",
    }),
  logLevel: oneOf(["trace", "debug", "info", "warn", "error", "fatal", "silent"])
    .default("info")
    .register(abouts, {
      about: "Least serious events to log. The log is one line of JSON per event, on standard error.",
      group: "Server",
      value: "level",
    }),
  timezone: z
    .string()
    .refine(isZone, { error: "must be an IANA time zone such as Europe/Stockholm" })
    .default("Etc/GMT-1")
    .register(abouts, {
      about: "Zone of meters whose source states none, for new accounts. Etc/GMT-1 is the Nordic market day.",
      group: "Server",
      value: "zone",
      isForCommands: true,
    }),
  databaseUrl: text()
    .nullable()
    .default(null)
    .register(abouts, {
      about:
        "Connection string of a PostgreSQL 15 or newer to use instead of the embedded one. The server never acts as " +
        "a superuser or as the owner of the tables: see DATABASE_MIGRATION_URL.",
      group: "Database",
      value: "url",
      env: "DATABASE_URL",
      isSecret: true,
      without: "the embedded PostgreSQL in the data folder",
    }),
  databaseMigrationUrl: text()
    .nullable()
    .default(null)
    .register(abouts, {
      about:
        "Connection string of the role that owns the tables: migrations, backups. Without it DATABASE_URL is used " +
        "for both, and the server acts as the role metertree_server, which is made when it is missing.",
      group: "Database",
      value: "url",
      env: "DATABASE_MIGRATION_URL",
      isSecret: true,
      without: "DATABASE_URL",
    }),
  databaseConnectionsMax: wholeNumber(2, 1000).default(10).register(abouts, {
    about: "Most connections of one process to the database. Jobs use four more.",
    group: "Database",
    value: "number",
  }),
  databaseWaitSeconds: wholeNumber(0, 3600).default(60).register(abouts, {
    about: "How long to wait at start for the database of DATABASE_URL to accept connections.",
    group: "Database",
    value: "seconds",
    isForCommands: true,
  }),
  statementTimeoutSeconds: wholeNumber(1, 86_400).default(60).register(abouts, {
    about: "Statements of the server that run longer are cancelled.",
    group: "Database",
    value: "seconds",
  }),
  databaseUser: text().nullable().default(null).register(abouts, {
    about:
      "User of the operating system that the embedded database runs as when the server is started by root.",
    group: "Database",
    value: "name",
    isForCommands: true,
    without: "the owner of the data folder, else metertree or postgres",
  }),
  allowPrivilegedDatabaseRole: flag()
    .default(false)
    .register(abouts, {
      about:
        "Start although the server's database role is a superuser, bypasses row security or owns the tables. Such a " +
        "role can change the audit log.",
      group: "Database",
      value: "true|false",
      isForCommands: true,
    }),
  keyFile: text()
    .nullable()
    .default(null)
    .transform((path) => (path === null ? null : resolve(path)))
    .register(abouts, {
      about:
        "File with the keys that secrets in the database are encrypted with. Made at the first start. Back it up.",
      group: "Keys",
      value: "file",
      isForCommands: true,
      without: "keys.json in the data folder",
    }),
  keys: text()
    .nullable()
    .default(null)
    .register(abouts, {
      about:
        "The keys themselves instead of a file: 32 bytes each in hex or base64, the current one first, with commas " +
        "between them.",
      group: "Keys",
      value: "keys",
      isSecret: true,
      without: "the key file",
    }),
  pageMax: wholeNumber(50, 10_000).default(300).register(abouts, {
    about: "Longest page of a list; a larger `limit` is cut to it.",
    group: "Limits",
    value: "number",
  }),
  valuesMax: wholeNumber(1000, 100_000_000).default(100_000).register(abouts, {
    about: "Most values that one request may ask for.",
    group: "Limits",
    value: "number",
  }),
  ratePerSecond: decimalNumber(0, 1_000_000).default(10).register(abouts, {
    about: "Requests per second of one client, over a longer time. 0 turns the limit off.",
    group: "Limits",
    value: "number",
  }),
  rateBurst: wholeNumber(1, 1_000_000).default(20).register(abouts, {
    about: "Requests that one client may make at once after a pause.",
    group: "Limits",
    value: "number",
  }),
  uploadBytesMax: wholeNumber(1_000_000, 1_000_000_000_000).default(2_000_000_000).register(abouts, {
    about: "Largest file that can be uploaded.",
    group: "Limits",
    value: "bytes",
  }),
  expandedBytesMax: wholeNumber(1_000_000, 10_000_000_000_000).default(20_000_000_000).register(abouts, {
    about: "Most bytes that a compressed upload may expand to.",
    group: "Limits",
    value: "bytes",
  }),
  tokenInQuery: flag().default(true).register(abouts, {
    about:
      "Accept tokens as ?access_token=. Older clients need it; addresses end up in more logs than headers do.",
    group: "Access",
    value: "true|false",
  }),
  trustedProxies: list(isAddressRange, "must be IP addresses or ranges (10.0.0.0/8) with commas between them")
    .default([])
    .register(abouts, {
      about: "Proxies whose X-Forwarded-For is believed: addresses or ranges, with commas between them.",
      group: "Access",
      value: "addresses",
      without: "none",
    }),
  origins: list(
    (entry) => URL.parse(entry)?.origin === entry,
    "must be origins such as https://portal.example.com with commas between them",
  )
    .default([])
    .register(abouts, {
      about: "Origins of other sites whose pages may use the session of a person who is logged in.",
      group: "Access",
      value: "origins",
      without: "none; any page may call with a token",
    }),
  egressAllow: list(isAddressRange, "must be IP addresses or ranges (10.0.0.0/8) with commas between them")
    .default([])
    .register(abouts, {
      about:
        "Private addresses that exports, webhooks and connections may reach, such as a file server in the own network.",
      group: "Network",
      value: "addresses",
      without: "none; only public addresses are reached",
    }),
  smtpUrl: text()
    .refine((value) => /^smtps?:$/.test(URL.parse(value)?.protocol ?? ""), {
      error: "must be an address such as smtps://user:password@mail.example.com:465",
    })
    .nullable()
    .default(null)
    .register(abouts, {
      about: "Mail server that exports and notices are sent through.",
      group: "Network",
      value: "url",
      isSecret: true,
      without: "nothing is mailed",
    }),
  smtpFrom: text().default("metertree@localhost").register(abouts, {
    about: "Sender of mails.",
    group: "Network",
    value: "address",
  }),
  providers: z
    .string()
    .transform((value, context) => setupsIn(value) ?? refused(context))
    .default({})
    .register(abouts, {
      about:
        "What this server has set up at providers that want it, such as its OAuth clients: JSON, by provider and name. " +
        "The page of providers says for which.",
      group: "Network",
      value: "json",
      isSecret: true,
      without: "none; those providers cannot be connected with",
    }),
  changeDays: wholeNumber(1, 3650).default(90).register(abouts, {
    about:
      "Days for which the log of changes is kept. A stream that nobody reads for longer gets all present values again.",
    group: "Limits",
    value: "days",
  }),
  deliveryDays: wholeNumber(1, 3650).default(30).register(abouts, {
    about: "Days for which exported files, runs and webhook deliveries are kept.",
    group: "Limits",
    value: "days",
  }),
  chromiumPath: text()
    .transform((path) => resolve(path))
    .nullable()
    .default(null)
    .register(abouts, {
      about: "Program of Chromium or Chrome, for providers that are asked through a browser.",
      group: "Browser",
      value: "file",
      isForCommands: true,
      without: "chromium or google-chrome in /usr/bin; without one those providers are not available",
    }),
  chromiumSandbox: flag()
    .default(true)
    .register(abouts, {
      about:
        "Show pages in Chromium's sandbox, which needs user namespaces. Turn it off only where something else shuts the " +
        "server in.",
      group: "Browser",
      value: "true|false",
      isForCommands: true,
    }),
  browserMemoryBytesMax: wholeNumber(200_000_000, 100_000_000_000).default(1_000_000_000).register(abouts, {
    about:
      "Most memory of one browser with all its processes. One that takes more is ended; its run is repeated.",
    group: "Browser",
    value: "bytes",
  }),
  browsersMax: wholeNumber(1, 100).default(2).register(abouts, {
    about: "Browsers of one server process at the same time; other runs that need one wait.",
    group: "Browser",
    value: "number",
  }),
  metricsToken: z
    .string()
    .min(16, "must have at least 16 characters")
    .nullable()
    .default(null)
    .register(abouts, {
      about: "Token that lets other machines read /metrics, as Authorization: Bearer.",
      group: "Access",
      value: "token",
      isSecret: true,
      without: "only this machine may read it",
    }),
});

/** The checked configuration of a process. */
export type Config = z.output<typeof configSchema>;
export type SettingKey = keyof Config;

/** A setting as people see it. */
export interface SettingView extends About {
  key: SettingKey;
  /** Name of the environment variable. */
  variable: string;
  /** `--port`; `null` for secrets. */
  flagName: string | null;
  /** Value that applies when nothing is given, as it would be written; `null` when there is none. */
  defaultText: string | null;
}

/** All settings, in the order of the schema. */
export const settingViews: readonly SettingView[] = Object.entries(configSchema.shape).map(
  ([key, schema]) => {
    const about = abouts.get(schema)!;
    return {
      ...about,
      key: key as SettingKey,
      variable: about.env ?? `METERTREE_${key.replace(/[A-Z]/g, (letter) => `_${letter}`).toUpperCase()}`,
      flagName: about.isSecret ? null : `--${key.replace(/[A-Z]/g, (letter) => `-${letter.toLowerCase()}`)}`,
      defaultText: about.without === undefined ? String(schema.parse(undefined)) : null,
    };
  },
);

/** Values of flags by key, as typed. */
export type FlagValues = Partial<Record<SettingKey, string>>;

/** Variables that other parts of the product read; the rest with our prefix are typing mistakes. */
const otherVariables = new Set(["METERTREE_URL", "METERTREE_TOKEN"]);

/**
 * Reads the configuration: a flag beats the variable, the variable beats the default (`defaults` of a command before
 * those of the schema). Throws one `Problem` that
 * lists everything that is wrong, each with its name, what is wrong and the remedy; values of secrets are not shown.
 */
export function readConfig(
  flags: FlagValues = {},
  env: Readonly<Record<string, string | undefined>> = process.env,
  defaults: FlagValues = {},
): Config {
  const faults: string[] = unknownVariables(env);
  const values: Record<string, unknown> = {};
  for (const view of settingViews) {
    const given = givenValue(view, { flags, env, faults });
    const parsed = configSchema.shape[view.key].safeParse(given?.text ?? defaults[view.key]);
    if (parsed.success) {
      values[view.key] = parsed.data;
    } else {
      const shown = view.isSecret ? "" : ` (it is ${JSON.stringify(given!.text)})`;
      faults.push(`${given!.name} ${parsed.error.issues[0]!.message}${shown}.`);
    }
  }
  const config = values as Config;
  faults.push(...(faults.length === 0 ? contradictions(config) : []));
  if (faults.length === 0) return config;
  throw new Problem(
    "invalid",
    `The configuration has ${faults.length === 1 ? "a mistake" : `${faults.length} mistakes`}:\n${faults
      .map((fault) => `  - ${fault}`)
      .join("\n")}\nAll settings are in docs/configuration.md and in \`metertree serve --help\`.`,
  );
}

interface Sources {
  flags: FlagValues;
  env: Readonly<Record<string, string | undefined>>;
  faults: string[];
}

/** The text given for a setting and the name it was given by; an empty variable counts as not given. */
function givenValue(view: SettingView, sources: Sources): { name: string; text: string } | undefined {
  const { flags, env, faults } = sources;
  const flagText = flags[view.key];
  if (flagText !== undefined && view.flagName !== null) return { name: view.flagName, text: flagText };
  const variableText = env[view.variable] || undefined;
  const path = view.isSecret ? env[`${view.variable}_FILE`] || undefined : undefined;
  if (variableText !== undefined && path !== undefined) {
    faults.push(`${view.variable} and ${view.variable}_FILE are both set. Keep one of them.`);
    return undefined;
  }
  if (path === undefined) {
    return variableText === undefined ? undefined : { name: view.variable, text: variableText };
  }
  try {
    return { name: `${view.variable}_FILE`, text: readFileSync(path, "utf8").trim() };
  } catch (error) {
    const reason =
      (error as NodeJS.ErrnoException).code === "ENOENT" ? "there is no such file" : "it cannot be read";
    faults.push(`${view.variable}_FILE names ${path}, but ${reason}. Correct the path or its permissions.`);
    return undefined;
  }
}

function unknownVariables(env: Sources["env"]): string[] {
  const known = new Set(otherVariables);
  for (const view of settingViews) {
    known.add(view.variable);
    if (view.isSecret) known.add(`${view.variable}_FILE`);
  }
  return Object.keys(env)
    .filter((name) => name.startsWith("METERTREE_") && !known.has(name))
    .map((name) => `${name} is no setting. Correct its name or remove it.`);
}

/** What each setting allows for itself but not together with another. */
function contradictions(config: Config): string[] {
  const faults: string[] = [];
  if (config.databaseUrl === null && config.role !== "all") {
    faults.push(
      `METERTREE_ROLE is ${config.role}, but the embedded database belongs to one process. Set DATABASE_URL, or use the role all.`,
    );
  }
  if (config.databaseUrl === null && config.databaseMigrationUrl !== null) {
    faults.push(
      "DATABASE_MIGRATION_URL is set without DATABASE_URL. Set both, or none for the embedded database.",
    );
  }
  if (config.keys !== null && config.keyFile !== null) {
    faults.push("METERTREE_KEYS and METERTREE_KEY_FILE are both set. Keep one of them.");
  }
  return faults;
}
