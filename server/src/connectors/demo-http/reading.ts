import {
  type Delivery,
  type FoundMeter,
  type HttpAnswer,
  ProviderFailure,
  type Wanted,
} from "../../collection/connector.ts";
import { daySpans, dayText } from "../windows.ts";
import { alertOf, changed, dayAfter, dayOf, factsOf, linkOf, rowsOf, textOf } from "./page.ts";
import { readCsv, readMonths, type Values, zone } from "./values.ts";

const day = 86_400_000;
/** Values still come, and are corrected, for so long after the last contract has ended. */
const afterEndDays = 65;
const pagesMax = 1_000;

const contractColumns = ["Avtal", "Slag", "Adress", "Från och med", "Till och med"];
const meterColumns = ["Anläggnings-id", "Benämning", "Adress", "Mätning", "Till och med"];
const meterFacts = {
  needed: ["Anläggnings-id", "Benämning", "Adress", "Mätning", "Mätarnummer", "Från och med"],
  optional: ["Till och med", "Tidigare anläggnings-id", "Mätarbyte"],
};
const kinds: Readonly<Record<string, Pick<FoundMeter, "type" | "representation"> & { metric: string }>> = {
  El: { type: "electricity", representation: "consumption", metric: "energy" },
  "El, produktion": { type: "electricity", representation: "production", metric: "energy" },
  Fjärrvärme: { type: "heat", representation: "consumption", metric: "energy" },
  Vatten: { type: "water", representation: "consumption", metric: "flow" },
};
/** Files of fine values: how they are asked for, and the most days of one. */
const files = {
  hour: { resolution: "hour", minutes: 60, daysMax: 400 },
  "15min": { resolution: "15min", minutes: 15, daysMax: 100 },
} as const;

/** Pages and files of a customer, behind the login. */
export interface CustomerPages {
  /** @throws ProviderFailure of the kind of what stands in the way */
  get(path: string, query?: Readonly<Record<string, string>>): Promise<HttpAnswer>;
}

/** Every metering point of a customer. `now`: epoch milliseconds. */
export async function* readMeters(pages: CustomerPages, now: number): AsyncGenerator<FoundMeter> {
  const overview = await pageOf(pages, "/overview");
  const { customer, contracts } = readOverview(overview, now);
  for (const contract of contracts) {
    for (const id of await metersOf(pages, contract)) {
      yield readMeter(await pageOf(pages, `/meters/${id}`), id, customer);
    }
  }
}

/** What is there of what is wanted; `step` is told before each metering point. */
export async function* readWanted(
  pages: CustomerPages,
  wanted: readonly Wanted[],
  step: (name: string, counts: Record<string, number>) => void,
): AsyncGenerator<Delivery> {
  for (const asked of Map.groupBy(wanted, ({ key, granularity }) => `${key} ${granularity}`).values()) {
    step("read", { wanted: asked.length });
    if (asked[0]!.granularity === "month") yield* collectMonths(pages, asked);
    else yield* collectFiles(pages, asked);
  }
}

/** A page that must be there. */
async function pageOf(
  pages: CustomerPages,
  path: string,
  query: Record<string, string> = {},
): Promise<string> {
  const answer = await pages.get(path, query);
  if (answer.status !== 200) throw changed(`${path} is not there`, answer.text());
  return answer.text();
}

function readOverview(page: string, now: number) {
  const facts = factsOf(page, { needed: ["Kund", "Kundnummer"] });
  const rows = rowsOf(page, "contracts", contractColumns);
  const ends = rows.map((row) => textOf(row.get("Till och med")!));
  const message = alertOf(page);
  if (message !== undefined) {
    if (message !== "Du har inga aktiva avtal hos oss.") throw changed(`unknown message: ${message}`, page);
    const lastEnd = Math.max(0, ...ends.map((end) => Date.parse(dayAfter(end))));
    if (now - lastEnd > afterEndDays * day) throw new ProviderFailure("ended", message);
  }
  return {
    customer: { name: facts.get("Kund")!, number: facts.get("Kundnummer")! },
    contracts: rows.map((row) => linkOf(row.get("Avtal")!, "contracts").id),
  };
}

