import { z } from "zod";
import { accountById } from "../accounts/accounts.ts";
import type { Queryable } from "../platform/db.ts";
import { type Caller, type Endpoint, endpoint, Page } from "../platform/http/endpoint.ts";
import { readPaging } from "../platform/http/filter.ts";
import { commaList } from "../platform/http/schema.ts";
import { notFound } from "../platform/problem.ts";
import type { Connector } from "./connector.ts";
import { languageOf, providerView, viewProvider } from "./provider.ts";
import { unavailable } from "./readiness.ts";

/** The catalogue of providers, made from connectors; `/owners` is its older name. */
export function providerEndpoints(connectors: readonly Connector[]): Endpoint[] {
  return ["/providers", "/owners"].flatMap((path) => [list(path, connectors), one(path, connectors)]);
}

function list(path: string, connectors: readonly Connector[]): Endpoint {
  return endpoint({
    method: "GET",
    path,
    access: "basic",
    summary: "Lists the providers that Metertree can collect from.",
    description: "`country` and `type` keep those that deliver there, and that.",
    query: z.object({
      country: commaList(z.string()).optional(),
      type: commaList(z.string()).optional(),
      name: z.string().max(200).optional(),
    }),
    reply: z.array(providerView),
    list: true,
    async handle({ who, query, search }, { db, settings, clock }) {
      const { skip, limit } = readPaging(search, settings.pageMax);
      const found = connectors
        .filter(({ countries }) => isAmong(query.country, countries) || countries.length === 0)
        .filter(({ types }) => isAmong(query.type, types))
        .filter(({ name, title }) => contains([name, title], query.name))
        .toSorted((a, b) => a.title.localeCompare(b.title, "en") || (a.name < b.name ? -1 : 1));
      const language = await languageFor(db, who);
      const shown = found.slice(skip, skip + limit);
      const troubles = await unavailable(db, shown, { settings: settings.browser, now: clock.now() });
      const setups = settings.providers;
      const data = shown.map((each) =>
        viewProvider(each, { language, setups, trouble: troubles.get(each.name) }),
      );
      return new Page(data, { count: found.length, skip, limit });
    },
  });
}

function one(path: string, connectors: readonly Connector[]): Endpoint {
  return endpoint({
    method: "GET",
    path: `${path}/:provider`,
    access: "basic",
    summary: "One provider: what a connection with it needs and brings.",
    params: z.object({ provider: z.string().max(100) }),
    reply: providerView,
    async handle({ who, params }, { db, settings, clock }) {
      const found = connectors.find(({ name }) => name === params.provider);
      if (found === undefined) throw notFound(`no provider ${params.provider}`);
      const troubles = await unavailable(db, [found], { settings: settings.browser, now: clock.now() });
      return viewProvider(found, {
        language: await languageFor(db, who),
        setups: settings.providers,
        trouble: troubles.get(found.name),
      });
    },
  });
}

/** The language of the account that is acted in. */
async function languageFor(db: Queryable, who: Caller): Promise<string> {
  return languageOf((await accountById(db, who.accountId)).language);
}

const isAmong = (wanted: readonly string[] | undefined, has: readonly string[]) =>
  wanted === undefined || wanted.some((each) => has.some((one) => one.toLowerCase() === each.toLowerCase()));

const contains = (texts: readonly string[], part = "") =>
  texts.some((text) => text.toLowerCase().includes(part.toLowerCase()));
