import { connector } from "../../collection/connector.ts";
import { demoUtility } from "./description.ts";
import { invoicesOf } from "./invoices.ts";
import { readMeters, readWanted } from "./reading.ts";
import { Pages } from "./session.ts";

/** The demo utility, through its customer pages. */
export const demoHttp = connector({
  ...demoUtility,
  name: "demo-http",
  title: "Älvdal Energi (demo, customer pages)",
  limits: { perMinute: 600, atOnce: 8 },
  discover: (visit) => readMeters(new Pages(visit), visit.now),
  collect: (visit, wanted) => readWanted(new Pages(visit), wanted, visit.step),
  invoices: (visit, isStored) => invoicesOf(new Pages(visit), isStored),
});
