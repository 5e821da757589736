import { createHash } from "node:crypto";
import { type Emulator, emulate, type Heard, type Told } from "../../../../test/harness/emulator.ts";
import type { Granularity } from "../../platform/granularity.ts";
import { granuleEnd, granuleStarts } from "../../platform/time/granule.ts";

/** What a usage point measures in one direction, by one device. */
export interface EmulatedReading {
  id: string;
  granularity: Granularity;
  /** `uom`, 72 (Wh) unless stated, and the power of ten that values are multiplied with. */
  uom?: number;
  power?: number;
  /** `flowDirection`, 1 (delivered) unless stated. */
  flow?: number;
  quality?: number;
  /** As they are printed, by start, epoch ms. */
  values: Map<number, number>;
}

export interface EmulatedPoint {
  id: string;
  title: string;
  /** `ServiceCategory/kind`. */
  service: number;
  readings: EmulatedReading[];
}

interface Grant {
  id: string;
  /** Tokens that work, and until when, epoch ms. */
  tokens: Map<string, number>;
  refresh: string;
  isRevoked: boolean;
}

interface Code {
  redirectUri: string;
  challenge: string | null;
  grant: Grant;
  isUsed: boolean;
}

/** A data custodian with an authorization server, for tests. */
export interface Custodian extends Emulator {
  zone: string;
  points: EmulatedPoint[];
  grants: Grant[];
  now(): number;
  /** How long tokens last. */
  tokenSeconds: number;
  /** Whether a refresh token is replaced at each use; the old one then ends the grant. */
  isRotating: boolean;
  /** Times that an answer is not ready yet. */
  notReady: number;
  /** What `published-min` and `-max` are about; of entries, when they were published (epoch ms). */
  publishedAt: number | null;
  /** Questions that end before are refused, and such that begin before `first`; epoch ms. */
  oldest: number;
  first: number;
  setup(more?: object): Record<string, unknown>;
  /** What a customer does at the consent page. Returns where the browser is sent back to. */
  visit(url: string, answer: "allow" | "deny"): Promise<URL>;
  /** What the customer does at the utility later. */
  revokeAll(): void;
}

const client = { id: "metertree:tests", secret: "s3cret/with+signs" };
let count = 0;
const fresh = (what: string) => `${what}-${String(++count).padStart(4, "0")}-${"x".repeat(24)}`;

/** Starts one. */
export async function custodian(now: () => number): Promise<Custodian> {
  const state = {
    zone: "America/New_York",
    points: [] as EmulatedPoint[],
    grants: [] as Grant[],
    codes: new Map<string, Code>(),
    now,
    tokenSeconds: 3_600,
    isRotating: true,
    notReady: 0,
    publishedAt: null as number | null,
    oldest: 0,
    first: 0,
  };
  const server = await emulate((heard) => answerOf(heard, both));
  const both = Object.assign(state, server);
  const { url } = server;
  return Object.assign(both, {
    setup: (more = {}) => ({
      authorization_endpoint: `${url}/DataCustodian/oauth/authorize`,
      token_endpoint: `${url}/DataCustodian/oauth/token`,
      resource_endpoint: `${url}/DataCustodian/espi/1_1/resource`,
      client_id: client.id,
      client_secret: client.secret,
      timezone: "America/New_York",
      scope: "FB=4_5_15",
      ...more,
    }),
    async visit(address: string, answer: "allow" | "deny") {
      const page = await (await fetch(address)).text();
      const action = /action="([^"]+)"/.exec(page)![1]!.replaceAll("&amp;", "&");
      const sent = await fetch(`${url}${action}`, {
        method: "POST",
        body: new URLSearchParams({ answer }),
        redirect: "manual",
      });
      return new URL(sent.headers.get("location")!);
    },
    revokeAll() {
      for (const grant of state.grants) grant.isRevoked = true;
    },
  });
}

type State = Omit<Custodian, "setup" | "visit" | "revokeAll"> & { codes: Map<string, Code> };

