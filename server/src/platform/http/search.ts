import type { IncomingMessage } from "node:http";
import type { z } from "zod";
import { Problem } from "../problem.ts";
import type { Endpoint } from "./endpoint.ts";
import { listParameters } from "./filter.ts";

declare module "http" {
  interface IncomingMessage {
    /** Token that stood in the address; it was taken out before anything else saw the address. */
    accessToken?: string;
    originalUrl?: string;
  }
}

/** Takes `access_token` out of the address of a request, however its name is encoded; the first one counts. */
export function withoutToken(request: IncomingMessage): string {
  const url = request.url ?? "/";
  const mark = url.indexOf("?");
  if (mark === -1 || (!url.includes("access_token", mark) && !url.includes("%", mark))) return url;
  const kept: string[] = [];
  for (const pair of url.slice(mark + 1).split("&")) {
    const [name = "", value = ""] = [...new URLSearchParams(pair).entries()][0] ?? [];
    if (name === "access_token") request.accessToken ??= value;
    else kept.push(pair);
  }
  if (request.accessToken === undefined) return url;
  const stripped = kept.length === 0 ? url.slice(0, mark) : `${url.slice(0, mark)}?${kept.join("&")}`;
  request.originalUrl = stripped;
  return stripped;
}

/** A query string, sorted into what an endpoint knows and what it does not. */
export interface Search {
  /** Every parameter as it came, without `strict`; `key[]` is `key`. */
  all: URLSearchParams;
  /** The known ones: text, or a list of texts when repeated. */
  known: Record<string, string | string[]>;
  /** Names that mean nothing here. */
  unknown: string[];
  /** `strict=true`: unknown ones are an error. */
  strict: boolean;
}

/** Parameters that mean something to an endpoint besides its filters. */
export function knownNames(spec: Endpoint): Set<string> {
  const names = spec.query === undefined ? [] : memberNames(spec.query);
  return new Set(spec.list === true ? [...names, ...listParameters] : names);
}

/** Makes the reader of an endpoint's query strings. */
export function makeSearchReader(spec: Endpoint): (given: URLSearchParams) => Search {
  const names = knownNames(spec);
  const { filters } = spec;
  return (given) => {
    const search: Search = { all: given, known: {}, unknown: [], strict: false };
    if (given.size === 0) return search;
    search.all = new URLSearchParams();
    const unknown = new Set<string>();
    for (const [sent, value] of given) {
      const name = sent.endsWith("[]") ? sent.slice(0, -2) : sent;
      if (name === "strict" && !names.has("strict")) {
        search.strict = value !== "false" && value !== "0";
        continue;
      }
      search.all.append(name, value);
      if (names.has(name)) {
        const before = Object.hasOwn(search.known, name) ? search.known[name] : undefined;
        if (before === undefined) search.known[name] = sent.endsWith("[]") ? [value] : value;
        else if (Array.isArray(before)) before.push(value);
        else search.known[name] = [before, value];
      } else if (filters?.(name) !== true) unknown.add(name);
    }
    search.unknown = [...unknown];
    return search;
  };
}

/** 400 that names the parameters that mean nothing here. */
export function unknownParameters(names: readonly string[]): Problem {
  const some = names.slice(0, 20).map((name) => name.slice(0, 64));
  return new Problem("invalid", `Unknown parameters: ${some.join(", ")}`, {
    errors: Object.fromEntries(some.map((name) => [name, ["is not a parameter of this endpoint"]])),
  });
}

/** The value of `X-Ignored-Parameters`: percent-encoded names, comma separated, 1 KB at most. */
export function ignoredHeader(names: readonly string[]): string {
  let text = "";
  for (const name of names) {
    const next = encodeURIComponent(name.slice(0, 64).toWellFormed());
    if (text.length + next.length > 1000) return `${text}, ...`;
    text += text === "" ? next : `, ${next}`;
  }
  return text;
}

/** Names of the members of an object schema, also when it is refined, piped or transformed. */
function memberNames(schema: z.ZodType): string[] {
  const { def } = schema as unknown as {
    def: { type: string; in?: z.ZodType; out?: z.ZodType; shape?: object };
  };
  if (def.type === "object") return Object.keys(def.shape ?? {});
  if (def.type === "pipe") {
    const inner = [def.in, def.out].find((side) => side !== undefined && sideIsObject(side));
    if (inner !== undefined) return memberNames(inner);
  }
  throw new Error(`a query schema must be an object, not ${def.type}`);
}

function sideIsObject(side: z.ZodType): boolean {
  const { type } = (side as unknown as { def: { type: string } }).def;
  return type === "object" || type === "pipe";
}
