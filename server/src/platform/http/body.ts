import { isUtf8 } from "node:buffer";
import { Problem } from "../problem.ts";

/** Brackets inside brackets; nothing of ours nests deeper than a dozen. */
const depthMax = 100;

/**
 * Reads a body as clients really send it: JSON whatever its content type says, a form, or nothing at all
 * (`undefined`). Throws 400 for what is neither and 415 for a type that cannot be meant.
 */
export function readBody(bytes: Buffer | undefined, contentType: string | undefined): unknown {
  if (bytes === undefined || bytes.length === 0) return undefined;
  if (!isUtf8(bytes)) throw new Problem("invalid", "The body is not UTF-8 text");
  const text = bytes.toString("utf8").replace(/^\ufeff/, "");
  const first = text.trimStart().charAt(0);
  if (first === "") return undefined;
  const type = (contentType ?? "").split(";", 1)[0]!.trim().toLowerCase();
  if (type.startsWith("multipart/")) {
    throw new Problem(
      "unsupported_type",
      "This endpoint takes JSON (content type application/json), no files",
    );
  }
  const isForm = type === "application/x-www-form-urlencoded";
  if (isForm && first !== "{" && first !== "[") return readForm(text);
  if (nestsDeeper(text)) throw new Problem("invalid", `The body nests deeper than ${depthMax} levels`);
  try {
    return JSON.parse(text, text.includes("__proto__") || text.includes("\\u") ? refusePrototype : undefined);
  } catch (error) {
    if (error instanceof Problem) throw error;
    if (isForm) return readForm(text);
    const place = /\(line \d+ column \d+\)/.exec((error as Error).message.slice(-200))?.[0];
    throw new Problem(
      "invalid",
      place === undefined ? "The body is not JSON" : `The body is not JSON ${place}`,
    );
  }
}

/** A member of this name would change objects that it is copied into. */
function refusePrototype(name: string, value: unknown): unknown {
  if (name === "__proto__") throw new Problem("invalid", "The body has a member named __proto__");
  return value;
}

/** A form as an object; repeated names and `name[]` are lists. */
function readForm(text: string): Record<string, string | string[]> {
  const fields = new Map<string, string | string[]>();
  for (const [sent, value] of new URLSearchParams(text.trim())) {
    const name = sent.endsWith("[]") ? sent.slice(0, -2) : sent;
    if (name === "__proto__") throw new Problem("invalid", "The body has a member named __proto__");
    const before = fields.get(name);
    if (before === undefined) fields.set(name, sent.endsWith("[]") ? [value] : value);
    else if (Array.isArray(before)) before.push(value);
    else fields.set(name, [before, value]);
  }
  return Object.fromEntries(fields);
}

/** Does a JSON text nest too deep? Looked at before parsing, because everything after may recurse. */
function nestsDeeper(text: string): boolean {
  if (text.length <= depthMax) return false;
  let depth = 0;
  for (let i = 0; i < text.length; i++) {
    const char = text.charCodeAt(i);
    if (char === 0x22) {
      for (i++; i < text.length && text.charCodeAt(i) !== 0x22; i++) if (text.charCodeAt(i) === 0x5c) i++;
    } else if (char === 0x5b || char === 0x7b) {
      if (++depth > depthMax) return true;
    } else if (char === 0x5d || char === 0x7d) depth--;
  }
  return false;
}