function answerOf(heard: Heard, state: State): Told | undefined {
  const { method, path } = heard;
  if (path === "/DataCustodian/oauth/authorize")
    return method === "GET" ? consentPage(heard) : consent(heard, state);
  if (path === "/DataCustodian/oauth/token" && method === "POST") return tokens(heard, state);
  const [, kind, id, point] =
    /^\/DataCustodian\/espi\/1_1\/resource\/(Batch\/Subscription|Authorization)\/([^/]+)(?:\/UsagePoint\/([^/]+))?$/.exec(
      path,
    ) ?? [];
  if (kind === undefined) return undefined;
  const token = (heard.headers.authorization ?? "").replace("Bearer ", "");
  const grant = state.grants.find(({ tokens: known }) => known.has(token));
  if (grant === undefined || grant.tokens.get(token)! <= state.now()) return { status: 401, text: "" };
  if (grant.id !== id) return { status: 403, text: "" };
  if (kind === "Authorization") return authorization(grant, heard);
  if (grant.isRevoked) return { status: 403, text: "" };
  return batch(heard, { state, point });
}

function consentPage({ path, query }: Heard): Told {
  if (query.get("response_type") !== "code" || query.get("client_id") !== client.id)
    return { status: 400, text: "unknown client" };
  const action = `${path}?${query}`.replaceAll("&", "&amp;");
  const text = `<form method="post" action="${action}"><button name="answer" value="allow">Share</button></form>`;
  return { headers: { "content-type": "text/html" }, text };
}

function consent({ query, body }: Heard, state: State): Told {
  const back = new URL(query.get("redirect_uri")!);
  back.searchParams.set("state", query.get("state")!);
  if (new URLSearchParams(body).get("answer") === "allow") {
    const grant: Grant = { id: fresh("sub"), tokens: new Map(), refresh: "", isRevoked: false };
    const code = fresh("code");
    const challenge = query.get("code_challenge");
    state.codes.set(code, { redirectUri: query.get("redirect_uri")!, challenge, grant, isUsed: false });
    back.searchParams.set("code", code);
  } else back.searchParams.set("error", "access_denied");
  return { status: 302, headers: { location: back.href }, text: "" };
}

const wrong = (error: string, status = 400): Told => ({ status, json: { error } });

function tokens({ headers, body }: Heard, state: State): Told {
  const login = Buffer.from((headers.authorization ?? "").replace("Basic ", ""), "base64").toString();
  const [id, secret] = login.split(":").map(decodeURIComponent);
  if (id !== client.id || secret !== client.secret) return wrong("invalid_client", 401);
  const form = new URLSearchParams(body);
  if (form.get("grant_type") === "authorization_code") {
    const code = state.codes.get(form.get("code") ?? "");
    if (code === undefined || form.get("redirect_uri") !== code.redirectUri) return wrong("invalid_grant");
    const hash = createHash("sha256")
      .update(form.get("code_verifier") ?? "")
      .digest("base64url");
    if (code.challenge !== null && hash !== code.challenge) return wrong("invalid_grant");
    // A code that comes again ends everything that was made of it (RFC 6749, 4.1.2).
    if (code.isUsed) code.grant.isRevoked = true;
    if (code.isUsed) return wrong("invalid_grant");
    code.isUsed = true;
    state.grants.push(code.grant);
    return issue(code.grant, state);
  }
  const refresh = form.get("refresh_token");
  const grant = state.grants.find((each) => each.refresh === refresh);
  if (grant === undefined || grant.isRevoked) return wrong("invalid_grant");
  return issue(grant, state);
}

function issue(grant: Grant, { url, tokenSeconds, isRotating, now }: State): Told {
  const token = fresh("token");
  grant.tokens.set(token, now() + tokenSeconds * 1000);
  if (isRotating || grant.refresh === "") grant.refresh = fresh("refresh");
  const resource = `${url}/DataCustodian/espi/1_1/resource`;
  return {
    json: {
      access_token: token,
      token_type: "Bearer",
      expires_in: tokenSeconds,
      refresh_token: grant.refresh,
      scope: "FB=4_5_15",
      resourceURI: `${resource}/Batch/Subscription/${grant.id}`,
      authorizationURI: `${resource}/Authorization/${grant.id}`,
    },
  };
}

function authorization(grant: Grant, { method }: Heard): Told {
  if (method === "DELETE") grant.isRevoked = true;
  if (method === "DELETE") return { status: 204, text: "" };
  const status = grant.isRevoked ? 0 : 1;
  return xml(
    `<entry xmlns="http://www.w3.org/2005/Atom"><content><espi:Authorization xmlns:espi="http://naesb.org/espi"><espi:status>${status}</espi:status></espi:Authorization></content></entry>`,
  );
}

const xml = (text: string): Told => ({ headers: { "content-type": "application/atom+xml" }, text });

