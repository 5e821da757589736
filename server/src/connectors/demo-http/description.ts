import { z } from "zod";
import { fieldMarks, line, secret, titled } from "../../collection/connector.ts";

/** What is the same of the demo utility however its pages are asked for. */
export const demoUtility = {
  countries: ["SE"],
  types: ["electricity", "heat", "water"],
  granularities: ["15min", "hour", "month"],
  historyDays: 765,
  latenessHours: 34,
  correctionDays: 62,
  help: {
    en: "The demo utility runs beside this server. Its manual lists the logins; the password of the reserved ones is demo.",
    sv: "Demobolaget körs bredvid denna server. Inloggningarna står i dess handbok; de reserverade har lösenordet demo.",
  },
  settings: z.object({
    url: titled(
      z
        .url({ protocol: /^https?$/, error: "must be an address that begins with http:// or https://" })
        .max(500)
        .register(fieldMarks, { place: "origin" }),
      { en: "Address of the customer pages", sv: "Adress till kundsidorna" },
      { en: "http://localhost:8090", sv: "http://localhost:8090" },
    ),
    username: titled(line(100), { en: "User name", sv: "Användarnamn" }),
    password: titled(secret(), { en: "Password", sv: "Lösenord" }),
  }),
} as const;
