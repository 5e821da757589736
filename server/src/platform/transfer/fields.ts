import { z } from "zod";
import { canonicalHost } from "../egress/address.ts";
import { integer } from "../http/schema.ts";
import { fieldMarks, line, optional } from "../secret-field.ts";

/** Fields of settings that say how a server is reached. */

/** What is found out at the first connection. Left out of a change, what is known stays; `null` forgets it. */
export function learned(text: z.ZodString, about: string) {
  return text.nullable().optional().describe(about).register(fieldMarks, { learned: true });
}

/** Name or address of a machine. */
export function host() {
  return line(253)
    .refine(isHost, "must be a host name or an IP address, without port and path")
    .describe("Name or address of the server.")
    .register(fieldMarks, { place: "value" });
}

function isHost(text: string): boolean {
  try {
    return canonicalHost(text) !== "";
  } catch {
    return false;
  }
}

/** Port of the server, `usual` when it is left out. */
export function port(usual: number) {
  const number = integer({ min: 1, max: 65_535 }).default(usual);
  return number.describe("Port of the server.").register(fieldMarks, { place: "value" });
}

/** One of some words that say how secrets travel. */
export function placeWord<const Words extends readonly [string, ...string[]]>(
  words: Words,
  { usual, about }: { usual: Words[number]; about: string },
) {
  return z
    .enum(words)
    .default(usual as never)
    .describe(about)
    .register(fieldMarks, { place: "value" });
}

/** Name of a login. */
export function username() {
  return line(200).describe("Name of the login.");
}

/** Folder at the target; `null` is where the login leads. */
export function folder(
  about = "Folder at the target, which must be there; where the login leads when it is left out.",
) {
  return optional(line(1_000)).describe(about);
}

/** An http or https address. */
export const webAddress = line(2_000).refine(
  isWebAddress,
  "must be an address such as https://files.example.com/in",
);

function isWebAddress(text: string): boolean {
  const url = URL.parse(text);
  return url !== null && /^https?:$/.test(url.protocol) && isHost(url.hostname) && !/\s/.test(text);
}

/** Address of a service, without login. */
export function optionalEndpoint(about: string, example: string) {
  const bare = webAddress.refine(
    (text) => !/[?#@]/.test(text),
    `must be an address alone, such as ${example}`,
  );
  return optional(bare).describe(about).register(fieldMarks, { place: "value" });
}
