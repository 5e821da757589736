import { z } from "zod";
import { type HttpAnswer, ProviderFailure, type Visit } from "../../collection/connector.ts";
import { changedAnswer, readAnswer } from "../answer.ts";

const remembered = "data_token";
/** A token that ends within so many milliseconds is not used any more. */
const reserveMs = 300_000;
/** Ten metering points with all values of a window. */
const bytesMax = 60_000_000;

/** What Eloverblik says that it cannot do, by its code. */
export interface Refusal {
  code: number;
  text: string;
}

/** Codes with which it says that a metering point is not, or no longer, the customer's to read. */
const foreignCodes = new Set([20001, 20008, 20010, 30006, 30010]);
/** Codes for a period without values, or in which they are not kept in the granularity asked for. */
const emptyCodes = new Set([30007, 30008, 30011]);
/** Codes for faults of its own. */
const faultCodes = new Set([10003, 20011]);

/** What a refusal is about; `undefined` for one that this connector should not have met. */
export function kindOf({ code }: Refusal): "foreign" | "empty" | "fault" | undefined {
  if (foreignCodes.has(code)) return "foreign";
  if (emptyCodes.has(code)) return "empty";
  return faultCodes.has(code) ? "fault" : undefined;
}

/** The interface for the time of one visit. */
export class Session {
  /** Whether the token is a third party's, who reads what customers gave it powers of attorney for. */
  readonly isThirdParty: boolean;
  readonly #visit: Visit<{ token: string }>;
  readonly #root: string;

  constructor(visit: Visit<{ token: string }>, origin: string) {
    this.#visit = visit;
    this.isThirdParty = claimsOf(visit.settings.token).tokenType?.startsWith("THIRDPARTYAPI") === true;
    this.#root = `${origin}/${this.isThirdParty ? "thirdpartyapi" : "customerapi"}/api`;
  }

  /**
   * Sends a request with a data token; one that has ended on the way is renewed once.
   * @returns the answer with status 200, or what it refuses
   */
  async send(path: string, json?: unknown): Promise<HttpAnswer | Refusal> {
    const first = await this.#request(path, json);
    if (first.status !== 401 || refusalOf(first) !== undefined) return outcome(first);
    await this.#visit.memory.set(remembered, null);
    const second = await this.#request(path, json);
    if (second.status === 401 && refusalOf(second) === undefined) {
      throw new ProviderFailure("unreachable", "a data token that was just made is refused");
    }
    return outcome(second);
  }

  async #request(path: string, json: unknown): Promise<HttpAnswer> {
    const authorization = `Bearer ${await this.#dataToken()}`;
    return this.#visit.http.send(`${this.#root}/${path}`, {
      headers: { authorization, accept: "application/json" },
      bytesMax,
      timeoutMs: 120_000,
      ...(json === undefined ? {} : { json }),
    });
  }

  /** The token of an earlier run for as long as it is good: it lasts for a day, and two a minute may be made. */
  async #dataToken(): Promise<string> {
    const { memory, now } = this.#visit;
    const known = memory.get(remembered);
    if (known !== undefined && (endOf(known) ?? 0) > now + reserveMs) return known;
    const token = await this.#newToken();
    await memory.set(remembered, token);
    return token;
  }

  async #newToken(): Promise<string> {
    const { settings, http, step, now } = this.#visit;
    const end = endOf(settings.token);
    if (end !== undefined && end <= now) {
      throw new ProviderFailure("credentials", "the token has run out: a new one must be made at Eloverblik");
    }
    step("get a data token");
    const answer = await http.send(`${this.#root}/token`, {
      limit: "token",
      headers: { authorization: `Bearer ${settings.token}`, accept: "application/json" },
    });
    if ([401, 403, 406].includes(answer.status)) {
      throw new ProviderFailure("credentials", `the token is refused: ${refusalOf(answer)?.text ?? ""}`);
    }
    if (answer.status !== 200) throw changedAnswer(answer, "no data token");
    return readAnswer(answer, z.object({ result: z.string().min(1) })).result;
  }
}

function outcome(answer: HttpAnswer): HttpAnswer | Refusal {
  if (answer.status === 200) return answer;
  if (answer.status === 204) return { code: 30007, text: "no content" };
  const refusal = refusalOf(answer);
  if (refusal === undefined || kindOf(refusal) === undefined) throw changedAnswer(answer, "not expected");
  if (kindOf(refusal) === "fault") throw new ProviderFailure("unreachable", refusal.text);
  return refusal;
}

/** Errors are either a text, `"[30006] …"`, or a problem document that may have such a text as its detail. */
const errorBody = z.union([z.string(), z.object({ detail: z.string() }).transform(({ detail }) => detail)]);

function refusalOf(answer: HttpAnswer): Refusal | undefined {
  let body: unknown;
  try {
    body = JSON.parse(answer.text());
  } catch {
    return undefined;
  }
  const text = errorBody.safeParse(body).data;
  const code = /^\[(\d{5})\]/.exec(text ?? "")?.[1];
  return code === undefined ? undefined : { code: Number(code), text: text! };
}

/** When a token ends by its own claim, epoch ms; `undefined` when it does not say. */
function endOf(token: string): number | undefined {
  const { exp } = claimsOf(token);
  return exp === undefined ? undefined : exp * 1000;
}

const claims = z.object({ exp: z.number().optional(), tokenType: z.string().optional() });

/** What a token says about itself. Who reads it learns nothing of whether it is genuine. */
function claimsOf(token: string): z.output<typeof claims> {
  try {
    const text = Buffer.from(token.split(".")[1] ?? "", "base64url").toString("utf8");
    return claims.safeParse(JSON.parse(text)).data ?? {};
  } catch {
    return {};
  }
}
