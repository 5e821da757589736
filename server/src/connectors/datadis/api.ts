import { z } from "zod";
import { type Day, type HttpAnswer, ProviderFailure, type Visit } from "../../collection/connector.ts";
import { changedAnswer, readAnswer } from "../answer.ts";
import { type Read, readCurve, rowSchema } from "./curve.ts";
import { monthAt, monthText } from "./months.ts";
import type { Session } from "./session.ts";

/** A supply of the customer: the contracts that it had as one. */
export interface Supply {
  /** As Datadis writes it: it takes no other spelling. */
  cups: string;
  address: string;
  postalCode: string;
  distributor: string;
  distributorCode: string;
  pointType: number;
  from: Day | undefined;
  /** First day that is not the customer's any more. */
  ended: Day | undefined;
  /** The holder's, when the customer was authorized by somebody else. */
  nif: string | null;
}

const distributorErrors = z.array(z.object({ distributorCode: z.string() }).loose()).nullish();
const dayField = z.union([z.literal(""), z.string().regex(/^\d{4}\/\d\d\/\d\d$/)]).nullish();
const suppliesSchema = z.object({
  supplies: z.array(
    z.object({
      cups: z.string().regex(/^ES\w{18}(\w\w)?$/),
      address: z.string().nullish(),
      postalCode: z.string(),
      distributor: z.string(),
      validDateFrom: dayField,
      validDateTo: dayField,
      pointType: z.int().min(1).max(5),
      distributorCode: z.string().regex(/^\d+$/),
    }),
  ),
  distributorError: distributorErrors,
});
const contractSchema = z.object({
  contract: z.array(z.object({ selfConsumptionTypeCode: z.string().nullish() })),
  distributorError: distributorErrors,
});
const curveSchema = z.object({ timeCurve: z.array(rowSchema), distributorError: distributorErrors });

interface Holder {
  authorized_nif: string | null;
}

/**
 * All supplies of the customer. When a distributor that had some before does not answer, nothing is: they would be
 * taken for gone.
 */
export async function suppliesOf(session: Session, visit: Visit<Holder>): Promise<Supply[]> {
  const { authorized_nif: nif } = visit.settings;
  const answer = await session.get("get-supplies-v2", holderOf({ nif }));
  if (answer.status === 404 && answer.text().includes("No supplies")) return [];
  if (answer.status === 403 && answer.text().includes("No authorized supplies")) throw noConsent();
  const { supplies, distributorError } = read(suppliesSchema, answer);
  const known = new Set(JSON.parse(visit.memory.get("distributors") ?? "[]") as string[]);
  const failing = distributorError?.find(({ distributorCode }) => known.has(distributorCode));
  if (failing !== undefined) {
    throw new ProviderFailure("unreachable", `distributor ${failing.distributorCode} does not answer`);
  }
  const byCups = Map.groupBy(supplies, ({ cups }) => cups);
  const found = [...byCups.values()].map((rows) => ({ ...supplyOf(rows), nif }));
  const codes = new Set([...known, ...found.map(({ distributorCode }) => distributorCode)]);
  if (codes.size > known.size) await visit.memory.set("distributors", JSON.stringify([...codes]));
  return found;
}

type Row = z.output<typeof suppliesSchema>["supplies"][number];

/** Contracts follow each other at one supply: the one that runs, else the last, says how it is asked for. */
function supplyOf(rows: readonly Row[]): Omit<Supply, "nif"> {
  const last = rows.toSorted((a, b) => order(a) - order(b)).at(-1)!;
  const froms = rows.map(({ validDateFrom }) => dayOf(validDateFrom));
  const { cups, address, postalCode, distributor, distributorCode, pointType } = last;
  const to = dayOf(last.validDateTo);
  return {
    ...{ cups, postalCode, distributor, distributorCode, pointType },
    address: address ?? "",
    from: froms.includes(undefined) ? undefined : froms.sort()[0],
    ended: to === undefined ? undefined : dayAfter(to),
  };
}

