import { z } from "zod";
import { type Account, reachNamed } from "../accounts/accounts.ts";
import { formats, unitOf } from "../formats/format.ts";
import type { Queryable } from "../platform/db.ts";
import type { Deps } from "../platform/deps.ts";
import type { Call, Caller, Part } from "../platform/http/endpoint.ts";
import { boolean } from "../platform/http/schema.ts";
import { newId } from "../platform/id.ts";
import { invalid, Problem } from "../platform/problem.ts";
import { isZone } from "../platform/time/zone.ts";
import type { ImportOptions } from "./import.ts";
import { checkMapping, mappingByName } from "./mapping.ts";
import { discardFiles, folderOf, Upload } from "./upload.ts";

const text = (charsMax: number) =>
  z
    .string()
    .trim()
    .max(charsMax)
    .refine((value) => !/\p{Cc}/u.test(value), "must not contain control characters")
    // Forms send empty fields for what was not filled in.
    .transform((value) => (value === "" ? undefined : value));

const formatNames = formats().map(({ name }) => name);

/** The fields of an upload. Files come as parts named `file`, in any order with the fields. */
export const uploadForm = z.object({
  file: z.array(z.string()).optional().meta({
    description: "One or several files, also packed (zip, gzip).",
    contentMediaType: "application/octet-stream",
  }),
  account: text(230).default("me").meta({
    description:
      "The account that gets the meters: `me`, the id of a subaccount, or `external:` and its custom identifier.",
  }),
  dry_run: boolean().default(false).meta({ description: "Only tell what would be stored." }),
  active: boolean()
    .default(false)
    .meta({ description: "New meters go to the box active, not to the inbox." }),
  timezone: text(64)
    .refine(
      (zone) => zone === undefined || isZone(zone),
      "must be an IANA time zone such as Europe/Stockholm",
    )
    .optional()
    .meta({ description: "Overrides what the files say." }),
  unit: text(40)
    .refine(
      (unit) => unit === undefined || unitOf(unit) !== undefined,
      "must be a unit such as kWh, MWh or m3",
    )
    .optional()
    .meta({ description: "Unit of values whose file names none." }),
  meter: text(100).optional().meta({ description: "EAN of values whose file names no meter." }),
  format: text(40)
    .refine(
      (name) => name === undefined || formatNames.includes(name),
      `must be one of ${formatNames.join(", ")}`,
    )
    .optional()
    .meta({ description: "When the format is not to be recognised." }),
  mapping: text(65_536)
    .optional()
    .meta({ description: "How a table is to be read: a mapping as JSON, or the name of a saved one." }),
  source: text(200)
    .optional()
    .meta({ description: "Shown as the origin of the values; the name of the first file by default." }),
});

type Form = z.output<typeof uploadForm>;

/** Everything that came with an upload, checked; the files lie in the folder of the import. */
export interface Received {
  importId: string;
  account: Account;
  upload: Upload;
  source: string;
  dryRun: boolean;
  options: ImportOptions;
}

/**
 * Takes in a multipart upload. Nothing of it is left when it throws.
 * @throws Problem with a message per wrong field; `too_large`
 */
export async function receive(
  call: Pick<Call<z.ZodType, z.ZodType, z.ZodType>, "parts" | "ignored"> & { who: Caller },
  { db, clock, settings }: Deps,
): Promise<Received> {
  const importId = newId(clock.now());
  const upload = new Upload(folderOf(settings.dataDir, importId), settings.uploadBytesMax);
  try {
    const form = await readParts(call.parts, upload, call.ignored);
    if (upload.files.length === 0) throw invalid("file", "is missing: send at least one file");
    const account = await reachNamed(db, call.who, form.account ?? "me");
    const options = await optionsOf(db, form, account);
    return {
      importId,
      account,
      upload,
      source: form.source ?? upload.files[0]!.name,
      dryRun: form.dry_run,
      options,
    };
  } catch (error) {
    await discardFiles(settings.dataDir, importId);
    throw error;
  }
}

async function readParts(
  parts: AsyncIterable<Part>,
  upload: Upload,
  ignored: (name: string) => void,
): Promise<Form> {
  const fields: Record<string, string> = {};
  for await (const part of parts) {
    if (part.kind === "file") {
      if (part.name === "file") await upload.take(part.fileName, part.stream);
      else {
        part.stream.resume();
        ignored(part.name);
      }
    } else if (Object.hasOwn(uploadForm.shape, part.name)) fields[part.name] = part.value;
    else ignored(part.name);
  }
  const parsed = uploadForm.safeParse(fields);
  if (parsed.success) return parsed.data;
  const errors: Record<string, string[]> = {};
  for (const { path, message } of parsed.error.issues) (errors[path.join(".")] ??= []).push(message);
  const [field, [message]] = Object.entries(errors)[0] as [string, [string]];
  throw new Problem("invalid", `${field}: ${message}`, { errors });
}

async function optionsOf(db: Queryable, form: Form, account: Account): Promise<ImportOptions> {
  const { timezone, unit, meter, format, active } = form;
  return {
    active,
    account_timezone: account.timezone,
    ...(timezone === undefined ? {} : { timezone }),
    ...(unit === undefined ? {} : { unit }),
    ...(meter === undefined ? {} : { meter }),
    ...(format === undefined ? {} : { format }),
    ...(form.mapping === undefined ? {} : await mappingOf(db, form.mapping, account)),
  };
}

async function mappingOf(db: Queryable, told: string, account: Account): Promise<Partial<ImportOptions>> {
  if (!told.startsWith("{")) {
    const mapping = await mappingByName(db, account, told);
    if (mapping === undefined) throw invalid("mapping", `there is no saved mapping "${told.slice(0, 100)}"`);
    return { mapping, mapping_name: told };
  }
  let mapping: unknown;
  try {
    mapping = JSON.parse(told);
  } catch {
    throw invalid("mapping", "is neither JSON nor the name of a saved mapping");
  }
  await checkMapping("mapping", mapping);
  return { mapping };
}
