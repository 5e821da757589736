import { dayMs, firstDayOf, monthOf } from "./calendar.ts";
import { between, chance, oneOf, seedOf } from "./dice.ts";
import { type Habits, type Situation, situations, usualHabits } from "./situations.ts";
import type { Profile } from "./usage.ts";

/** How finely values of a metering point are told. */
export type Resolution = "15min" | "hour";

/** A metering point. Its id stays when the meter is exchanged and when the EAN changes. */
export interface Meter {
  /** The utility's own id: what addresses of pages hold. */
  id: string;
  ean: string;
  /** The EAN until a day, when areas were merged. */
  formerEan: { ean: string; until: number } | null;
  name: string;
  address: string;
  type: "electricity" | "heat" | "water";
  representation: "consumption" | "production";
  metric: "energy" | "flow";
  unit: "kWh" | "m3";
  /** The finest first; none: only months are known, from readings of the register. */
  resolutions: readonly Resolution[];
  serial: string;
  /** From a day on another device measures. */
  exchange: { day: number; serial: string } | null;
  /** Digits of the register before it starts again at zero. */
  digits: number;
  /** First day, and the day after the last one; `null` goes on. */
  from: number;
  to: number | null;
  seed: number;
  profile: Profile;
  scale: number;
  username: string;
  contractId: string;
}

/** What a customer has for one address. */
export interface Contract {
  id: string;
  kind: "grid" | "heat" | "water";
  address: string;
  from: number;
  to: number | null;
  meters: readonly Meter[];
}

export interface Customer {
  username: string;
  /** Changed through the control. */
  password: string;
  number: string;
  name: string;
  /** Logging in asks for a code that was sent. */
  hasCode: boolean;
  situation: Situation | null;
  habits: Habits;
  contracts: readonly Contract[];
}

/** Everything that does not change while the utility runs. */
export interface World {
  seed: number;
  customers: ReadonlyMap<string, Customer>;
  meters: ReadonlyMap<string, Meter>;
}

export interface WorldOptions {
  seed: number;
  /** Ordinary customers `kund0001` …; those of situations come on top. */
  customers: number;
  /** The day from which a year of events is laid out: exchanges, ends, new contracts. */
  pivot: number;
}

/** The first value of every metering point lies this many days before the pivot. */
export const historyDays = 400;

/** A utility and its customers; the same options give the same. */
export function makeWorld({ seed, customers, pivot }: WorldOptions): World {
  const special = situations.map((situation) => customerOf({ seed, pivot }, situation.username, situation));
  const usual = Array.from({ length: customers }, (_, i) =>
    customerOf({ seed, pivot }, `kund${String(i + 1).padStart(4, "0")}`, null),
  );
  const all = [...special, ...usual];
  const meters = all.flatMap(({ contracts }) => contracts.flatMap((contract) => contract.meters));
  return {
    seed,
    customers: new Map(all.map((customer) => [customer.username, customer])),
    meters: new Map(meters.map((meter) => [meter.id, meter])),
  };
}

interface Ground {
  seed: number;
  pivot: number;
}

const streets = [
  "Bruksgatan",
  "Kvarnvägen",
  "Stationsgatan",
  "Björkallén",
  "Hamngatan",
  "Skolgatan",
  "Ängsvägen",
];
const towns = ["796 21 Älvdalen", "796 90 Särna", "796 31 Åsen", "792 30 Mora"];
const housings = [
  "Bostadsrättsföreningen Tallen",
  "Fastighets AB Ekorren",
  "Brf Sjöutsikten",
  "Lindqvist Bygg AB",
];

function customerOf(ground: Ground, username: string, situation: Situation | null): Customer {
  const seed = seedOf(ground.seed, username);
  const number = String(100_000 + (Math.abs(seed) % 900_000));
  const hasEnded = situation?.ended === true;
  const contracts = (["grid", "heat", "water"] as const).flatMap((kind, i) => {
    if (kind !== "grid" && situation === null && chance(seed, 10 + i) < 0.35) return [];
    const contract = contractOf(ground, {
      seed: seed + i,
      kind,
      username,
      number,
      isLarge: username === "demo",
    });
    return [hasEnded ? endedBefore(contract, ground.pivot) : contract];
  });
  return {
    username,
    password: situation?.password ?? `sol-${username.slice(-4)}`,
    number,
    name: `${oneOf(seed, 1, housings)} ${between(seed, 2, [1, 99])}`,
    hasCode: situation?.hasCode === true,
    situation,
    habits: { ...usualHabits, ...situation?.habits },
    contracts,
  };
}

function endedBefore(contract: Contract, pivot: number): Contract {
  const to = pivot - 70;
  return { ...contract, to, meters: contract.meters.map((meter) => ({ ...meter, to })) };
}

interface ContractPlan {
  seed: number;
  kind: Contract["kind"];
  username: string;
  number: string;
  isLarge: boolean;
}