function order({ validDateFrom, validDateTo }: Row): number {
  const to = dayOf(validDateTo);
  return to === undefined ? Number.POSITIVE_INFINITY : Date.parse(dayOf(validDateFrom) ?? "1970-01-01");
}

/** A day; `undefined` for one that is left open. */
function dayOf(text: string | null | undefined): Day | undefined {
  if (text == null || text === "") return undefined;
  const day = text.replaceAll("/", "-");
  if (Number.isNaN(Date.parse(day))) throw new ProviderFailure("changed", `no day: ${text}`);
  return day;
}

const dayAfter = (day: Day) => new Date(Date.parse(day) + 86_400_000).toISOString().slice(0, 10);

/**
 * Does a supply produce for itself, so that it can have a surplus?
 * @throws ProviderFailure `consent` when the holder has authorized others of their supplies, not this one
 */
export async function surplusOf(session: Session, supply: Supply): Promise<boolean> {
  const { cups, distributorCode } = supply;
  const answer = await session.get("get-contract-detail-v2", { cups, distributorCode, ...holderOf(supply) });
  if (answer.status === 400 && isUnauthorized(answer)) throw noConsent();
  const { contract, distributorError } = read(contractSchema, answer);
  if (contract.length === 0 && distributorError != null && distributorError.length > 0) {
    throw new ProviderFailure("unreachable", `distributor ${distributorCode} does not answer`);
  }
  return contract.some(({ selfConsumptionTypeCode: code }) => code != null && !/^0*$/.test(code));
}

/** A month of a supply. */
export interface MonthQuestion {
  supply: Supply;
  zone: string;
  month: number;
  /** `0` hours, `1` quarters. */
  type: string;
  minutes: number;
  now: number;
}

/**
 * Values of a month; none when there are none (yet).
 * @throws ProviderFailure `busy` without a time when Datadis has heard the question in the last 24 hours, `consent` for
 *   a supply that the holder has not authorized
 */
export async function ask(session: Session, question: MonthQuestion): Promise<Read[]> {
  const { supply, zone, month, type, minutes, now } = question;
  const { cups, distributorCode, pointType } = supply;
  const answer = await session.get("get-consumption-data-v2", {
    cups,
    distributorCode,
    startDate: monthText(month),
    endDate: monthText(month),
    measurementType: type,
    pointType: String(pointType),
    ...holderOf(supply),
  });
  const { status } = answer;
  if (status === 204 || (status === 404 && answer.text().includes("Data not found"))) return [];
  if (status === 400 && isUnauthorized(answer)) throw noConsent();
  if (status === 400 && answer.text().includes("Fechas incorrectas") && isAtEdge(question)) return [];
  const { timeCurve, distributorError } = read(curveSchema, answer);
  if (timeCurve.length === 0 && distributorError != null && distributorError.length > 0) {
    throw new ProviderFailure("unreachable", `distributor ${distributorCode} does not answer`);
  }
  const isCurrent = monthAt(zone, now) === month;
  return readCurve(timeCurve, { cups, zone, month, minutes, isCurrent });
}

/** The month in which a supply began, and the oldest of all, may be refused. */
function isAtEdge({ supply: { from }, zone, month, now }: MonthQuestion): boolean {
  const first = from === undefined ? Number.NEGATIVE_INFINITY : monthAt("UTC", Date.parse(from));
  return month <= first || month <= monthAt(zone, now) - 23;
}

const isUnauthorized = (answer: HttpAnswer) => answer.text().includes("No se encuentra autorizado");
const noConsent = () => new ProviderFailure("consent", "the holder has not authorized this, or not any more");

/** The holder whose supplies they are, in requests. */
function holderOf({ nif }: Pick<Supply, "nif">): Record<string, string> {
  return nif === null ? {} : { authorizedNif: nif };
}

function read<Schema extends z.ZodType>(schema: Schema, answer: HttpAnswer): z.output<Schema> {
  if (answer.status !== 200) throw changedAnswer(answer, "an unknown status");
  return readAnswer(answer, schema);
}