function batch({ query }: Heard, { state, point }: { state: State; point: string | undefined }): Told {
  if (state.notReady > 0) {
    state.notReady--;
    return { status: 202, headers: { "retry-after": "0" }, text: "" };
  }
  const from = Date.parse(query.get("published-min") ?? new Date(state.first).toISOString());
  const to = Date.parse(query.get("published-max") ?? new Date(state.now()).toISOString());
  if (to <= state.oldest || from < state.first) return { status: 403, text: "" };
  const points = state.points.filter(({ id }) => point === undefined || id === point);
  if (points.length === 0 && point !== undefined) return { status: 404, text: "" };
  return xml(feedOf(points, { from, to, state }));
}

/** A feed as custodians make it: resources, and links between them. */
export function feedOf(
  points: readonly EmulatedPoint[],
  { from, to, state }: { from: number; to: number; state: Pick<State, "zone" | "publishedAt"> },
): string {
  const entries = points.flatMap(({ id, title, service, readings }) => [
    entry({ self: `UsagePoint/${id}`, up: "UsagePoint", title }, [
      `<UsagePoint xmlns="http://naesb.org/espi"><ServiceCategory><kind>${service}</kind></ServiceCategory></UsagePoint>`,
    ]),
    ...readings.flatMap((reading) => readingEntries(id, reading, { from, to, state })),
  ]);
  return `<?xml version="1.0" encoding="UTF-8"?>
<feed xmlns="http://www.w3.org/2005/Atom"><title>Green Button</title><updated>2026-01-01T00:00:00Z</updated>${entries.join("")}</feed>`;
}

function entry(
  { self, up, title = "", related = [] }: { self: string; up: string; title?: string; related?: string[] },
  content: string[],
): string {
  const links = [
    `<link rel="self" href="${self}"/>`,
    `<link rel="up" href="${up}"/>`,
    ...related.map((href) => `<link rel="related" href="${href}"/>`),
  ];
  return `<entry>${links.join("")}<title>${title}</title><content>${content.join("")}</content></entry>`;
}

function readingEntries(
  point: string,
  reading: EmulatedReading,
  { from, to, state }: { from: number; to: number; state: Pick<State, "zone" | "publishedAt"> },
): string[] {
  const { id, granularity, uom = 72, power = 0, flow = 1, quality = 17, values } = reading;
  const { zone, publishedAt } = state;
  const self = `UsagePoint/${point}/MeterReading/${id}`;
  const isIn = (start: number) =>
    publishedAt === null ? start >= from && start < to : publishedAt >= from && publishedAt <= to;
  const rows = [...values].filter(([start]) => isIn(start));
  const lines = rows.map(([start, value]) => {
    const seconds = (granuleEnd(granularity, zone, start) - start) / 1000;
    return `<IntervalReading><ReadingQuality><quality>${quality}</quality></ReadingQuality><timePeriod><duration>${seconds}</duration><start>${start / 1000}</start></timePeriod><value>${value}</value></IntervalReading>`;
  });
  return [
    entry(
      {
        self,
        up: `UsagePoint/${point}/MeterReading`,
        related: [`${self}/IntervalBlock`, `ReadingType/${point}-${id}`],
      },
      [`<MeterReading xmlns="http://naesb.org/espi"/>`],
    ),
    entry({ self: `ReadingType/${point}-${id}`, up: "ReadingType" }, [
      `<ReadingType xmlns="http://naesb.org/espi"><accumulationBehaviour>4</accumulationBehaviour><flowDirection>${flow}</flowDirection><powerOfTenMultiplier>${power}</powerOfTenMultiplier><uom>${uom}</uom></ReadingType>`,
    ]),
    entry({ self: `${self}/IntervalBlock/1`, up: `${self}/IntervalBlock` }, [
      `<IntervalBlock xmlns="http://naesb.org/espi">${lines.join("")}</IntervalBlock>`,
    ]),
  ];
}

/** Numbers for all granules of a time, never the same two after each other. */
export function curve(
  from: string,
  to: string,
  {
    granularity = "hour",
    zone = "America/New_York",
    seed = 1,
  }: { granularity?: Granularity; zone?: string; seed?: number } = {},
): Map<number, number> {
  const starts = granuleStarts(granularity, zone, { from: Date.parse(from), to: Date.parse(to) });
  return new Map(starts.map((start, i) => [start, 1 + ((i * 7_919 + seed * 104_729) % 5_000)]));
}
