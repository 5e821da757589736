import { decimalOf } from "../../platform/decimal.ts";

/** Most decimals that any of the values has; NaN has none. */
export function decimalsOf(values: Float64Array): number {
  let most = 0;
  for (const value of values) if (!Number.isNaN(value)) most = Math.max(most, decimalOf(value).e);
  return most;
}

/** Moves the decimal mark of plain text by `places` to the right, exactly: `shifted("-1.25", 3)` is `-1250`. */
export function shifted(text: string, places: number): string {
  const sign = text.startsWith("-") ? "-" : "";
  const [whole = "", fraction = ""] = text.slice(sign.length).split(".");
  const digits = whole + fraction.padEnd(places, "0");
  const point = whole.length + places;
  const left = digits.slice(0, point).replace(/^0+(?=\d)/, "");
  const right = digits.slice(point).replace(/0+$/, "");
  return (left === "0" && right === "" ? "" : sign) + left + (right === "" ? "" : `.${right}`);
}
