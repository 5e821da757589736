import { Decimal } from "decimal.js";
import { minutesOf } from "../platform/granularity.ts";
import { localOf } from "../platform/time/zone.ts";
import type { InvoiceToPrint, PrintedRow, PrintedSection, Utility } from "./invoice.ts";
import type { DemoValues } from "./values.ts";
import type { Building, Customer, DemoMeter } from "./world.ts";

/** What a meter used in a month that is over, as its utility bills it. */
export interface MonthUse {
  /** `YYYY-MM` in the meter's zone. */
  month: string;
  kWh: string;
  /** The highest mean power of an interval. */
  peakKw: string;
}

/** Use by month, oldest first; the running month and a first one that is not whole are left out. */
export function monthsOf(meter: DemoMeter, timezone: string, { starts, values }: DemoValues): MonthUse[] {
  const perHour = 60 / (minutesOf[meter.granularity as keyof typeof minutesOf] ?? 60);
  const sums = new Map<string, { kWh: number; peak: number }>();
  for (let i = 0; i < starts.length; i++) {
    const month = new Date(localOf(timezone, starts[i]!)).toISOString().slice(0, 7);
    const sum = sums.get(month) ?? { kWh: 0, peak: 0 };
    sums.set(month, { kWh: sum.kWh + values[i]!, peak: Math.max(sum.peak, values[i]! * perHour) });
  }
  return [...sums].slice(0, -1).map(([month, { kWh, peak }]) => ({
    month,
    kWh: new Decimal(kWh).toFixed(2),
    peakKw: new Decimal(peak).toFixed(2),
  }));
}

interface Billed {
  meter: DemoMeter;
  building: Building;
  months: readonly MonthUse[];
}

/**
 * The bills of a customer. In Sweden two months of electricity, the first of which was wrong for one customer, credited
 * and written anew; in Norway a collective bill of a grid company; in the euro area the settlement of a year of district
 * heating. `useOf` tells what a meter used. The same world gives the same bills.
 */
export function demoInvoices(
  customer: Customer,
  useOf: (meter: DemoMeter) => readonly MonthUse[],
): InvoiceToPrint[] {
  const [building] = customer.buildings;
  const billed = (type: DemoMeter["type"]): Billed[] => {
    const meters = building!.meters.filter((meter) => meter.type === type && meter.hasCosts);
    return meters.map((meter) => ({ meter, building: building!, months: useOf(meter) }));
  };
  const { currency } = customer.city;
  if (currency === "SEK") return swedish(customer, billed("electricity")[0]!);
  if (currency === "NOK") return [norwegian(customer, billed("electricity"))];
  return [german(customer, billed("heat")[0]!)];
}

/** Months, as `YYYYMM`, of which invoices tell all costs of a meter. Beside a grid company there is a supplier. */
export function monthsBilled(invoices: readonly InvoiceToPrint[], { ean }: DemoMeter): Set<string> {
  const periods = invoices
    .filter(({ utility }) => utility !== "nordfjord-nett")
    .flatMap(({ sections, period }) =>
      sections.some(({ meteringPoint }) => meteringPoint === ean) ? [period] : [],
    );
  const months = new Set<string>();
  for (const { from, to } of periods) {
    for (let month = from.slice(0, 7); month <= to.slice(0, 7); month = nextMonth(month)) {
      months.add(month.replace("-", ""));
    }
  }
  return months;
}

/** Does an invoice of a utility name the meter? */
export function isBilledBy(
  utility: Utility,
  invoices: readonly InvoiceToPrint[],
  { ean }: DemoMeter,
): boolean {
  return invoices.some(
    (invoice) =>
      invoice.utility === utility && invoice.sections.some(({ meteringPoint }) => meteringPoint === ean),
  );
}

function swedish(customer: Customer, { months, ...place }: Billed): InvoiceToPrint[] {
  const [before, last] = months.slice(-2);
  const bill = (use: MonthUse, serial: number) =>
    billOf("alvdal-energi", customer, {
      serial,
      months: [use.month, use.month],
      sections: [gridSe(place, use), retailSe(place, use)],
    });
  if (customer.externalId !== "C-1001") return [bill(before!, 1), bill(last!, 2)];
  // The first reading was a tenth too high: the bill was taken back and written anew.
  const wrong = bill({ ...before!, kWh: new Decimal(before!.kWh).times("1.1").toFixed(2) }, 1);
  return [wrong, credited(wrong), bill(before!, 3), bill(last!, 4)];
}

/** A credit note that takes a whole invoice back. */
function credited(invoice: InvoiceToPrint): InvoiceToPrint {
  const turn = (amount: string) => new Decimal(amount).negated().toFixed();
  return {
    ...invoice,
    kind: "credit",
    number: invoice.number.replace(/1$/, "2"),
    replaces: invoice.number,
    issued: `${nextMonth(invoice.period.to.slice(0, 7))}-12`,
    sections: invoice.sections.map((section) => ({
      ...section,
      rows: section.rows.map((row) => ({
        ...row,
        quantity: turn(row.quantity),
        amount: cents(turn(row.amount)),
      })),
    })),
  };
}

type Place = Omit<Billed, "months">;

