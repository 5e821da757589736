import type { z } from "zod";
import { type FieldErrors, Problem } from "../problem.ts";

/** Checks a value with a schema; throws 400 with a message per field. `place` names the whole value in messages. */
export function parsed<Schema extends z.ZodType>(
  schema: Schema,
  value: unknown,
  place: string,
): z.output<Schema> {
  const first = schema.safeParse(value, { error: messageOf });
  if (first.success) return first.data;
  const { value: repaired, changed } = emptyListsAsObjects(value, first.error.issues);
  const result = changed ? schema.safeParse(repaired, { error: messageOf }) : first;
  if (result.success) return result.data;
  throw problemOf(result.error.issues, place);
}

/** 400 from the issues of a schema. */
export function problemOf(issues: readonly z.core.$ZodIssue[], place: string): Problem {
  const errors: FieldErrors = Object.create(null);
  let count = 0;
  for (const issue of issues) {
    for (const name of fieldsOf(issue, place)) {
      const messages = (errors[name] ??= []);
      if (!messages.includes(issue.message)) messages.push(issue.message);
      count++;
    }
    if (count >= 100) break;
  }
  const names = Object.keys(errors);
  const first = `${names[0]}: ${errors[names[0]!]![0]}`;
  const message = names.length === 1 ? first : `${first} (and ${names.length - 1} more)`;
  return new Problem("invalid", message, { errors });
}

function fieldsOf(issue: z.core.$ZodIssue, place: string): string[] {
  const path = issue.path.map(String);
  if (issue.code === "unrecognized_keys") return issue.keys.map((key) => [...path, key].join("."));
  return [path.length === 0 ? place : path.join(".")];
}

const kinds: Record<string, string> = {
  string: "a text",
  number: "a number",
  int: "a whole number",
  boolean: "true or false",
  array: "a list",
  object: "an object",
  record: "an object",
  date: "a date",
};

/** Messages in plain words; whatever is not here keeps the text of the schema. */
function messageOf(issue: z.core.$ZodRawIssue): string | undefined {
  switch (issue.code) {
    case "invalid_type":
      if (issue.input === undefined) return "is required";
      if (Array.isArray(issue.input) && issue.expected !== "array") {
        return `must be ${kinds[issue.expected] ?? issue.expected}, given only once`;
      }
      return `must be ${kinds[issue.expected] ?? issue.expected}`;
    case "invalid_value":
      if (issue.input === undefined) return "is required";
      return `must be ${issue.values.length > 1 ? "one of " : ""}${issue.values.map(String).join(", ")}`;
    case "unrecognized_keys":
      return "is not known here";
    case "too_small":
    case "too_big":
      return boundMessage(issue);
    default:
      return issue.input === undefined ? "is required" : undefined;
  }
}

const units: Record<string, string> = { string: " characters long", array: " entries long" };

function boundMessage(issue: z.core.$ZodRawIssue<z.core.$ZodIssueTooSmall | z.core.$ZodIssueTooBig>): string {
  const unit = units[issue.origin] ?? "";
  if (issue.code === "too_small") {
    if (issue.origin === "string" && issue.minimum === 1) return "must not be empty";
    return `must be ${issue.inclusive === false ? "more than" : "at least"} ${issue.minimum}${unit}`;
  }
  return `must be ${issue.inclusive === false ? "less than" : "at most"} ${issue.maximum}${unit}`;
}

/** PHP writes an empty object as `[]`, and so do clients that send back what they read. */
function emptyListsAsObjects(
  value: unknown,
  issues: readonly z.core.$ZodIssue[],
): { value: unknown; changed: boolean } {
  let changed = false;
  for (const issue of issues) {
    if (issue.code !== "invalid_type" || (issue.expected !== "object" && issue.expected !== "record"))
      continue;
    const place = valueAt(value, issue.path);
    if (!Array.isArray(place) || place.length > 0) continue;
    value = withValueAt(value, issue.path, {});
    changed = true;
  }
  return { value, changed };
}

function valueAt(value: unknown, path: readonly PropertyKey[]): unknown {
  for (const key of path) {
    if (typeof value !== "object" || value === null || !Object.hasOwn(value, key)) return undefined;
    value = (value as Record<PropertyKey, unknown>)[key];
  }
  return value;
}

function withValueAt(value: unknown, path: readonly PropertyKey[], inner: unknown): unknown {
  const [key, ...rest] = path;
  if (key === undefined) return inner;
  const copy = (Array.isArray(value) ? [...value] : { ...(value as object) }) as Record<PropertyKey, unknown>;
  copy[key] = withValueAt(copy[key], rest, inner);
  return copy;
}
