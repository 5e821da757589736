import type { EgressAnswer } from "../platform/egress/egress.ts";
import type { HttpRequest } from "./connector.ts";
import { isSecretName } from "./scrub.ts";

/** Shorter ones stand in every text. */
const charsMin = 4;
const tokenCharsMin = 8;
/** Larger answers are values, and no answer to a login. */
const bytesMax = 65_536;
const headerName = /authorization|cookie|token|secret|api-?key|session|csrf/;
/** Members of JSON that hold a secret in the answers of everybody who logs in somewhere. */
const member =
  /"(?:[\w-]*token|session_?id|csrf\w*|client_secret|password|jwt|otp)"\s*:\s*"((?:[^"\\]|\\.){8,4000})"/gi;

/** What is a secret in a request by the place where it stands, whatever the settings hold. */
export function secretsOfRequest({ headers = {}, query, form, json }: HttpRequest): string[] {
  const named = [query, form, isRecord(json) ? json : undefined].flatMap((part) =>
    Object.entries(part ?? {}).flatMap(([name, value]) =>
      typeof value === "string" && isSecretName(name) ? [value] : [],
    ),
  );
  const sent = Object.entries(headers).flatMap(([name, value]) =>
    headerName.test(name.toLowerCase()) ? tokensOf(value) : [],
  );
  return [...named.filter((value) => value.length >= charsMin), ...sent];
}

/** The credentials of a header: without the scheme before them, and each cookie by itself. */
function tokensOf(header: string): string[] {
  const parts = header.split(/[;,\s]+/).map((part) => part.replace(/^[\w.-]+=(?=.)/, ""));
  return [header, ...parts].filter((part) => part.length >= tokenCharsMin);
}

/** Tokens that an answer in JSON hands out. */
export function secretsOfAnswer({ headers, body }: Pick<EgressAnswer, "headers" | "body">): string[] {
  if (body.length > bytesMax || !/json/i.test(headers["content-type"] ?? "")) return [];
  return [...body.toString("utf8").matchAll(member)].map(([, text]) => plainOf(text!));
}

/** What a string of JSON says. One that is none is left to whoever reads the answer, and is a secret as it stands. */
function plainOf(text: string): string {
  try {
    return JSON.parse(`"${text}"`) as string;
  } catch {
    return text;
  }
}

function isRecord(value: unknown): value is Record<string, unknown> {
  return typeof value === "object" && value !== null && !Array.isArray(value);
}
