import { z } from "zod";

/** What is special about a field of settings that people enter. */
export interface FieldMark {
  /** Never shown and sealed when stored: the whole value, or what an address hides (login, tokens). */
  secret?: "whole" | "address";
  /** Says where secrets are sent, as a whole or by its origin: when it changes they must be entered again. */
  place?: "value" | "origin";
  /** Found out at the first connection and stored; left out of a change, it stays. */
  learned?: boolean;
  /** Says nothing about who logs in where: what was refused stays refused, whatever it says. */
  aside?: true;
}

/** The marks of fields. */
export const fieldMarks = z.registry<FieldMark>();

/** What is special about a field. */
export function markOf(field: z.ZodType): FieldMark {
  return fieldMarks.get(field) ?? {};
}

/** One line of text: commands and headers are made of it. */
export function line(max: number) {
  return z
    .string()
    .min(1)
    .max(max)
    .refine((text) => !/\p{Cc}|[\u2028\u2029]/u.test(text), "must be one line without control characters");
}

/** What stands for a secret in answers. */
export const mask = "********";

const secretText = "Write-only: answers show `********`, and sending that back keeps the value.";

/** A text that is never shown again. */
export function secret(text: z.ZodString = line(1_000)) {
  return z
    .union([z.literal(mask), text])
    .describe(secretText)
    .register(fieldMarks, { secret: "whole" });
}

/** A secret that need not be there; `about` says what for. */
export function optionalSecret(about: string, text: z.ZodString = line(1_000)) {
  return optional(z.union([z.literal(mask), text]))
    .describe(`${about} ${secretText}`)
    .register(fieldMarks, { secret: "whole" });
}

/** Marks a field that says nothing about who logs in where. */
export function aside<Schema extends z.ZodType>(field: Schema): Schema {
  fieldMarks.add(field, { ...markOf(field), aside: true });
  return field;
}

/** `null` when it is left out. */
export function optional<Schema extends z.ZodType>(schema: Schema) {
  return schema.nullable().default(null as never);
}
