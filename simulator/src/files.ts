import { dayText, monthText, wallText } from "./calendar.ts";
import { type Column, ordered } from "./page.ts";
import type { PublishedMonth, PublishedValue } from "./publication.ts";
import { type Look, textOf } from "./texts.ts";
import { eanOn, type Meter, serialOn } from "./world.ts";

/** Units after a change of layout, and how many of the old thousandths they hold. */
const otherUnits = { kWh: { unit: "MWh", digits: 6 }, m3: { unit: "l", digits: 0 } } as const;

/** The unit that a layout tells values in. */
export const unitOf = ({ variant }: Look, { unit }: Meter): string =>
  variant === "units" ? otherUnits[unit].unit : unit;

/** Thousandths as a decimal of the layout's unit, with a point: exact. */
export function decimalText({ variant }: Look, { unit }: Meter, milli: number): string {
  const digits = variant === "units" ? otherUnits[unit].digits : 3;
  if (digits === 0) return String(milli);
  const text = String(milli).padStart(digits + 1, "0");
  return `${text.slice(0, -digits)}.${text.slice(-digits)}`;
}

/** A number as the language and layout write it. */
export function numberText(look: Look, meter: Meter, milli: number): string {
  const text = decimalText(look, meter, milli);
  if (look.variant === "decimals") return text.replace(/\B(?=(\d{3})+(?=\.))/g, ",");
  return look.language === "en" && look.variant !== "language" ? text : text.replace(".", ",");
}

type Cell = Column<PublishedValue> & { number?: (row: PublishedValue) => number };

function columnsOf(look: Look, meter: Meter): readonly Cell[] {
  const usage = textOf(look, "usage");
  const unit = unitOf(look, meter);
  return ordered<Cell>(look, [
    { label: textOf(look, "from"), cell: ({ start }) => wallText(start) },
    { label: textOf(look, "to"), cell: ({ end }) => wallText(end) },
    {
      label: look.variant === "labels" ? `${usage} [${unit}]` : `${usage} (${unit})`,
      cell: ({ milli }) => numberText(look, meter, milli),
      number: ({ milli }) => Number(decimalText(look, meter, milli)),
    },
    { label: textOf(look, "status"), cell: ({ status }) => textOf(look, status) },
  ]);
}

/** What a file says of its metering point before the table. */
function headOf(look: Look, meter: Meter, { day, now }: { day: number; now: number }): [string, string][] {
  return [
    [textOf(look, "ean"), eanOn(meter, day)],
    [textOf(look, "serial"), serialOn(meter, day)],
    [textOf(look, "name"), meter.name],
    [textOf(look, "created"), wallText(now)],
  ];
}

interface FileContent {
  meter: Meter;
  rows: readonly PublishedValue[];
  /** The last day that was asked for: what the metering point is called then stands on top. */
  day: number;
  now: number;
}

/** Semicolons, decimals of the language, CRLF, and a byte order mark as spreadsheets want it. */
export function csvOf(look: Look, { meter, rows, day, now }: FileContent): string {
  const columns = columnsOf(look, meter);
  const lines = headOf(look, meter, { day, now }).map((pair) => pair.join(";"));
  lines.push("", columns.map(({ label }) => label).join(";"));
  for (const row of rows) lines.push(columns.map(({ cell }) => cell(row)).join(";"));
  return `\uFEFF${lines.join("\r\n")}\r\n`;
}

/** A workbook of one sheet: times are texts, values are numbers. */
export async function xlsxOf(look: Look, { meter, rows, day, now }: FileContent): Promise<Uint8Array> {
  const { default: writeExcelFile } = await import("write-excel-file/node");
  const columns = columnsOf(look, meter);
  const cells: (string | number | null)[][] = [
    ...headOf(look, meter, { day, now }),
    [],
    columns.map(({ label }) => label),
    ...rows.map((row) => columns.map(({ cell, number }) => number?.(row) ?? cell(row))),
  ];
  // biome-ignore lint/suspicious/noExplicitAny: the types of the library do not know plain cells
  const book = writeExcelFile(cells as any, { sheet: textOf(look, "usage") });
  return new Uint8Array(await book.toBuffer());
}

/** Months with the readings of the register, where there are any. */
export function monthsJson(look: Look, meter: Meter, months: readonly PublishedMonth[]): unknown {
  const hasNewNames = look.variant === "labels";
  const told = (milli: number) =>
    look.variant === "decimals" ? numberText(look, meter, milli) : Number(decimalText(look, meter, milli));
  return {
    [hasNewNames ? "point_of_delivery" : "metering_point"]: meter.ean,
    unit: unitOf(look, meter),
    months: months.map(({ month, start, end, milli, status, changedAt, readings }) => ({
      month: monthText(month),
      from: wallText(start).slice(0, 10),
      to: wallText(end - 1).slice(0, 10),
      [hasNewNames ? "energy" : "usage"]: told(milli),
      status,
      changed: new Date(changedAt).toISOString(),
      readings: readings.map(({ serial, from, to, startMilli, endMilli }) => ({
        serial,
        from: dayText(from),
        to: dayText(to - 1),
        start: told(startMilli),
        end: told(endMilli),
        digits: meter.digits,
      })),
    })),
  };
}
