import { z } from "zod";
import {
  type Connector,
  connector,
  type Delivery,
  type FoundMeter,
  line,
  optional,
  ProviderFailure,
  secret,
  titled,
  type Visit,
  type Wanted,
} from "../../collection/connector.ts";
import { endWhenLeft } from "../left.ts";
import { Answered } from "./answered.ts";
import { ask, type Supply, suppliesOf, surplusOf } from "./api.ts";
import type { Read } from "./curve.ts";
import { monthsOf, monthText } from "./months.ts";
import { Session } from "./session.ts";

/** A customer who has left is read for so long after that was first seen: the last values still come. */
const afterEndDays = 62;
/** After so many questions without an answer the others of a run are not put. */
const troublesMax = 5;
const surplusSuffix = "/surplus";
const measurements = { hour: { type: "0", minutes: 60 }, "15min": { type: "1", minutes: 15 } } as const;

const nif = () => line(20).regex(/^[0-9A-Za-z]{8,12}$/, "must be a NIF without dashes and blanks");
const settings = z.object({
  username: titled(
    nif(),
    { en: "User (NIF)", sv: "Användare (NIF)" },
    { en: "The one you log in with at datadis.es", sv: "Den du loggar in med på datadis.es" },
  ),
  password: titled(secret(), { en: "Password", sv: "Lösenord" }),
  authorized_nif: titled(
    optional(nif()),
    { en: "NIF of the holder who authorized you", sv: "NIF för den som gett fullmakt" },
    { en: "Leave it out for your own supplies", sv: "Lämna tomt för egna anläggningar" },
  ),
  canary_clock: titled(
    optional(z.enum(["Europe/Madrid", "Atlantic/Canary"])),
    { en: "Clock of supplies on the Canary Islands", sv: "Klocka för anläggningar på Kanarieöarna" },
    {
      en: "Datadis does not say which clock their hours follow. Without it they are found, and not collected.",
      sv: "Datadis anger inte vilken klocka timmarna följer. Utan den hittas de, men samlas inte in.",
    },
  ),
});
export type Settings = z.output<typeof settings>;

/** Datadis, at the address of its API. */
export function datadisAt(origin: string): Connector {
  return connector({
    name: "datadis",
    title: "Datadis",
    countries: ["ES"],
    types: ["electricity"],
    granularities: ["15min", "hour"],
    // Two years, of which the API refuses the month that lies in them only in part.
    historyDays: 699,
    latenessHours: 60,
    correctionDays: 62,
    help: {
      en: "Register at datadis.es with your NIF or certificate. Enter the NIF and the password; for somebody else's supplies, who must have authorized you there, also the holder's NIF.",
      sv: "Registrera dig på datadis.es med NIF eller certifikat. Ange NIF och lösenord; för någon annans anläggningar, som måste ha gett dig fullmakt där, även innehavarens NIF.",
    },
    settings,
    limits: { perMinute: 30, atOnce: 4, repeatHours: 24 },
    async *discover(visit) {
      const session = new Session(visit, origin);
      const supplies = await suppliesOf(session, visit);
      const exporting = new Set(JSON.parse(visit.memory.get("surplus") ?? "[]") as string[]);
      const known = exporting.size;
      const meters: FoundMeter[] = [];
      let refused: ProviderFailure | undefined;
      for (const supply of supplies) {
        try {
          if (await surplusOf(session, supply)) exporting.add(supply.cups);
        } catch (error) {
          if (!isOf(error, "consent")) throw error;
          refused = error;
          continue;
        }
        const isExporting = exporting.has(supply.cups);
        meters.push(...foundMeters(supply, { isExporting, settings: visit.settings }));
      }
      if (meters.length === 0 && refused !== undefined) throw refused;
      if (exporting.size > known) await visit.memory.set("surplus", JSON.stringify([...exporting]));
      await endWhenLeft(visit, meters, {
        zone: "Europe/Madrid",
        days: afterEndDays,
        message: "every supply of the customer is over",
      });
      yield* meters;
    },
    async *collect(visit, wanted) {
      const session = new Session(visit, origin);
      const supplies = new Map((await suppliesOf(session, visit)).map((supply) => [supply.cups, supply]));
      const questions = questionsOf(wanted, { supplies, settings: visit.settings });
      visit.step("read", { months: questions.length });
      yield* askAll({ visit, session, questions });
    },
  });
}

/** Datadis. */
export const datadis = datadisAt("https://datadis.es");

/** One month of one supply: the unit in which Datadis is asked, and what it remembers questions by. */
interface Question {
  supply: Supply;
  zone: string;
  granularity: keyof typeof measurements;
  /** Months since the year 0. */
  month: number;
  /** Keys of the meters that want it: the supply, its surplus, or both. */
  keys: string[];
}

function questionsOf(
  wanted: readonly Wanted[],
  { supplies, settings }: { supplies: ReadonlyMap<string, Supply>; settings: Settings },
): Question[] {
  const questions = new Map<string, Question>();
  for (const each of wanted) {
    const { key, granularity } = each;
    const supply = supplies.get(cupsOf(key));
    const zone = supply && zoneOf(supply, settings);
    if (supply === undefined || zone === undefined || !(granularity in measurements)) continue;
    for (const month of monthsOf([each], zone)) {
      const id = `${supply.cups} ${granularity} ${month}`;
      const question = questions.get(id) ?? {
        ...{ supply, zone, month, keys: [] },
        granularity: granularity as Question["granularity"],
      };
      if (!question.keys.includes(key)) question.keys.push(key);
      questions.set(id, question);
    }
  }
  // What is new comes first: a run that is broken off has brought the most.
  return [...questions.values()].sort((a, b) => b.month - a.month);
}

