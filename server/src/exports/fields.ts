import { z } from "zod";
import { boolean } from "../platform/http/schema.ts";
import { parsed } from "../platform/http/validate.ts";
import { invalid } from "../platform/problem.ts";
import { isZone } from "../platform/time/zone.ts";
import { exportFormatNamed, exportFormats } from "./formats/all.ts";
import type { ExportFormat } from "./formats/format.ts";
import { frequencies } from "./schedule.ts";
import { targetSchema } from "./target.ts";

const name = z
  .string()
  .trim()
  .min(1)
  .max(100)
  .refine((text) => !/\p{Cc}/u.test(text) && text.isWellFormed(), "must not contain control characters");

const params = z.record(z.string(), z.unknown()).nullable().meta({
  description: "Parameters of the format; see its page. Null or left out for the usual ones.",
});

const shared = {
  frequency: z.enum(frequencies),
  cron: z.string().max(100).nullable().meta({
    description: 'Minute, hour, day, month, weekday; with the frequency "cron".',
    example: "30 6 * * 1-5",
  }),
  timezone: z.string().refine(isZone, "must be a time zone such as Europe/Stockholm").meta({
    description: "Zone of the schedule; the account's when it is left out.",
  }),
  target: targetSchema,
  name: name.nullable(),
};

/** Body of a new export. */
export const exportBody = z.object({
  format: z.object({ name: z.string().max(100), params: params.optional() }),
  source_type: z.literal("stream").default("stream"),
  frequency: shared.frequency,
  cron: shared.cron.optional(),
  timezone: shared.timezone.optional(),
  target: shared.target,
  name: shared.name.optional(),
});

/** Body of a change; what it leaves out stays. */
export const exportChange = z
  .object({
    ...shared,
    format: z.object({ name: z.string().max(100).optional(), params: params.optional() }),
    paused: boolean(),
  })
  .partial();

/** The format of that name. @throws Problem that names those that there are */
export function knownFormat(formatName: string): ExportFormat {
  const format = exportFormatNamed(formatName);
  if (format !== undefined) return format;
  const names = exportFormats.map((each) => each.name).join(", ");
  const why =
    formatName === "ReadingsCSV"
      ? "is not there: readings are not stored yet. Choose"
      : "is not known; choose";
  throw invalid("format.name", `${why} one of ${names}`);
}

/** Checks parameters of a format, and gives them back with its defaults. @throws Problem that names each wrong one */
export function checkedParams(
  format: ExportFormat,
  sent: Record<string, unknown> | null,
): Record<string, unknown> {
  const schema = z.object({ format: z.object({ params: format.params }) });
  const { format: checked } = parsed(schema, { format: { params: sent ?? {} } }, "format");
  return checked.params as Record<string, unknown>;
}
