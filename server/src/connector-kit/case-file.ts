import { existsSync, readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { z } from "zod";
import { failureKinds } from "../collection/connector.ts";
import { granularities } from "../platform/granularity.ts";

/**
 * A recorded case of a connector: `cases/<name>/case.json` says what a run asks and what must come of it, `talk.json`
 * what the provider answers. The format is described in docs/connectors.md.
 */

const instant = z.iso.datetime({ offset: true }).transform((text) => Date.parse(text));

const wantedInCase = z.strictObject({
  key: z.string(),
  metric: z.string(),
  granularity: z.enum(granularities),
  from: instant,
  to: instant,
  reason: z.enum(["new", "correction", "gap", "backfill"]).default("new"),
});

/** What a run must come to; members that are left out must not be: without `failure` nothing may fail. */
const expectedInCase = z.strictObject({
  found: z.array(z.record(z.string(), z.unknown())).optional(),
  deliveries: z.array(z.record(z.string(), z.unknown())).optional(),
  invoices: z
    .array(z.strictObject({ key: z.string(), fileName: z.string(), bytes: z.int(), sha256: z.string() }))
    .optional(),
  failure: z
    .strictObject({
      kind: z.enum(failureKinds),
      retry_after_seconds: z.number().optional(),
      /** Part of the message. */
      message: z.string().optional(),
    })
    .optional(),
  /** Questions that were put by `visit.mayAsk`; not looked at when left out. */
  asked: z.array(z.string()).optional(),
  /** Keys of meters that were told by `visit.refused`; not looked at when left out. */
  refused: z.array(z.string()).optional(),
  /** What memory holds afterwards; not looked at when left out. */
  memory: z.record(z.string(), z.string()).optional(),
});
export type Expected = z.output<typeof expectedInCase>;

export const caseFile = z.strictObject({
  about: z.string().min(1),
  settings: z.record(z.string(), z.unknown()),
  /** What the operator has set up, with `Connector.operator`. */
  setup: z.record(z.string(), z.unknown()).default({}),
  now: instant,
  memory: z.record(z.string(), z.string()).default({}),
  /** What the customer enters each time that a code is asked for; after the last nobody enters one. */
  codes: z.array(z.string()).default([]),
  /** Questions that `visit.mayAsk` says no to, because they were answered a while ago. */
  answered: z.array(z.string()).default([]),
  discover: z.boolean().default(false),
  wanted: z.array(wantedInCase).default([]),
  /** Invoices are asked for; these keys are stored already. */
  invoices: z.array(z.string()).optional(),
  /** `any`: requests may come in any order, as when several are sent at once. */
  order: z.enum(["as_recorded", "any"]).default("as_recorded"),
  expected: expectedInCase,
});

const bodyParts = {
  body: z.string().optional(),
  json: z.unknown().optional(),
};

const requestInTalk = z.strictObject({
  method: z.string().default("GET"),
  url: z.url(),
  /** Headers that the request must have, names in lower case; others do not matter. */
  headers: z.record(z.string(), z.string()).default({}),
  ...bodyParts,
  form: z.record(z.string(), z.string()).optional(),
});

const responseInTalk = z.strictObject({
  status: z.int(),
  headers: z.record(z.string(), z.string()).default({}),
  ...bodyParts,
  /** Name of a file beside `talk.json` that is the body. */
  file: z
    .string()
    .regex(/^[\w.-]+$/)
    .optional(),
});

export const talkFile = z.array(
  z.strictObject({
    request: requestInTalk,
    /** `none`: no answer came. */
    response: z.union([responseInTalk, z.literal("none")]),
  }),
);

/** One request that is expected, and its answer. */
export interface Exchanged {
  request: z.output<typeof requestInTalk>;
  response: { status: number; headers: Record<string, string>; body: Buffer } | "none";
}

/** A case as it is played. */
export interface ConnectorCase extends z.output<typeof caseFile> {
  /** Its folder's name. */
  name: string;
  talk: Exchanged[];
}

/** Names of the cases in a connector's folder, sorted. */
export function caseNames(connectorFolder: string): string[] {
  const cases = join(connectorFolder, "cases");
  return existsSync(cases) ? readdirSync(cases).sort() : [];
}

/**
 * Reads one case.
 * @throws Error that names the file and the place in it
 */
export function readCase(connectorFolder: string, name: string): ConnectorCase {
  const folder = join(connectorFolder, "cases", name);
  const stated = parsedFile(caseFile, folder, "case.json");
  const talk = parsedFile(talkFile, folder, "talk.json").map(({ request, response }) => ({
    request,
    response: response === "none" ? response : { ...response, body: bodyOf(response, folder) },
  }));
  return { ...stated, name, talk };
}

function parsedFile<Schema extends z.ZodType>(
  schema: Schema,
  folder: string,
  file: string,
): z.output<Schema> {
  const path = join(folder, file);
  let json: unknown;
  try {
    json = JSON.parse(readFileSync(path, "utf8"));
  } catch (error) {
    throw new Error(`${path}: ${(error as Error).message}`, { cause: error });
  }
  const result = schema.safeParse(json);
  if (result.success) return result.data;
  throw new Error(`${path}:\n${z.prettifyError(result.error)}`);
}

function bodyOf({ body, json, file }: z.output<typeof responseInTalk>, folder: string): Buffer {
  if (file !== undefined) return readFileSync(join(folder, file));
  return Buffer.from(json === undefined ? (body ?? "") : JSON.stringify(json));
}
