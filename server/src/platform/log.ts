import pino, { type DestinationStream, type Logger } from "pino";

export interface LogOptions {
  /** `trace` to `fatal`, or `silent`. */
  level: string;
  /** Where lines go; standard output by default. */
  destination?: DestinationStream;
}

const mask = "********";
const depthMax = 6;
const entriesMax = 100;
const lineMax = 1_000;
const linesMax = 40;

/**
 * A logger that writes one line of JSON per event. What looks like a secret is masked wherever it stands: members
 * named like one, credentials in addresses and in `Authorization` values, also inside messages and stacks.
 */
export function makeLog(options: LogOptions): Logger {
  const settings: pino.LoggerOptions = {
    level: options.level,
    base: null,
    timestamp: pino.stdTimeFunctions.isoTime,
    // Errors are views already when the line is written.
    serializers: { err: (error: unknown) => error },
    formatters: {
      level: (label) => ({ level: label }),
      bindings: (bindings) => masked(bindings, 0) as Record<string, unknown>,
      log: (object) => masked(object, 0) as Record<string, unknown>,
    },
    hooks: {
      logMethod(args, method) {
        for (let i = 0; i < args.length; i++) {
          if (typeof args[i] === "string") (args as unknown[])[i] = scrub(args[i] as unknown as string);
        }
        method.apply(this, args);
      },
    },
  };
  return options.destination === undefined ? pino(settings) : pino(settings, options.destination);
}

const secretWords = [
  "authorization",
  "cookie",
  "credentials",
  "password",
  "passwd",
  "secret",
  "token",
  "verifier",
  "api_key",
  "apikey",
  "access_key",
  "account_key",
  "private_key",
];

/** Is `name` the name of a secret? Ids of secrets (`token_id`, `credentialId`) are not secret. */
export function namesSecret(name: string): boolean {
  if (name.length > 100 || name.endsWith("_id") || name.endsWith("Id")) return false;
  const lower = name.toLowerCase().replaceAll("-", "_");
  return secretWords.some((word) => lower.includes(word));
}

/** Masks credentials in free text: values of secret query parameters, userinfo of addresses, `Authorization` values. */
export function scrub(text: string): string {
  return text.split("\n", linesMax).map(scrubLine).join("\n");
}

function scrubLine(line: string): string {
  if (line.length > lineMax) line = `${line.slice(0, lineMax)}…`;
  return line
    .replace(/(\w{0,40}(?:token|secret|password)\w{0,20}=)[^&\s"'#]+/gi, `$1${mask}`)
    .replace(/\b(Bearer|OAuth|Basic) [\w.~+/=-]+/gi, `$1 ${mask}`)
    .replace(/(:\/\/)[^/\s"'@]{1,300}@/g, `$1${mask}@`);
}

function masked(value: unknown, depth: number): unknown {
  if (typeof value === "string") return scrub(value);
  if (typeof value !== "object" || value === null) return value;
  if (value instanceof Error) return errorView(value, depth);
  if (depth >= depthMax) return "…";
  if (Array.isArray(value)) return value.slice(0, entriesMax).map((item) => masked(item, depth + 1));
  if (value instanceof Date || value instanceof Uint8Array) return String(value).slice(0, 100);
  const view: Record<string, unknown> = {};
  for (const [name, member] of Object.entries(value).slice(0, entriesMax)) {
    view[name] = namesSecret(name) && member !== null ? mask : masked(member, depth + 1);
  }
  return view;
}

/** What is logged of an error. Members that hold data of customers (`detail`, `parameters`) stay out. */
function errorView(error: Error, depth: number): Record<string, unknown> {
  const { code, inner, table, constraint } = error as Error & Record<string, unknown>;
  return {
    type: error.name,
    message: scrub(error.message),
    ...(code === undefined ? {} : { code }),
    ...(typeof inner === "string" ? { inner: scrub(inner) } : {}),
    ...(table === undefined ? {} : { table }),
    ...(constraint === undefined ? {} : { constraint }),
    stack: scrub(error.stack ?? ""),
    ...(error.cause instanceof Error && depth < depthMax ? { cause: errorView(error.cause, depth + 1) } : {}),
  };
}