/** Ids of the metering points of a contract, over all pages of its list. */
async function metersOf(pages: CustomerPages, contract: string): Promise<string[]> {
  const ids: string[] = [];
  for (let at = 1; at <= pagesMax; at++) {
    const page = await pageOf(pages, `/contracts/${contract}`, { page: String(at) });
    if (page.includes(`<p id="none">Inga anläggningar</p>`)) return ids;
    const rows = rowsOf(page, "meters", meterColumns);
    ids.push(...rows.map((row) => linkOf(row.get("Anläggnings-id")!, "meters").id));
    if (!page.includes(`<a rel="next" href="/contracts/${contract}?page=${at + 1}">Nästa</a>`)) {
      if (page.includes(`rel="next"`)) throw changed("an unknown link to the next page", page);
      return ids;
    }
  }
  throw changed(`the list of ${contract} does not end`, contract);
}

function readMeter(page: string, id: string, customer: { name: string; number: string }): FoundMeter {
  const facts = factsOf(page, meterFacts);
  const measures = facts.get("Mätning")!;
  const kind = kinds[measures];
  if (kind === undefined) throw changed(`unknown kind of meter: ${measures}`, page);
  const { metric, ...shown } = kind;
  const granularities = [...page.matchAll(/<form method="get" action="[^"]*">.*?<\/form>/gs)].map(
    ([form]) => {
      const resolution = /<input type="hidden" name="resolution" value="(hour|15min)">/.exec(form)?.[1];
      if (resolution === "hour" || resolution === "15min") return resolution;
      throw changed("a form for files of an unknown resolution", page);
    },
  );
  if (!page.includes(`<a href="/meters/${id}/months.json">`)) throw changed("no months to download", page);
  const ean = facts.get("Anläggnings-id")!;
  if (!/^\d{18}$/.test(ean)) throw changed(`no number of a metering point: ${ean}`, page);
  const last = facts.get("Till och med");
  return {
    key: id,
    ean,
    name: facts.get("Benämning")!,
    address: facts.get("Adress")!,
    ...shown,
    timezone: zone,
    customer,
    text: measures,
    metrics: [{ metric, granularities: granularities.length === 0 ? ["month"] : granularities }],
    from: dayOf(facts.get("Från och med")!),
    ...(last === undefined ? {} : { ended: dayAfter(last) }),
  };
}

/** Files of hours or quarters of one meter. */
async function* collectFiles(pages: CustomerPages, asked: readonly Wanted[]): AsyncGenerator<Delivery> {
  const { key, metric, granularity } = asked[0]!;
  const file = files[granularity as keyof typeof files];
  for (const { first, last } of daySpans(asked, { zone, daysMax: file.daysMax })) {
    const query = { resolution: file.resolution, from: dayText(first), to: dayText(last) };
    const text = await download(pages, { key, name: "values.csv", type: "text/csv", query });
    if (text === undefined) return;
    const id = `${key}-${query.resolution}-${query.from}-${query.to}.csv`;
    yield* delivery({ key, metric, granularity, document: { id } }, readCsv(text, { ...file, metric }));
  }
}

async function* collectMonths(pages: CustomerPages, asked: readonly Wanted[]): AsyncGenerator<Delivery> {
  const { key, metric, granularity } = asked[0]!;
  for (const { first, last } of daySpans(asked, { zone, daysMax: Number.POSITIVE_INFINITY })) {
    const query = { from: dayText(first), to: dayText(last) };
    const text = await download(pages, { key, name: "months.json", type: "application/json", query });
    if (text === undefined) return;
    const id = `${key}-${query.from}-${query.to}.json`;
    yield* delivery({ key, metric, granularity, document: { id } }, readMonths(jsonOf(text), metric));
  }
}

function* delivery(about: Omit<Delivery, "starts" | "values">, values: Values): Generator<Delivery> {
  if (values.starts.length > 0) yield { ...about, ...values };
}

interface Download {
  key: string;
  name: string;
  type: string;
  query: Record<string, string>;
}

/** A file as text; `undefined` when the utility does not show the meter any more. */
async function download(
  pages: CustomerPages,
  { key, name, type, query }: Download,
): Promise<string | undefined> {
  const answer = await pages.get(`/meters/${key}/${name}`, query);
  if (answer.status === 404) {
    const meter = await pages.get(`/meters/${key}`);
    if (meter.status === 404) return undefined;
    throw changed(`${name} of a meter is not there`, answer.text());
  }
  if (!answer.headers["content-type"]?.startsWith(type))
    throw changed(`${name} is another type`, answer.text());
  return answer.text();
}

function jsonOf(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    throw changed("months are no JSON", text);
  }
}
