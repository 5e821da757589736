import { z } from "zod";
import type { Deps } from "../../platform/deps.ts";
import { canonicalHost } from "../../platform/egress/address.ts";
import { EgressFailure } from "../../platform/egress/egress.ts";
import { integer } from "../../platform/http/schema.ts";
import { fieldMarks, line, optional } from "../../platform/secret-field.ts";

export { line, markOf, mask, optional, optionalSecret, secret } from "../../platform/secret-field.ts";

/** A finished file that waits to be delivered. */
export interface DeliveryFile {
  /** Name at the target, fixed when the file was cut; may begin with folders: `year=2026/month=01/x.parquet`. */
  name: string;
  /** Where its bytes lie on this machine. */
  path: string;
  bytes: number;
  /** Media type. */
  type: string;
  /** The same at each attempt: what was delivered twice can be recognised by it. */
  id: string;
}

/** What a delivery needs of the server. */
export type TargetDeps = Pick<Deps, "egress" | "clock" | "settings">;

/** Settings that a target found out itself, to be stored with the others. */
export type Learned<Settings> = Partial<Settings>;

export interface Test<Settings> {
  settings: Settings;
  deps: TargetDeps;
  /** Something unique, for names of what a test has to write. */
  id: string;
  signal: AbortSignal;
}

export interface Delivery<Settings> {
  settings: Settings;
  deps: TargetDeps;
  file: DeliveryFile;
  signal: AbortSignal;
}

/** Shape of settings: an object of fields, some of them marked. */
export type SettingsSchema = z.ZodObject<Record<string, z.ZodType>>;

/**
 * A kind of target: what its settings are, and how one file gets there. Failures are `EgressFailure`s or errors that
 * `failureOf` understands. Delivering the same file again replaces it, or repeats its id where nothing can be replaced.
 */
export interface TargetKind<Schema extends SettingsSchema> {
  /** For people. */
  title: string;
  settings: Schema;
  deliver(delivery: Delivery<z.output<Schema>>): Promise<Learned<z.output<Schema>>>;
  /** Tries everything up to the delivery, and leaves nothing behind. */
  test(test: Test<z.output<Schema>>): Promise<Learned<z.output<Schema>>>;
}

/** Lets the compiler tie the functions of a target to its settings. */
export function target<Schema extends SettingsSchema>(kind: TargetKind<Schema>): TargetKind<Schema> {
  return kind;
}

/** What is found out at the first connection. Left out of a change, what is known stays; `null` forgets it. */
export function learned(text: z.ZodString, about: string) {
  return text.nullable().optional().describe(about).register(fieldMarks, { learned: true });
}

/** Name or address of a machine. */
export function host() {
  return line(253)
    .refine(isHost, "must be a host name or an IP address, without port and path")
    .describe("Name or address of the server.")
    .register(fieldMarks, { place: "value" });
}

function isHost(text: string): boolean {
  try {
    return canonicalHost(text) !== "";
  } catch {
    return false;
  }
}

/** Port of the server, `usual` when it is left out. */
export function port(usual: number) {
  const number = integer({ min: 1, max: 65_535 }).default(usual);
  return number.describe("Port of the server.").register(fieldMarks, { place: "value" });
}

/** One of some words that say how secrets travel. */
export function placeWord<const Words extends readonly [string, ...string[]]>(
  words: Words,
  { usual, about }: { usual: Words[number]; about: string },
) {
  return z
    .enum(words)
    .default(usual as never)
    .describe(about)
    .register(fieldMarks, { place: "value" });
}

/** Name of a login. */
export function username() {
  return line(200).describe("Name of the login.");
}

/** Folder at the target; `null` is where the login leads. */
export function folder(
  about = "Folder at the target, which must be there; where the login leads when it is left out.",
) {
  return optional(line(1_000)).describe(about);
}

const webAddress = line(2_000).refine(
  isWebAddress,
  "must be an address such as https://files.example.com/in",
);

function isWebAddress(text: string): boolean {
  const url = URL.parse(text);
  return url !== null && /^https?:$/.test(url.protocol) && isHost(url.hostname) && !/\s/.test(text);
}

/** An http or https address whose login and tokens are secret. */
export function secretAddress() {
  return webAddress
    .describe("Credentials in it are write-only: they are shown as `********`.")
    .register(fieldMarks, { secret: "address", place: "origin" });
}

/** Address of a service, without login. */
export function optionalEndpoint(about: string, example: string) {
  const bare = webAddress.refine(
    (text) => !/[?#@]/.test(text),
    `must be an address alone, such as ${example}`,
  );
  return optional(bare).describe(about).register(fieldMarks, { place: "value" });
}

/**
 * Loads an optional package. Throws an `EgressFailure` that names it when it is not installed.
 */
export async function optionalPackage<Module>(name: string, load: () => Promise<Module>): Promise<Module> {
  try {
    return await load();
  } catch (error) {
    const inner = `the optional package ${name} is not installed: npm install ${name}`;
    throw new EgressFailure("other", { inner, cause: error, retry: "stop" });
  }
}

/** `work`, or the reason of `signal` as soon as it is given; then `stop` ends what `work` holds open. */
export async function unlessAborted<Out>(
  signal: AbortSignal,
  { work, stop }: { work: Promise<Out>; stop: () => void },
): Promise<Out> {
  let abort: () => void = () => undefined;
  const aborted = new Promise<never>((_, reject) => {
    abort = () => {
      stop();
      reject(new EgressFailure("no_connection", { inner: "took too long", cause: signal.reason }));
    };
    signal.addEventListener("abort", abort, { once: true });
    if (signal.aborted) abort();
  });
  try {
    return await Promise.race([work, aborted]);
  } finally {
    signal.removeEventListener("abort", abort);
    work.catch(() => undefined);
  }
}

const cleanMs = 5_000;

/**
 * Runs `write`, which calls `begun` before it writes under a hidden name. When it fails after that, `remove` gets a
 * few seconds to take away what was written, over a connection of its own: the old one is often broken.
 */
export async function cleanedUp<Out>(
  write: (begun: () => void) => Promise<Out>,
  remove: (signal: AbortSignal) => Promise<unknown>,
): Promise<Out> {
  let isBegun = false;
  try {
    return await write(() => void (isBegun = true));
  } catch (error) {
    // The failure to tell is the first one; what is left is overwritten by the next attempt.
    if (isBegun) await remove(AbortSignal.timeout(cleanMs)).catch(() => undefined);
    throw error;
  }
}

/** Where a file goes: its folders below `folder`, its place, and the hidden name that it is written under. */
export function placesOf(folder: string | null, file: Pick<DeliveryFile, "name" | "id">) {
  const base = folder === null ? "" : folder.endsWith("/") ? folder : `${folder}/`;
  const parts = file.name.split("/");
  const name = parts.pop() ?? "";
  const folders = parts.map((_, i) => base + parts.slice(0, i + 1).join("/"));
  const inside = parts.length === 0 ? base : `${base}${parts.join("/")}/`;
  return { folders, final: inside + name, hidden: `${inside}.${file.id}.part` };
}

/**
 * The name of a file where there are no folders. They stay part of it: files of one batch may differ by nothing else,
 * and the folders say what the rows do not (`granularity=hour/month=2026-01/`).
 */
export function flatName(name: string): string {
  return name.replaceAll("/", "_");
}
