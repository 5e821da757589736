import { parseDecimal } from "../../platform/decimal.ts";
import type { Quality, ReadingItem } from "../item.ts";
import { detached } from "../text.ts";
import { marketTime, qualityOf, type Stream, type Streams } from "./streams.ts";

/** What a record needs of the file that it stands in. */
export interface Surroundings {
  streams: Streams;
  /** Tells that the record at hand is wrong. */
  wrong(field: string | null, what: string): undefined;
  /** Tells it when the text is no metering point. */
  isMeter(text: string): boolean;
  /** When the record was last changed, epoch milliseconds. */
  version(printed: string | undefined): number | undefined;
}

/** State of a register at one time, without its place in the file. */
export type RegisterState = Pick<ReadingItem, "time" | "value" | "quality" | "code" | "version">;

/**
 * Reads a 250 record of NEM13: the states of a register at two times and the quantity between them.
 * Undefined when the record is wrong or its stream is not read, which has been told then.
 */
export function registerStates(
  fields: string[],
  line: number,
  file: Surroundings,
): { stream: Stream; states: RegisterState[] } | undefined {
  const meter = detached(fields[1]?.trim() ?? "");
  if (!file.isMeter(meter)) return undefined;
  if (fields.length < 20) {
    return file.wrong(null, `A record 250 has 23 fields, this one has ${fields.length}`);
  }
  const suffix = fields[4]!.trim();
  const channel = detached((suffix === "" ? fields[3]!.trim() : suffix).slice(0, 40));
  const unit = file.streams.unit(fields[19]!, { channel, line });
  if (unit === undefined) return undefined;
  const sign = fields[7]!.trim();
  if (sign !== "I" && sign !== "E") {
    return file.wrong("DirectionIndicator", `The direction "${sign.slice(0, 20)}" is neither I nor E`);
  }
  // "Import" and "export" are the market's words, as in the suffixes of NEM12.
  const direction = sign === "E" ? "consumption" : "production";
  const stream: Stream = { meter, channel, ...unit, direction, register: true };
  const previous = stateAt(fields, 8, { stream, file, name: "Previous" });
  const current = stateAt(fields, 13, { stream, file, name: "Current" });
  if (previous === undefined || current === undefined) return undefined;
  if (current.time < previous.time) {
    return file.wrong("CurrentRegisterReadDateTime", "The current reading is older than the previous one");
  }
  // The quantity is not stored, but when it is no number the columns are likely to have moved.
  const quantity = fields[18]!.trim();
  if (quantity !== "" && parseDecimal(quantity, { mark: "." }) === undefined) {
    return file.wrong("Quantity", `The quantity "${quantity.slice(0, 40)}" is no number`);
  }
  const version = file.version(fields[21]);
  const states = [previous, current].map((state) => (version === undefined ? state : { ...state, version }));
  return { stream, states };
}

/** The state whose reading stands in field `at`, followed by time and quality. */
function stateAt(
  fields: string[],
  at: number,
  { stream, file, name }: { stream: Stream; file: Surroundings; name: string },
): RegisterState | undefined {
  const [text = "", printedTime = "", code = ""] = fields.slice(at, at + 3).map((field) => field.trim());
  const field = `${name}RegisterRead`;
  const number = stream.scale.parse(text);
  if (number === undefined && text !== "") return file.wrong(field, `"${text.slice(0, 40)}" is no number`);
  const time = marketTime(printedTime);
  if (time === undefined) {
    return file.wrong(`${field}DateTime`, `"${printedTime.slice(0, 20)}" is no date and time`);
  }
  const quality: Quality | undefined = qualityOf(code);
  if (quality === undefined) {
    return file.wrong(`${name}QualityMethod`, `"${code.slice(0, 20)}" is no quality flag`);
  }
  const value = number === undefined || quality === "missing" ? null : number.value;
  return { time, value, quality: value === null ? "missing" : quality, code };
}
