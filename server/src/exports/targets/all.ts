import { z } from "zod";
import type { Settings } from "../../platform/deps.ts";
import { EgressFailure, failureOf } from "../../platform/egress/egress.ts";
import { inSteps } from "../../platform/egress/even-time.ts";
import { invalid } from "../../platform/problem.ts";
import { hiddenParts, maskedAddress, restoredAddress } from "../../platform/secret-address.ts";
import { awsS3 } from "./aws-s3.ts";
import { azureBlobStorage } from "./azure-blob-storage.ts";
import { ftp } from "./ftp.ts";
import { http } from "./http.ts";
import { sftp } from "./sftp.ts";
import { smtp } from "./smtp.ts";
import {
  type DeliveryFile,
  markOf,
  mask,
  type SettingsSchema,
  type TargetDeps,
  type TargetKind,
} from "./target.ts";

export type { DeliveryFile, TargetDeps } from "./target.ts";

/** Where files can go, by their name on the wire. A new kind is a file and a line here. */
export const targetKinds = {
  ftp,
  sftp,
  smtp,
  http,
  aws_s3: awsS3,
  azure_blob_storage: azureBlobStorage,
} as const;

type Kinds = typeof targetKinds;
export type TargetType = keyof Kinds;
/** A target with everything that is needed to reach it. */
export type Target = {
  [Type in TargetType]: { type: Type; settings: z.output<Kinds[Type]["settings"]> };
}[TargetType];

export const targetTypes = Object.keys(targetKinds) as [TargetType, ...TargetType[]];

const settingsByType = {
  ftp: ftp.settings.nullable(),
  sftp: sftp.settings.nullable(),
  smtp: smtp.settings.nullable(),
  http: http.settings.nullable(),
  aws_s3: awsS3.settings.nullable(),
  azure_blob_storage: azureBlobStorage.settings.nullable(),
};

const bodySchema = z.object({ type: z.enum(targetTypes).optional(), ...settingsByType }).partial();

/** A target in a body: one member, named after its kind; `null` for the others, and `type`, as answers have them. */
export const targetSchema = bodySchema.transform((body, context): Target => {
  const given = targetTypes.filter((type) => body[type] !== undefined && body[type] !== null);
  const [type] = given;
  if (type === undefined || given.length > 1) {
    const message = `must have exactly one of ${targetTypes.join(", ")}`;
    context.addIssue({ code: "custom", message });
    return z.NEVER;
  }
  if (body.type !== undefined && body.type !== type) {
    context.addIssue({ code: "custom", path: ["type"], message: `is ${body.type}, but ${type} is given` });
    return z.NEVER;
  }
  return { type, settings: body[type] } as Target;
});

/** A target in an answer: `type`, its settings with masks for secrets, `null` for the other kinds. */
export const targetView = z.object({ type: z.enum(targetTypes), ...settingsByType });

/** A target as the database holds it: `settings` may be read by anybody, `secrets` is text to be sealed. */
export interface StoredTarget {
  /** `{type, settings}` with masks in the place of secrets. */
  open: { type: TargetType; settings: Record<string, unknown> };
  secrets: string;
}

/** What an answer shows of a target as the database holds it. */
export function shownTarget({ type, settings }: StoredTarget["open"]): z.output<typeof targetView> {
  const others = Object.fromEntries(targetTypes.map((each) => [each, null]));
  return { ...others, type, [type]: settings } as z.output<typeof targetView>;
}

/** Takes a target apart for the database. */
export function splitTarget(target: Target): StoredTarget {
  const secrets = Object.fromEntries(secretFields(target).map(({ name, value }) => [name, value]));
  return { open: { type: target.type, settings: maskedSettings(target) }, secrets: JSON.stringify(secrets) };
}

/** Puts a target together again. Throws when the parts do not fit. */
export function joinTarget({ open, secrets }: StoredTarget): Target {
  const settings = { ...open.settings, ...(JSON.parse(secrets) as Record<string, unknown>) };
  return { type: open.type, settings: targetKinds[open.type].settings.parse(settings) } as Target;
}

/**
 * `given` with the secrets of `before` where it has masks; `before` is `null` for a new target. Throws a `Problem`
 * that names the field when there is nothing behind a mask, or when the place changed that the secret would be sent
 * to: otherwise whoever may write a target could have its password sent to a server of his own.
 */
export function mergeSecrets(before: Target | null, given: Target): Target {
  const old = before !== null && before.type === given.type ? (before.settings as Fields) : null;
  const settings: Fields = { ...given.settings };
  const isMoved = old !== null && placeOf(given, old) !== placeOf(given, settings);
  for (const { name, kind, value } of secretFields(given)) {
    const field = `target.${given.type}.${name}`;
    const merged =
      kind === "whole"
        ? value === mask
          ? (old?.[name] ?? null)
          : value
        : restoredAddress(value, old === null ? null : String(old[name] ?? ""));
    if (merged === null)
      throw invalid(field, `has a mask (${mask}) but is not as it was shown before: enter the value itself`);
    if (kind === "whole" && value === mask && isMoved) {
      throw invalid(field, "must be entered again, since it would be sent to another place than before");
    }
    settings[name] = merged;
  }
  for (const [name, schema] of Object.entries(kindOf(given).settings.shape)) {
    if (markOf(schema).learned !== true || settings[name] !== undefined) continue;
    settings[name] = isMoved ? null : (old?.[name] ?? null);
  }
  return { type: given.type, settings } as Target;
}

