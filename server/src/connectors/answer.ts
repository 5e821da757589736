import type { z } from "zod";
import { type HttpAnswer, ProviderFailure } from "../collection/connector.ts";

/**
 * The JSON of an answer, as the schema says that it must be.
 * @throws ProviderFailure `changed` that names the first part that is missing or of another kind; the answer is kept
 */
export function readAnswer<Schema extends z.ZodType>(answer: HttpAnswer, schema: Schema): z.output<Schema> {
  const read = schema.safeParse(answer.json());
  if (read.success) return read.data;
  const { path, message } = read.error.issues[0]!;
  throw changedAnswer(answer, `${path.join(".") || "the answer"}: ${message}`);
}

/** An answer that is none of those that we know, with what is strange about it. */
export function changedAnswer(answer: HttpAnswer, what: string): ProviderFailure {
  const { pathname } = new URL(answer.url);
  return new ProviderFailure("changed", `${pathname}, status ${answer.status}: ${what}`, {
    page: answer.text(),
  });
}
