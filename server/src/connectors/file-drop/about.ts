import { granularities } from "../../platform/granularity.ts";

/** What is the same of all providers that send files: what they hold depends on who sends them. */
export const about = {
  countries: [],
  types: ["electricity", "heat", "cooling", "gas", "hot_water", "water", "sensor"],
  granularities,
  // As far back as a file goes; what is corrected comes in another file.
  historyDays: 36_500,
  latenessHours: 24,
  correctionDays: 0,
  help: {
    en: "Ask the provider to put its files where both can reach them, and enter how to log in there. Files of meter values of every format that can be uploaded are read, also packed ones.",
    sv: "Be leverantören lägga sina filer där båda kommer åt dem, och ange hur man loggar in där. Filer med mätvärden i alla format som kan laddas upp läses, även packade.",
  },
  limits: { perMinute: 600, atOnce: 16, ownServers: true },
  async *discover() {},
  async *collect() {},
} as const;