function contractOf({ pivot }: Ground, plan: ContractPlan): Contract {
  const { seed, kind, username, number } = plan;
  const id = `${number}-${kind === "grid" ? 1 : kind === "heat" ? 2 : 3}`;
  const address = `${oneOf(seed, 3, streets)} ${between(seed, 4, [1, 80])}, ${oneOf(seed, 5, towns)}`;
  // One in twenty moves in during the year, one in twenty moves out.
  const isNew = username.startsWith("kund") && chance(seed, 6) < 0.05;
  const isLeaving = username === "moveout" || (username.startsWith("kund") && chance(seed, 7) < 0.05);
  const from = isNew ? pivot + between(seed, 8, [30, 200]) : pivot - historyDays;
  const to = isLeaving ? pivot + between(seed, 9, username === "moveout" ? [20, 40] : [210, 330]) : null;
  const count = plan.isLarge
    ? { grid: 12, heat: 2, water: 2 }[kind]
    : kind === "grid"
      ? between(seed, 11, [1, 6])
      : 1;
  const meters = Array.from({ length: count }, (_, i) =>
    meterOf({
      seed: seedOf(seed, `meter ${i}`),
      i,
      kind,
      address,
      pivot,
      from,
      to,
      username,
      contractId: id,
    }),
  );
  return { id, kind, address, from, to, meters };
}

interface MeterPlan extends Pick<Meter, "seed" | "address" | "from" | "to" | "username" | "contractId"> {
  i: number;
  kind: Contract["kind"];
  pivot: number;
}

const kinds = {
  grid: { type: "electricity", metric: "energy", unit: "kWh", scale: [1, 12], code: "735999120" },
  heat: { type: "heat", metric: "energy", unit: "kWh", scale: [5, 40], code: "735999121" },
  water: { type: "water", metric: "flow", unit: "m3", scale: [0.05, 0.4], code: "735999122" },
} as const;

function meterOf(plan: MeterPlan): Meter {
  const { seed, i, kind, pivot, username, contractId } = plan;
  const { type, metric, unit, scale, code } = kinds[kind];
  const isSolar = kind === "grid" && i > 0 && chance(seed, 1) < 0.15;
  const isQuarterly = kind === "grid" && (username === "quarter" || chance(seed, 2) < 0.25);
  const hasExchange = username === "exchange" || chance(seed, 3) < 0.03;
  const hasFormerEan = username === "exchange" || chance(seed, 4) < 0.01;
  const profile: Profile =
    kind === "heat" ? "heat" : kind === "water" ? "water" : isSolar ? "solar" : i === 0 ? "office" : "home";
  return {
    id: `${contractId}-${String(i + 1).padStart(2, "0")}`,
    ean: eanOf(code, seed),
    formerEan: hasFormerEan
      ? {
          ean: eanOf(code, seedOf(seed, "former ean")),
          until: firstDayOf(monthOf(pivot + between(seed, 5, [45, 300]))),
        }
      : null,
    name: nameOf(kind, i, isSolar),
    address: plan.address,
    type,
    representation: isSolar ? "production" : "consumption",
    metric,
    unit,
    resolutions: kind === "water" ? [] : isQuarterly ? ["15min", "hour"] : ["hour"],
    serial: serialOf(seed, 6),
    exchange: hasExchange ? { day: pivot + between(seed, 7, [20, 300]), serial: serialOf(seed, 8) } : null,
    digits: 5,
    from: plan.from,
    to: plan.to,
    seed,
    profile,
    scale: scale[0] + chance(seed, 9) * (scale[1] - scale[0]),
    username,
    contractId,
  };
}

function nameOf(kind: Contract["kind"], i: number, isSolar: boolean): string {
  if (kind === "heat") return `Undercentral ${i + 1}`;
  if (kind === "water") return `Vattenmätare ${i + 1}`;
  return isSolar
    ? `Solceller tak ${i}`
    : i === 0
      ? "Fastighetsel"
      : `Trapphus ${String.fromCharCode(64 + i)}`;
}

const serialOf = (seed: number, index: number) => String(between(seed, index, [10_000_000, 99_999_999]));

/** 18 digits of which the last one is the check digit of GS1. */
function eanOf(code: string, seed: number): string {
  const digits = `${code}${String(Math.floor(chance(seed, 90) * 1e8)).padStart(8, "0")}`;
  const sum = [...digits]
    .reverse()
    .reduce((total, digit, i) => total + Number(digit) * (i % 2 === 0 ? 3 : 1), 0);
  return `${digits}${(10 - (sum % 10)) % 10}`;
}

/** The EAN that a metering point has on a day. */
export function eanOn(meter: Meter, day: number): string {
  return meter.formerEan !== null && day < meter.formerEan.until ? meter.formerEan.ean : meter.ean;
}

/** The device that measures on a day. */
export function serialOn(meter: Meter, day: number): string {
  return meter.exchange !== null && day >= meter.exchange.day ? meter.exchange.serial : meter.serial;
}

/** The day that an instant of UTC lies in is close enough for events that are laid out by days. */
export const pivotOf = (now: number): number =>
  Math.floor(Date.UTC(new Date(now).getUTCFullYear(), 0, 1) / dayMs);
