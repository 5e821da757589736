import { connector } from "../../collection/connector.ts";
import { demoUtility } from "../demo-http/description.ts";
import { invoicesOf } from "../demo-http/invoices.ts";
import { readMeters, readWanted } from "../demo-http/reading.ts";
import { BrowserPages } from "./session.ts";

/** The demo utility, through its customer pages in a real browser. */
export const demoBrowser = connector({
  ...demoUtility,
  name: "demo-browser",
  title: "Älvdal Energi (demo, customer pages in a browser)",
  limits: { perMinute: 600, atOnce: 2 },
  needs: "browser",
  browser: {
    hosts: ({ url }) => [new URL(url).host],
    locale: "sv-SE",
    timezone: "Europe/Stockholm",
  },
  discover: (visit) => readMeters(new BrowserPages(visit), visit.now),
  collect: (visit, wanted) => readWanted(new BrowserPages(visit), wanted, visit.step),
  invoices: (visit, isStored) => invoicesOf(new BrowserPages(visit), isStored),
});
