import type { MeterType } from "../item.ts";
import { type Unit, unitOf } from "../units.ts";
import type { Decisions } from "./decisions.ts";
import { columnIndex, type Frame } from "./frame.ts";
import type { Mapping, ValueColumn } from "./mapping.ts";
import { NumberReader } from "./numbers.ts";
import {
  directionOf,
  isMissing,
  plain,
  registerWords,
  says,
  tariffOf,
  typeOf,
  unitHints,
  unitIn,
} from "./words.ts";

/** Texts around the table that may say what is measured. */
export interface Surroundings {
  preamble: string;
  fileName: string;
  /** Kind of meter that the metering point numbers prove. */
  type?: MeterType | undefined;
  /** Unit that the caller states for values whose file names none. */
  unit?: string | undefined;
}

/** Says of each value column what it measures, as far as headers, cells and surroundings tell; what was told stays. */
export function measuresOf(
  frame: Frame,
  told: Mapping,
  { mapping, decisions, around }: { mapping: Mapping; decisions: Decisions; around: Surroundings },
): Mapping {
  const values = mapping.columns?.values;
  if (values === undefined) return mapping;
  const result: Mapping = { ...mapping, columns: { ...mapping.columns } };
  result.columns!.values = values.map((value) => {
    const at = columnIndex(frame.headers, value.column);
    if (at === undefined || at >= frame.width) {
      decisions.open(
        "columns.values",
        "headers or numbers of columns",
        `There is no column "${value.column}".`,
      );
      return value;
    }
    return measureOf({ frame, told, mapping: result, decisions, around }, value, at);
  });
  return result;
}

interface Question {
  frame: Frame;
  told: Mapping;
  mapping: Mapping;
  decisions: Decisions;
  around: Surroundings;
}

function measureOf(question: Question, value: ValueColumn, at: number): ValueColumn {
  const { frame, told, mapping } = question;
  const header = value.to === undefined ? (frame.headers[at] ?? "") : stemOf(frame.headers[at] ?? "");
  const found: ValueColumn = { ...value };
  const type = value.type ?? told.type ?? typeOfColumn(question, header);
  if (type !== undefined) found.type = type;
  const unit = value.unit ?? told.unit ?? unitOfColumn(question, header, type);
  if (unit !== undefined) found.unit = unit;
  found.type ??= typeByUnit(question, unit, header);
  if (found.type === undefined) delete found.type;
  if (mapping.columns?.direction === undefined) {
    const direction = value.direction ?? told.direction ?? directionOf(header);
    if (direction !== "unknown") found.direction = direction;
  }
  found.values = value.values ?? told.values ?? kindOf(question, header, at, value.to !== undefined);
  return found;
}

/** `kWh_1` names its day of columns `kWh`; a time such as [00:30] names nothing. */
function stemOf(header: string): string {
  return header
    .replace(/[\d:[\]]+/g, " ")
    .replace(/[_\s]+$/, "")
    .trim();
}

function typeOfColumn({ mapping, around }: Question, header: string): MeterType | undefined {
  const own = typeOf(header);
  if (own !== undefined || mapping.columns?.type !== undefined) return own;
  const byUnit = unitIn(header);
  if (byUnit !== undefined && unitOf(byUnit)?.metric === "temperature") return "sensor";
  return (
    typeOf(around.preamble) ??
    typeOf(around.fileName) ??
    around.type ??
    (tariffOf(header) === "" ? undefined : "electricity")
  );
}

/** Unit of a column whose rows do not name one; undefined when they do, or when it stays open. */
function unitOfColumn(question: Question, header: string, type: MeterType | undefined): string | undefined {
  const { mapping, around, decisions, frame } = question;
  const named = unitIn(header);
  if (named !== undefined) return named;
  if (mapping.columns?.unit !== undefined) return undefined;
  const above = unitIn(around.preamble) ?? around.unit;
  if (above !== undefined) return above;
  if (mapping.columns?.type !== undefined && type === undefined) return unitsByType(question);
  if (type === "electricity" || type === "water" || type === "sensor" || type === "hot_water") {
    const unit = type === "electricity" ? "kWh" : type === "sensor" ? "°C" : "m3";
    decisions.assumed("unit", unit, `the file names no unit, and this is the usual one of ${type}`);
    return unit;
  }
  const hint = unitHints.find((one) => one.type === type && says(frame.headers.join(" "), one.words));
  if (hint !== undefined) {
    decisions.assumed("unit", hint.unit, hint.reason);
    return hint.unit;
  }
  const columnText = header === "" ? "the values" : `"${header}"`;
  decisions.open(
    "unit",
    '"kWh", "m3" or another unit, also per column',
    `Nothing names the unit of ${columnText}.`,
  );
  return undefined;
}

/** The column of types then stands for the unit too, with the usual unit of electricity. */
function unitsByType({ mapping, told, decisions }: Question): undefined {
  if (mapping.columns === undefined) return;
  mapping.columns.unit = mapping.columns.type!;
  if (told.units !== undefined) return;
  mapping.units = Object.fromEntries(
    ["electricity", "elektriciteit", "elektrizität", "stroom", "strom", "el"].map((word) => [word, "kWh"]),
  );
  decisions.assumed("units", "kWh for electricity", "the rows name a type and no unit");
}

/** kWh without any other word is electricity; m3 could be gas or water. */
function typeByUnit(
  { mapping, decisions }: Question,
  printed: string | undefined,
  header: string,
): MeterType | undefined {
  if (mapping.columns?.type !== undefined || printed === undefined) return undefined;
  const unit = unitOf(printed);
  if (unit === undefined) return undefined;
  if (unit.base === "m3") {
    decisions.open("type", "gas, water or hot_water", `m3 in "${header}" could be gas or water.`);
    return undefined;
  }
  return unit.metric === "temperature" || unit.metric === "co2" ? "sensor" : "electricity";
}

/** Register or interval: by the header; a column that only ever rises in small steps is asked about. */
function kindOf(
  { frame, decisions, mapping }: Question,
  header: string,
  at: number,
  wide: boolean,
): "interval" | "register" {
  if (says(header, registerWords) && !wide) return "register";
  if (wide || mapping.columns?.meter !== undefined || mapping.columns?.channel !== undefined)
    return "interval";
  const reader = new NumberReader({ decimal: mapping.decimal, thousands: mapping.thousands });
  const numbers = frame.data.slice(0, 100).flatMap(({ cells }) => {
    const text = cells[at]?.trim() ?? "";
    try {
      return isMissing(text) ? [] : (reader.read(text) ?? []);
    } catch {
      return [];
    }
  });
  if (looksLikeRegister(numbers)) {
    decisions.open(
      "values",
      '"register" or "interval", also per column',
      `The numbers in "${header}" only rise, like the readings of a register.`,
    );
  }
  return "interval";
}

/** At least ten numbers that never turn back and whose steps are small beside them. */
function looksLikeRegister(numbers: number[]): boolean {
  if (numbers.length < 10) return false;
  const steps = numbers.slice(1).map((number, at) => number - numbers[at]!);
  const rising = steps.every((step) => step >= 0) || steps.every((step) => step <= 0);
  const span = Math.abs(numbers.at(-1)! - numbers[0]!);
  const least = Math.min(...numbers);
  return rising && least > 0 && span > 0 && span / steps.length < least / 10;
}

/** The unit that a text of the file means: by the words of the mapping, else by its name. */
export function unitNamed(text: string, words: Mapping["units"]): Unit | undefined {
  const key = plain(text);
  for (const [word, name] of Object.entries(words ?? {})) if (plain(word) === key) return unitOf(name);
  return unitOf(text);
}
