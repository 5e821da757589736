import { z } from "zod";
import { isId } from "../id.ts";

export { formatTimestamp } from "../time/timestamp.ts";

/** An identifier: 24 lower-case hex characters. */
export function id() {
  return z
    .string()
    .refine(isId, "must be an id: 24 hex characters")
    .meta({ pattern: "^[0-9a-f]{24}$", example: "5d1c9f2a8b3e4c0017a6d2f1" });
}

/** An account's id, or `me` for the caller's own. */
export function accountId() {
  return z
    .string()
    .refine((text) => text === "me" || isId(text), "must be an id (24 hex characters) or me")
    .meta({ description: "An account's id, or `me` for your own.", example: "me" });
}

/** A whole number, as a number or as text: `"12"`. */
export function integer(bounds: { min?: number; max?: number } = {}) {
  const { min = Number.MIN_SAFE_INTEGER, max = Number.MAX_SAFE_INTEGER } = bounds;
  return z.preprocess(numberOf, z.int().min(min).max(max));
}

/** A finite number, as a number or as text. */
export function decimal() {
  return z.preprocess(numberOf, z.number());
}

function numberOf(value: unknown): unknown {
  if (typeof value !== "string" || value.length > 40) return value;
  return /^-?\d+(\.\d+)?([eE][+-]?\d+)?$/.test(value.trim()) ? Number(value) : value;
}

/** True or false, also as the texts and numbers that clients and forms send for them. */
export function boolean() {
  return z.preprocess((value) => (flags.has(value) ? flags.get(value) : value), z.boolean());
}

const flags = new Map<unknown, boolean>([
  ["true", true],
  ["1", true],
  [1, true],
  ["false", false],
  ["0", false],
  [0, false],
]);

/** A list written with commas, as a repeated parameter, or as a JSON list; without empty entries. */
export function commaList<Item extends z.ZodType<unknown, string>>(item: Item, entriesMax = 10_000) {
  return z
    .preprocess(splitList, z.array(item).max(entriesMax))
    .meta({ description: "Comma separated, or repeated." });
}

function splitList(value: unknown): unknown {
  if (typeof value !== "string" && !Array.isArray(value)) return value;
  const texts = typeof value === "string" ? [value] : value;
  return texts.flatMap((text: unknown) =>
    typeof text !== "string"
      ? [text]
      : text
          .split(",")
          .map((entry) => entry.trim())
          .filter((entry) => entry !== ""),
  );
}

/**
 * An instant as text, output as epoch milliseconds: `2019-03-19T09:20:35+0000`, also with `Z`, `+00:00`, fractions
 * of a second or without seconds. In an address `+` means a blank, so a blank before the offset is taken as `+`.
 */
export function timestamp() {
  return z
    .string()
    .transform((text, context) => {
      const instant = parseTimestamp(text);
      if (instant !== undefined) return instant;
      context.addIssue({ code: "custom", message: "must be an instant such as 2019-03-19T09:20:35+0000" });
      return z.NEVER;
    })
    .meta({ example: "2019-03-19T09:20:35+0000" });
}

/** Schema of `formatTimestamp`, for answers. */
export function timestampText() {
  return z
    .string()
    .regex(/^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\+0000$/)
    .meta({ example: "2019-03-19T09:20:35+0000" });
}

const timestampShape =
  /^(\d{4})-(\d\d)-(\d\d)[T ](\d\d):(\d\d)(?::(\d\d)(?:\.(\d{1,9}))?)?(?:(Z)|([+ -])(\d\d):?(\d\d))$/;

/** Epoch milliseconds of a written instant; `undefined` when it is none, such as 30 February. */
export function parseTimestamp(text: string): number | undefined {
  if (text.length > 40) return undefined;
  const match = timestampShape.exec(text);
  if (match === null) return undefined;
  const [year, month, day, hour, minute, second] = match
    .slice(1, 7)
    .map((part) => Number(part ?? 0)) as number[];
  const offsetMinutes = match[8] === "Z" ? 0 : Number(match[10]) * 60 + Number(match[11]);
  if (hour! > 23 || minute! > 59 || second! > 59 || offsetMinutes > 18 * 60) return undefined;
  const milliseconds = Math.trunc(Number(`0.${match[7] ?? 0}`) * 1000);
  const local = Date.UTC(year!, month! - 1, day!, hour!, minute!, second!, milliseconds);
  const check = new Date(local);
  if (year! < 100 || check.getUTCMonth() !== month! - 1 || check.getUTCDate() !== day!) return undefined;
  return local - (match[9] === "-" ? -offsetMinutes : offsetMinutes) * 60_000;
}
