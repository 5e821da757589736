import { unitName } from "../formats/format.ts";

/** What a row is billed by. `time` also stands for fuse sizes: both are fixed. */
export type UnitKind = "energy" | "reactive" | "power" | "flow" | "volume" | "area" | "time";

/** By name in small letters, in the order in which they decide: "kW,mån" is power, "kr/kWh" energy. */
const names: readonly [UnitKind, readonly string[]][] = [
  ["energy", words("wh kwh mwh gwh twh j kj mj gj tj btu therm")],
  ["reactive", words("varh kvarh mvarh var kvar mvar")],
  ["power", words("w kw mw kva mva")],
  ["flow", words("m3/h m³/h m3/s m3/day l/h l/min l/s")],
  ["volume", words("m3 m³ nm3 kbm l liter litre litra")],
  ["area", words("m2 m² kvm qm")],
  [
    "time",
    words(
      "day days dag dagar dygn tag tage dage døgn dager pv päivä week weeks vecka veckor woche wochen " +
        "month months mon mån månad månader mnd md mdr måned måneder monat monate kk kuukausi " +
        "quarter kvartal quartal year years ann år jahr jahre vuosi vuotta v a h amp",
    ),
  ],
];

function words(text: string): string[] {
  return text.split(" ");
}

/** What a unit as printed, or its code, measures; undefined for pieces and what we do not know. */
export function unitKind(unit: string | null): UnitKind | undefined {
  if (unit === null) return undefined;
  const name = unitName(unit).toLowerCase();
  const parts = new Set([name, ...name.split(/[^\p{L}\p{N}³²]+/u)]);
  return names.find(([, known]) => known.some((each) => parts.has(each)))?.[0];
}