/** Refuses what this server cannot do. Throws a `Problem` that names the field. */
export function assertPossible(target: Target, settings: Pick<Settings, "smtpUrl">): void {
  if (target.type === "smtp" && settings.smtpUrl === null) {
    throw invalid("target.smtp", "this server has no mail server: its operator sets METERTREE_SMTP_URL");
  }
}

export interface DeliverOptions {
  deps: TargetDeps;
  file: DeliveryFile;
  signal?: AbortSignal;
}

/**
 * Delivers one file, whole or not at all. Returns settings that were learnt on the way (the key of an SFTP server),
 * to be merged into the stored `settings`. Throws an `EgressFailure` that holds no secret: `retry` says whether
 * another attempt makes sense.
 */
export function deliver(target: Target, { deps, file, signal }: DeliverOptions): Promise<Fields> {
  assertFile(file);
  const limits = [AbortSignal.timeout(deliveryMs(file.bytes)), ...(signal === undefined ? [] : [signal])];
  return safely(target, () =>
    kindOf(target).deliver({ settings: target.settings, deps, file, signal: AbortSignal.any(limits) }),
  );
}

export interface TestOptions {
  deps: TargetDeps;
  /** An id, for names of what has to be written for a moment. */
  id: string;
  signal?: AbortSignal;
  /** Failures come after a multiple of this, so that their time tells nothing about a network. */
  stepMs?: number;
}

const testMs = 30_000;

/** Tries a target without leaving anything there. Returns and throws as `deliver` does. */
export function testTarget(
  target: Target,
  { deps, id, signal, stepMs = 5_000 }: TestOptions,
): Promise<Fields> {
  const limits = [AbortSignal.timeout(testMs), ...(signal === undefined ? [] : [signal])];
  const call = { settings: target.settings, deps, id, signal: AbortSignal.any(limits) };
  return inSteps(() => safely(target, () => kindOf(target).test(call)), stepMs);
}

type Fields = Record<string, unknown>;

const kindOf = (target: Target) => targetKinds[target.type] as unknown as TargetKind<SettingsSchema>;

/** Slow targets get 20 kB a second and some minutes for the rest. */
const deliveryMs = (bytes: number) => 300_000 + Math.ceil(bytes / 20);

/** Names are made by us; one that could leave its folder or break a command is a bug. */
function assertFile({ name, id }: DeliveryFile): void {
  const isGood = name
    .split("/")
    .every((part) => /^[^\\\p{Cc}\u2028\u2029]{1,255}$/u.test(part) && !/^\.{1,2}$/.test(part));
  if (!isGood || name.length > 900 || !/^[\w-]{1,100}$/.test(id)) {
    throw new Error(`no name of a file or delivery: ${JSON.stringify([name, id])}`);
  }
}

interface SecretField {
  name: string;
  kind: "whole" | "address";
  value: string;
}

/** The fields of a target that hold secrets now. */
function secretFields(target: Target): SecretField[] {
  const fields = target.settings as Fields;
  return Object.entries(kindOf(target).settings.shape).flatMap(([name, schema]) => {
    const kind = markOf(schema).secret;
    const value = fields[name];
    return kind === undefined || typeof value !== "string" ? [] : [{ name, kind, value }];
  });
}

function maskedSettings(target: Target): Fields {
  const settings: Fields = { ...target.settings };
  for (const { name, kind, value } of secretFields(target)) {
    settings[name] = kind === "whole" ? mask : maskedAddress(value);
  }
  return settings;
}

/** Where the secrets of these settings are sent to. */
function placeOf(target: Target, fields: Fields): string {
  const places = Object.entries(kindOf(target).settings.shape).map(([name, schema]) => {
    const { place } = markOf(schema);
    return place === undefined
      ? null
      : place === "value"
        ? fields[name]
        : URL.parse(String(fields[name]))?.origin;
  });
  return JSON.stringify(places);
}

/** Runs `work`; what a failure quotes of the other side is freed of our secrets, which it may have repeated. */
async function safely<Out>(target: Target, work: () => Promise<Out>): Promise<Out> {
  try {
    return await work();
  } catch (error) {
    const { reason, inner, retry, retryAfterSeconds } = failureOf(error);
    const wait = retryAfterSeconds === undefined ? {} : { retryAfterSeconds };
    throw new EgressFailure(reason, { inner: withoutSecrets(inner, target), retry, ...wait });
  }
}

function withoutSecrets(text: string, target: Target): string {
  const { username = "" } = target.settings as { username?: string };
  const secrets = secretFields(target).flatMap(({ kind, value }) =>
    kind === "whole" ? [value] : hiddenParts(value),
  );
  const forms = secrets.flatMap((each) => [
    each,
    encodeURIComponent(each),
    ...[each, `${username}:${each}`, `\0${username}\0${each}`].map((form) => base64(form)),
  ]);
  // Longest first: a short secret may be part of a longer one.
  const known = [...new Set(forms)].filter((form) => form.length >= 3).sort((a, b) => b.length - a.length);
  return known.reduce((rest, form) => rest.replaceAll(form, mask), text);
}

const base64 = (text: string) => Buffer.from(text).toString("base64").replace(/=+$/, "");