interface Asking {
  visit: Visit<Settings>;
  session: Session;
  questions: readonly Question[];
}

/**
 * Puts questions, each at most once in 24 hours. One that was put and answered before is left out; for one that was not
 * answered the run fails at its end, so that it counts as open until it is.
 */
async function* askAll({ visit, session, questions }: Asking): AsyncGenerator<Delivery> {
  const answered = new Answered(visit.memory, visit.now);
  const troubles: ProviderFailure[] = [];
  const unauthorized = new Map<Supply, ProviderFailure>();
  let repeated = 0;
  let open = 0;
  for (const { supply, zone, granularity, month, keys } of questions) {
    if (unauthorized.has(supply)) continue;
    const topics = keys.map((key) => `${key} ${granularity}`);
    const { type, minutes } = measurements[granularity];
    const { authorized_nif } = visit.settings;
    const about = [supply.cups, monthText(month), type, ...(authorized_nif === null ? [] : [authorized_nif])];
    if (!(await visit.mayAsk(about.join(" ")))) {
      if (topics.every((topic) => answered.has(topic, month))) repeated++;
      else open++;
    } else {
      try {
        const reads = await ask(session, { supply, zone, month, type, minutes, now: visit.now });
        for (const key of keys) yield* deliveryOf(reads, { key, granularity, month });
        await answered.note(topics, month);
      } catch (error) {
        if (isOf(error, "consent")) {
          unauthorized.set(supply, error);
          for (const key of keysOf(supply, questions)) visit.refused(key);
        } else if (isPassing(error)) troubles.push(error);
        else throw error;
      }
    }
    if (troubles.length >= troublesMax) break;
  }
  if (repeated > 0) visit.step("asked before", { months: repeated });
  const [withdrawn] = unauthorized.values();
  if (withdrawn !== undefined && questions.every(({ supply }) => unauthorized.has(supply))) throw withdrawn;
  const worst = troubles.find(({ kind }) => kind === "unreachable") ?? troubles[0];
  if (worst !== undefined) throw worst;
  if (open > 0) {
    throw new ProviderFailure("busy", `${open} months were asked for in the last 24 hours, and not answered`);
  }
}

const keysOf = (supply: Supply, questions: readonly Question[]) =>
  new Set(questions.flatMap((question) => (question.supply === supply ? question.keys : [])));

const isOf = (error: unknown, kind: ProviderFailure["kind"]): error is ProviderFailure =>
  error instanceof ProviderFailure && error.kind === kind;

/** One question had no answer; the next one may have. */
const isPassing = (error: unknown): error is ProviderFailure =>
  isOf(error, "unreachable") || (isOf(error, "busy") && error.retryAfterSeconds === undefined);

function* deliveryOf(
  reads: readonly Read[],
  { key, granularity, month }: { key: string; granularity: Question["granularity"]; month: number },
): Generator<Delivery> {
  const value = (read: Read) => (key.endsWith(surplusSuffix) ? read.surplus : read.consumption);
  const present = reads.filter((read) => value(read) !== null);
  if (present.length === 0) return;
  yield {
    key,
    metric: "energy",
    granularity,
    starts: present.map(({ start }) => start),
    values: present.map(value),
    quality: present.map(({ quality }) => quality),
    document: { id: `${key} ${granularity} ${monthText(month)}` },
  };
}

const cupsOf = (key: string) => (key.endsWith(surplusSuffix) ? key.slice(0, -surplusSuffix.length) : key);

/** The clock that the hours of a supply follow; `undefined` where nobody has said. */
function zoneOf({ postalCode }: Supply, { canary_clock }: Settings): string | undefined {
  return /^3[58]/.test(postalCode) ? (canary_clock ?? undefined) : "Europe/Madrid";
}

function foundMeters(
  supply: Supply,
  { isExporting, settings }: { isExporting: boolean; settings: Settings },
): FoundMeter[] {
  const { cups, address, distributor, distributorCode, pointType, from, ended } = supply;
  const zone = zoneOf(supply, settings);
  // Quarters are there for large supplies, and for those of type 3 of one distributor.
  const hasQuarters = pointType <= 2 || (pointType === 3 && distributorCode === "2");
  const granularities = hasQuarters ? (["15min", "hour"] as const) : (["hour"] as const);
  const meter: FoundMeter = {
    key: cups,
    ean: cups,
    ...(address === "" ? {} : { address }),
    type: "electricity",
    timezone: zone ?? "Atlantic/Canary",
    representation: "consumption",
    customer: { number: settings.authorized_nif ?? settings.username, name: "" },
    text: [distributor, `pointType ${pointType}`].join(" "),
    metrics: zone === undefined ? [] : [{ metric: "energy", granularities }],
    ...(from === undefined ? {} : { from }),
    ...(ended === undefined ? {} : { ended }),
  };
  return isExporting
    ? [meter, { ...meter, key: cups + surplusSuffix, representation: "production" }]
    : [meter];
}
