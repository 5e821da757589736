import pino, { type DestinationStream, type Logger } from "pino";

export interface LogOptions {
  /** `trace` to `fatal`, or `silent`. */
  level: string;
  /** Where lines go; standard output by default. */
  destination?: DestinationStream;
}

const mask = "********";
const depthMax = 6;
const membersMax = 200;
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
      log: maskedMembers,
    },
    hooks: {
      logMethod(args, method) {
        method.apply(this, scrubbed(args as unknown[]) as typeof args);
      },
    },
  };
  // Lines that arrive while one is written go out together; what waits is written when the process ends.
  const log = pino(settings, options.destination ?? pino.destination({ dest: 1, sync: false }));
  // What a child logger is bound to does not pass the formatters.
  const child = log.child as unknown as (this: Logger, bindings: pino.Bindings, options?: object) => Logger;
  log.child = function (this: Logger, bindings: pino.Bindings, childOptions?: object) {
    return child.call(this, maskedMembers(bindings), childOptions);
  } as unknown as Logger["child"];
  return log;
}

/** Arguments of a log call. An error without a message would lend its own, as it is. */
function scrubbed(args: unknown[]): unknown[] {
  const texts = args.map((arg) => (typeof arg === "string" ? scrub(arg) : arg));
  const [first] = texts;
  const error = first instanceof Error ? first : (first as { err?: unknown } | null | undefined)?.err;
  if (first instanceof Error) texts[0] = { err: first };
  if (texts.length === 1 && error instanceof Error) texts.push(scrub(error.message));
  return texts;
}

function maskedMembers(object: object): Record<string, unknown> {
  return masked(object, { left: membersMax }) as Record<string, unknown>;
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

const judged = new Map<string, boolean>();
const judgedMax = 1_000;

/** Is `name` the name of a secret? Ids of secrets (`token_id`, `credentialId`) are not secret. */
export function namesSecret(name: string): boolean {
  let verdict = judged.get(name);
  if (verdict !== undefined) return verdict;
  verdict = soundsSecret(name);
  if (judged.size < judgedMax) judged.set(name, verdict);
  return verdict;
}

function soundsSecret(name: string): boolean {
  if (name.length > 100 || name.endsWith("_id") || name.endsWith("Id")) return false;
  const lower = name.toLowerCase().replaceAll("-", "_");
  return secretWords.some((word) => lower.includes(word));
}

/** Masks credentials in free text: values of secret parameters, userinfo of addresses, `Authorization` values. */
export function scrub(text: string): string {
  // Most texts are ids and names; a credential in free text needs one of these before it.
  if (!text.includes("=") && !text.includes(" ") && !text.includes("://")) return text.slice(0, lineMax);
  return text.split("\n", linesMax).map(scrubLine).join("\n");
}

function scrubLine(line: string): string {
  return line
    .slice(0, lineMax)
    .replace(/(\w{0,40}(?:token|secret|password)\w{0,20}=)[^&\s"'#]+/gi, `$1${mask}`)
    .replace(/\b(Bearer|OAuth|Basic) [\w.~+/=-]+/gi, `$1 ${mask}`)
    .replace(/(:\/\/)[^/\s"'@]{1,300}@/g, `$1${mask}@`);
}

/** Walks `value`; `budget` bounds how much of each member a line may hold, however large the object is. */
function masked(value: unknown, budget: Budget, depth = 0): unknown {
  if (typeof value === "string") return scrub(value);
  if (typeof value !== "object" || value === null) return value;
  if (value instanceof Error) return errorView(value, depth);
  const isList = Array.isArray(value);
  if (!isList && !isPlain(value)) return `[${value.constructor?.name ?? "object"}]`;
  if (depth >= depthMax || budget.left <= 0) return "…";
  if (isList) {
    const shown = value.slice(0, budget.left);
    budget.left -= shown.length;
    return shown.map((item) => masked(item, budget, depth + 1));
  }
  const view: Record<string, unknown> = {};
  for (const name in value) {
    if (budget.left-- <= 0) break;
    const inner = (value as Record<string, unknown>)[name];
    const room = depth === 0 ? { left: membersMax } : budget;
    view[name] = inner !== null && namesSecret(name) ? mask : masked(inner, room, depth + 1);
  }
  return view;
}

interface Budget {
  left: number;
}

function isPlain(value: object): boolean {
  const prototype: unknown = Object.getPrototypeOf(value);
  return prototype === Object.prototype || prototype === null;
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
