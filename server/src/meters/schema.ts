import { z } from "zod";
import { accountRefView } from "../accounts/accounts.ts";
import { granularities } from "../platform/granularity.ts";
import { boolean, id } from "../platform/http/schema.ts";
import { isZone } from "../platform/time/zone.ts";
import { boxes, controlLevels, meterTypes, representations } from "./reference.ts";

const stat = z.object({
  first: z.int().nullable().describe("YYYYMM, YYYYMMDD or YYYYMMDDHH in the zone of the meter"),
  last: z.int().nullable(),
  min: z.number().nullable(),
  max: z.number().nullable(),
  sum: z.number().nullable(),
  count: z.int(),
});

/** `{energy: {month: {first, last, …}}}`. */
export const statsView = z.record(z.string(), z.partialRecord(z.enum(granularities), stat));

const pathStep = z.object({ _id: z.string(), name: z.string() });
const locationView = z.tuple([z.number(), z.number()]).nullable().describe("Longitude, latitude");

/** A meter as the API shows it to its holder. */
export const meterView = z.object({
  _id: z.string().describe("Of this reference"),
  ean: z.string().nullable().describe("External id of the metering point"),
  name: z.string().nullable(),
  address: z.string().nullable(),
  tags: z.array(z.string()),
  holder: accountRefView.nullable(),
  root: z.object({ _id: z.string(), holder: z.object({ _id: z.string(), name: z.string() }).nullable() }),
  assigner: accountRefView.nullable().describe("Who shared or assigned it, and may revoke it"),
  children: z
    .array(z.object({ _id: z.string(), holder: accountRefView }))
    .describe("Copies made of this one"),
  created: z.string(),
  location: locationView,
  timezone: z.string(),
  control_level: z.enum(controlLevels),
  generation: z.int().describe("0 the root meter, 1 assigned, 2 and above shared"),
  box: z.enum(boxes),
  revoked: z.boolean(),
  type: z.enum(meterTypes),
  metrics: z.array(z.string()),
  consumption_stats: statsView,
  readings_stats: z.null(),
  has_active_complaints: z.boolean(),
  readings_blocked: z.boolean(),
  on_hold: z.boolean(),
  representation: z.enum(representations).nullable(),
  open_channel_ids: z.array(z.string()).nullable(),
  active_box_tree_paths: z
    .array(z.array(pathStep))
    .describe("One path per place, root first; only in the box active"),
  expected_granularity: z.enum(granularities).nullable(),
});

/** A meter of an open channel, as anybody sees it. */
export const openMeterView = z.object({
  _id: z.string(),
  owner: z.object({ _id: z.string(), name: z.string() }).nullable(),
  name: z.string().nullable(),
  timezone: z.string(),
  address: z.string().nullable(),
  location: locationView,
  generation: z.int(),
  metrics: z.array(z.string()),
  type: z.enum(meterTypes),
  consumption_stats: statsView,
  open_channel_ids: z.array(z.string()),
  representation: z.enum(representations).nullable(),
});

export const channelView = z.object({
  _id: z.string(),
  name: z.string(),
  granularities: z.array(z.enum(granularities)),
  periods: z.array(z.string()),
  metrics: z.array(z.string()),
});

/** A copy that was shared or assigned, as the one who gave it sees it. */
export const copyView = z.object({
  _id: z.string(),
  root: z.object({ _id: z.string() }),
  parent: z.object({ _id: z.string() }),
  holder: accountRefView,
  generation: z.int(),
  control_level: z.enum(controlLevels),
  revoked: z.boolean(),
});

/** An account by its id, also as `{_id}`. */
export const accountGiven = z.preprocess(
  (value) => (typeof value === "object" && value !== null && "_id" in value ? value._id : value),
  id(),
);

/** Parameters of lists that have no filters; read by `readPaging`. */
export const pagingQuery = z.object({
  skip: z.string().optional(),
  offset: z.string().optional().describe("The same as skip"),
  limit: z.string().optional(),
});

const text = (charsMax: number) =>
  z
    .string()
    .trim()
    .max(charsMax)
    .refine((value) => !value.includes("\0"), "must not contain the character NUL");

/** Text that may be absent; forms send an empty one for that. */
const optionalText = (charsMax: number) =>
  text(charsMax)
    .nullable()
    .transform((value) => (value === "" ? null : value));

/** An external id is text, also when a client sends the digits as a number. */
const ean = z.preprocess(
  (value) => (typeof value === "number" && Number.isSafeInteger(value) && value >= 0 ? String(value) : value),
  optionalText(100),
);

/** Longitude and latitude in degrees. */
export const location = z
  .tuple([z.number().min(-180).max(180), z.number().min(-90).max(90)])
  .nullable()
  .describe("Longitude, latitude");

const members = {
  name: optionalText(500),
  address: optionalText(500),
  tags: z
    .array(text(100).min(1))
    .max(100)
    .transform((tags) => [...new Set(tags)]),
  box: z.enum(boxes),
  on_hold: boolean(),
  type: z.enum(meterTypes),
  ean,
  representation: z.enum(representations).nullable(),
  expected_granularity: z.enum(granularities).nullable(),
  location,
  open_channel_ids: z.array(id()).max(100).nullable(),
};

/** Body of an update: what is absent stays. Everything else in a body is not read, so views can be sent back. */
export const meterChange = z.object(members).partial();

/** Body of a new meter. */
export const meterCreation = z
  .object({
    ...members,
    channel: text(100).describe("Register or suffix, for metering points with several series"),
    timezone: text(64)
      .refine(isZone, "must be a time zone of the IANA database, such as Europe/Stockholm")
      .nullable(),
    metrics: z.array(z.string().regex(/^[a-z][a-z0-9_]{0,60}$/)).max(50),
  })
  .omit({ open_channel_ids: true })
  .partial()
  .required({ type: true });
