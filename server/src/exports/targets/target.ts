import type { z } from "zod";
import type { Deps } from "../../platform/deps.ts";
import { fieldMarks } from "../../platform/secret-field.ts";
import { webAddress } from "../../platform/transfer/fields.ts";

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

/** An http or https address whose login and tokens are secret. */
export function secretAddress() {
  return webAddress
    .describe("Credentials in it are write-only: they are shown as `********`.")
    .register(fieldMarks, { secret: "address", place: "origin" });
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
