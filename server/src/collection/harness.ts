import { z } from "zod";
import { type Connector, connector, line, secret, titled } from "./connector.ts";

/** A provider that a test plays: what it does not say is a quiet provider without meters. */
export function scriptedConnector(parts: Partial<Connector> = {}): Connector {
  const scripted = connector({
    name: "scripted",
    title: "Scripted Energi",
    countries: ["SE"],
    types: ["electricity"],
    granularities: ["hour", "day", "month"],
    historyDays: 30,
    latenessHours: 12,
    correctionDays: 3,
    help: { en: "Ask the test.", sv: "Fråga testet." },
    settings: z.object({
      username: titled(line(200), { en: "Customer number", sv: "Kundnummer" }),
      password: titled(
        secret(),
        { en: "Password", sv: "Lösenord" },
        { en: "Stands on the bill", sv: "Står på fakturan" },
      ),
    }),
    limits: { perMinute: 1_000, atOnce: 10 },
    async *discover() {},
    async *collect() {},
  });
  return { ...scripted, ...parts };
}
