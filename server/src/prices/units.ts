import { unitName } from "../formats/format.ts";
import { Money } from "./money.ts";

/** What a unit of a calculation is in units as invoices print them, in small letters: how many of ours one of theirs is. */
const sizes: Readonly<Record<string, Readonly<Record<string, string>>>> = {
  kWh: { wh: "0.001", kwh: "1", mwh: "1000", gwh: "1000000" },
  kW: { w: "0.001", kw: "1", mw: "1000" },
  kVArh: { varh: "0.001", kvarh: "1", mvarh: "1000" },
  kVAr: { var: "0.001", kvar: "1", mvar: "1000" },
  kVAh: { kvah: "1", mvah: "1000" },
  kVA: { kva: "1", mva: "1000" },
  m3: { m3: "1", "m³": "1", nm3: "1", kbm: "1", l: "0.001", liter: "0.001", litre: "0.001" },
  day: all("day days dag dagar dygn tage dage døgn dager pv päivä"),
  month: all("month months mon mån mnd md mdr månad månader måned måneder monat monate kk kuukausi"),
  year: all("year years år ann jahr jahre vuosi a"),
};

function all(words: string): Record<string, string> {
  return Object.fromEntries(words.split(" ").map((word) => [word, "1"]));
}

/** Hundredths of a currency, by name. */
const hundredths = new Set("öre ore øre cent cents ct c snt".split(" "));

/** How many of `ours` one of the printed unit is; null when they do not measure the same. */
export function sizeIn(ours: string, printed: string): Money | null {
  const known = sizes[ours];
  if (known === undefined) return null;
  for (const word of wordsOf(printed)) if (Object.hasOwn(known, word)) return new Money(known[word]!);
  return null;
}

function wordsOf(printed: string): string[] {
  const name = unitName(printed.trim()).toLowerCase();
  return name.split(/[^\p{L}\p{N}³]+/u).filter((word) => word !== "");
}

/**
 * A printed price in the unit of ours: `öre/kWh` as `SEK/kWh`. Null when they cannot be compared. A time that only one
 * of them names is taken as the same: `kr/kW` of a monthly invoice is for the month.
 */
export function priceIn(ours: string, price: Money, printed: string): Money | null {
  const [money = "", ...per] = printed.split(/\/|\bper\b/u);
  const [, ...wanted] = ours.split("/");
  const rest = per.join(" ");
  let found = hundredths.has(money.trim().toLowerCase()) ? price.div(100) : price;
  for (const unit of wanted) {
    const size = sizeIn(unit, rest);
    if (size !== null) found = found.div(size);
    else if (!isTime(unit) || namesTime(rest)) return null;
  }
  return found;
}

const times = ["day", "month", "year"] as const;
const isTime = (unit: string) => (times as readonly string[]).includes(unit);
const namesTime = (printed: string) => printed === "" || times.some((time) => sizeIn(time, printed) !== null);