function gridSe(place: Place, { month, kWh, peakKw }: MonthUse): PrintedSection {
  return section(place, "grid", [
    row("Abonnemangsavgift, säkring 63 A", [month, month], ["1", "mån", "415.00", "kr/mån"]),
    row("Elöverföring", [month, month], [kWh, "kWh", "22.40", "öre/kWh"]),
    row("Effektavgift, månadens högsta timme", [month, month], [peakKw, "kW", "52.50", "kr/kW"]),
    row("Energiskatt", [month, month], [kWh, "kWh", "43.90", "öre/kWh"]),
  ]);
}

function retailSe(place: Place, { month, kWh }: MonthUse): PrintedSection {
  return section(place, "retail", [
    row("Fast avgift elhandel", [month, month], ["1", "mån", "39.00", "kr/mån"]),
    row("Rörligt elpris, timmätt", [month, month], [kWh, "kWh", "71.35", "öre/kWh"]),
    row(
      "Påslag inklusive elcertifikat och ursprungsgarantier",
      [month, month],
      [kWh, "kWh", "4.50", "öre/kWh"],
    ),
  ]);
}

function norwegian(customer: Customer, all: readonly Billed[]): InvoiceToPrint {
  const month = all[0]!.months.at(-1)!.month;
  const sections = all.map(({ months, ...place }) => {
    const { kWh, peakKw } = months.at(-1)!;
    return section(place, "grid", [
      row("Fastledd nettleie", [month, month], ["1", "mnd", "350.00", "kr/mnd"]),
      row("Energiledd", [month, month], [kWh, "kWh", "24.10", "øre/kWh"]),
      row("Effektledd, høyeste time i måneden", [month, month], [peakKw, "kW", "62.00", "kr/kW"]),
      row("Forbruksavgift", [month, month], [kWh, "kWh", "16.44", "øre/kWh"]),
      row("Avgift til Enova", [month, month], [kWh, "kWh", "1.00", "øre/kWh"]),
    ]);
  });
  return billOf("nordfjord-nett", customer, { serial: 1, months: [month, month], sections });
}

function german(customer: Customer, { months, ...place }: Billed): InvoiceToPrint {
  const year = String(
    Number(months.at(-1)!.month.slice(0, 4)) - (months.at(-1)!.month.endsWith("-12") ? 0 : 1),
  );
  const whole = months.filter(({ month }) => month.startsWith(year));
  const kWh = whole.reduce((sum, use) => sum.plus(use.kWh), new Decimal(0)).toFixed(2);
  const span = [whole[0]!.month, whole.at(-1)!.month] as const;
  const rows = [
    row("Grundpreis Fernwärme", span, [String(whole.length), "Mon", "84.50", "EUR/Mon"], "19"),
    row("Arbeitspreis Fernwärme", span, [kWh, "kWh", "8.9500", "ct/kWh"], "19"),
    row("Emissionspreis nach Brennstoffemissionshandelsgesetz", span, [kWh, "kWh", "0.9800", "ct/kWh"], "19"),
    row("Messpreis Wärmezähler", span, [String(whole.length), "Mon", "9.80", "EUR/Mon"], "19"),
    row("Füllwasser der Hausanlage", span, ["12.5", "m³", "2.15", "EUR/m³"], "7"),
  ];
  const paid = new Decimal(kWh).times("0.11").div(12).toNearest(10).times(whole.length);
  return {
    ...billOf("stadtwerke-brunnstadt", customer, {
      serial: 1,
      months: span,
      sections: [section(place, "grid", rows)],
    }),
    prepaid: paid.toFixed(2),
  };
}

function billOf(
  utility: Utility,
  customer: Customer,
  {
    serial,
    months,
    sections,
  }: { serial: number; months: readonly [string, string]; sections: PrintedSection[] },
): InvoiceToPrint {
  const [from, to] = months;
  const after = nextMonth(to);
  return {
    utility,
    number: `${to.replace("-", "")}-${customer.externalId.slice(-4)}${serial}`,
    kind: "invoice",
    replaces: null,
    issued: `${after}-05`,
    due: `${nextMonth(after)}-01`,
    period: { from: `${from}-01`, to: lastDay(to) },
    buyer: {
      name: customer.name,
      id: customer.externalId,
      address: sections[0]!.address,
    },
    sections,
    prepaid: "0",
    isRounded: utility === "alvdal-energi",
  };
}

function section(
  { meter, building }: Place,
  contract: "grid" | "retail",
  rows: PrintedRow[],
): PrintedSection {
  return { meteringPoint: meter.ean, address: building.address, contract, rows };
}

/** A row of whole months; prices in hundredths of the currency are told by their unit. */
function row(
  description: string,
  [from, to]: readonly [string, string],
  [quantity, unit, price, priceUnit]: readonly [string, string, string, string],
  vatRate = "25",
): PrintedRow {
  const isSmall = /^(öre|øre|ct)\//.test(priceUnit);
  const amount = cents(new Decimal(quantity).times(price).div(isSmall ? 100 : 1));
  const period = { from: `${from}-01`, to: lastDay(to) };
  return { description, period, quantity, unit, price, priceUnit, amount, vatRate };
}

const cents = (amount: Decimal.Value) => new Decimal(amount).toFixed(2, Decimal.ROUND_HALF_UP);

function nextMonth(month: string): string {
  const [year, number] = month.split("-").map(Number);
  return new Date(Date.UTC(year!, number!, 1)).toISOString().slice(0, 7);
}

function lastDay(month: string): string {
  const [year, number] = month.split("-").map(Number);
  return new Date(Date.UTC(year!, number!, 0)).toISOString().slice(0, 10);
}
