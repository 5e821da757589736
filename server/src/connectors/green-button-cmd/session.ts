import { z } from "zod";
import { type HttpAnswer, ProviderFailure, type Visit } from "../../collection/connector.ts";
import { changedAnswer } from "../answer.ts";
import { refreshed, type Tokens } from "../oauth.ts";
import { type Custodian, clientOf, custodianSchema } from "./custodian.ts";

/** Where access is kept between runs. */
export const remembered = "access";
/** A token that ends within so many milliseconds is not used any more. */
const reserveMs = 60_000;
/** All readings of a quarter of a year of one usage point, or of 60 days of all. */
const bytesMax = 64_000_000;
/** A custodian that makes data ready is asked again after so long, twice as long each time, and so often in a run. */
const readySeconds = 15;
const readyTimesMax = 5;
/** The run after that begins so much later. */
const readyLaterSeconds = 1_800;

const accessSchema = z.object({
  token: z.string(),
  /** Epoch milliseconds; null when the custodian did not say. */
  until: z.number().nullable(),
  refresh: z.string().nullable(),
  /** `…/Batch/Subscription/{id}` */
  resource: z.string(),
  /** `…/Authorization/{id}`, where the custodian tells it. */
  authorization: z.string().nullable(),
});
type Access = z.output<typeof accessSchema>;

/** Access as it is kept, from what the token endpoint answered. @throws ProviderFailure `changed` */
export function accessText(tokens: Tokens, custodian: Custodian, now: number, before?: Access): string {
  const { access_token: token, expires_in: seconds, refresh_token: refresh } = tokens;
  const resource = addressIn(tokens.resourceURI, custodian) ?? before?.resource;
  if (resource === undefined) throw new ProviderFailure("changed", "the tokens come without a resourceURI");
  const access: Access = {
    token,
    until: seconds === undefined ? null : now + seconds * 1000,
    refresh: refresh ?? before?.refresh ?? null,
    resource: resource.replace(/\/resource\/Subscription\//, "/resource/Batch/Subscription/"),
    authorization: addressIn(tokens.authorizationURI, custodian) ?? before?.authorization ?? null,
  };
  return JSON.stringify(access);
}

/** An address of the custodian. Tokens are never sent to another host, whoever names it. */
function addressIn(value: unknown, { resource_endpoint }: Custodian): string | undefined {
  if (typeof value !== "string" || value === "") return undefined;
  const url = URL.parse(value, `${resource_endpoint}/`);
  if (url?.origin === new URL(resource_endpoint).origin) return url.href.replace(/\/+$/, "");
  throw new ProviderFailure("changed", `an address on another host than the data: ${url?.host}`);
}

/** What a question to the custodian came to. */
export type Told = HttpAnswer | "none" | "refused";

/** A custodian's data for the time of one visit. */
export class Session {
  readonly custodian: Custodian;
  readonly #visit: Visit<unknown>;
  #access: Access;
  #isFresh = false;

  /** @throws ProviderFailure `consent` when the customer has not given it yet */
  constructor(visit: Visit<unknown>) {
    this.#visit = visit;
    this.custodian = custodianSchema.parse(visit.setup);
    const kept = visit.memory.get(remembered);
    if (kept === undefined) throw new ProviderFailure("consent", "the customer has not given consent yet");
    this.#access = accessSchema.parse(JSON.parse(kept));
  }

  /**
   * Asks for the subscription or a part of it. `none`: there is nothing. `refused`: not this, while the consent holds.
   * @throws ProviderFailure `consent` when it does not hold any more; `busy` when data are not made ready in time
   */
  async batch(path: string, query: Readonly<Record<string, string>>): Promise<Told> {
    const address = `${this.#access.resource}${path}`;
    for (let times = 0; ; times++) {
      const answer = await this.#send(address, { query });
      const { status, headers } = answer;
      if (status === 200) return answer;
      if (status === 204) return "none";
      if (status === 202) {
        await this.#waitUntilReady(headers["retry-after"], times);
        continue;
      }
      if (status !== 403 && status !== 404) throw changedAnswer(answer, "an unknown status");
      if (!(await this.#isGiven())) throw new ProviderFailure("consent", `the custodian answers ${status}`);
      return status === 404 ? "none" : "refused";
    }
  }

  /** Ends the authorization; one that has ended already, or that nobody may end so, is left. */
  async end(): Promise<void> {
    const { authorization } = this.#access;
    if (authorization === null) return;
    const answer = await this.#send(authorization, { method: "DELETE" });
    if (answer.status >= 300 && ![401, 403, 404, 405, 410].includes(answer.status)) {
      throw changedAnswer(answer, "the authorization was not ended");
    }
  }

  /** Does the authorization say that it is active? Without one a refusal is taken for what it looks like. */
  async #isGiven(): Promise<boolean> {
    const { authorization } = this.#access;
    if (authorization === null) return false;
    const answer = await this.#send(authorization, {});
    if ([403, 404, 410].includes(answer.status)) return false;
    // Status of an authorization (espi.xsd): 0 revoked, 1 active, 2 denied.
    const status = /<(?:\w+:)?status>\s*([012])\s*</.exec(answer.text())?.[1];
    if (answer.status !== 200 || status === undefined)
      throw changedAnswer(answer, "no status of the consent");
    return status === "1";
  }

  async #send(
    url: string,
    more: { method?: string; query?: Readonly<Record<string, string>> },
  ): Promise<HttpAnswer> {
    const { until } = this.#access;
    if (until !== null && until - reserveMs <= this.#visit.now && !this.#isFresh) await this.#refresh();
    const answer = await this.#request(url, more);
    if (answer.status !== 401) return answer;
    if (!this.#isFresh) {
      await this.#refresh();
      const again = await this.#request(url, more);
      if (again.status !== 401) return again;
    }
    throw new ProviderFailure("unreachable", "a token that was just made is refused");
  }

  #request(
    url: string,
    more: { method?: string; query?: Readonly<Record<string, string>> },
  ): Promise<HttpAnswer> {
    return this.#visit.http.send(url, {
      ...more,
      headers: { authorization: `Bearer ${this.#access.token}`, accept: "application/atom+xml, */*;q=0.1" },
      bytesMax,
      timeoutMs: 300_000,
    });
  }

  /** What replaces the refresh token is stored before anything else is done with it. */
  async #refresh(): Promise<void> {
    const { http, memory, now, step } = this.#visit;
    if (this.#access.refresh === null) {
      throw new ProviderFailure("consent", "the token has run out, and there is none to renew it with");
    }
    step("renew the token");
    const tokens = await refreshed(http, clientOf(this.custodian), this.#access.refresh);
    const text = accessText(tokens, this.custodian, now, this.#access);
    await memory.set(remembered, text);
    this.#access = accessSchema.parse(JSON.parse(text));
    this.#isFresh = true;
  }

  async #waitUntilReady(retryAfter: string | undefined, times: number): Promise<void> {
    if (times === readyTimesMax) {
      throw new ProviderFailure("busy", "the custodian is still making the data ready", {
        retryAfterSeconds: readyLaterSeconds,
      });
    }
    const stated = /^\d{1,6}$/.test(retryAfter ?? "") ? Number(retryAfter) : undefined;
    await this.#visit.wait(stated ?? Math.min(120, readySeconds * 2 ** times));
  }
}
