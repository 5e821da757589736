/**
 * Codes of UN/ECE recommendation 20 (and the P of recommendation 21) that invoices of utilities use, by the
 * name that people write. Codes are printed in capitals; other units stay as they are.
 */
const names: Readonly<Record<string, string>> = {
  WHR: "Wh",
  KWH: "kWh",
  MWH: "MWh",
  GWH: "GWh",
  WTT: "W",
  KWT: "kW",
  MAW: "MW",
  KVA: "kVA",
  MVA: "MVA",
  KVR: "kVAr",
  MAR: "MVAr",
  K3: "kVArh",
  MAH: "MVArh",
  JOU: "J",
  KJO: "kJ",
  "3B": "MJ",
  GV: "GJ",
  MTQ: "m3",
  LTR: "l",
  MQH: "m3/h",
  MQS: "m3/s",
  L2: "l/min",
  G52: "m3/day",
  NM3: "Nm3",
  BTU: "Btu",
  TP: "therm",
  AMP: "A",
  CEL: "°C",
  KEL: "K",
  MTK: "m2",
  KGM: "kg",
  TNE: "t",
  DAY: "day",
  WEE: "week",
  MON: "month",
  QAN: "quarter",
  ANN: "year",
  HUR: "h",
  MIN: "min",
  P1: "%",
  C62: "piece",
  EA: "piece",
  H87: "piece",
  NAR: "piece",
  PCE: "piece",
  XPP: "piece",
  ZZ: "piece",
  LS: "lump sum",
};

/** The name of a unit code, as in `kWh` for `KWH`; the text itself when it is no code that we know. */
export function unitName(unit: string): string {
  return Object.hasOwn(names, unit) ? names[unit]! : unit;
}
