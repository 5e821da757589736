import { z } from "zod";
import { meterTypes } from "../meters/meters.ts";
import type { Settings } from "../platform/deps.ts";
import { granularities } from "../platform/granularity.ts";
import { type Connector, type Language, languages, markOf, type Words, wordsOf } from "./connector.ts";

type Setups = Settings["providers"];

/** A provider as the API shows it. */
export const providerView = z.object({
  name: z.string().meta({ description: "What connections name it by.", example: "eloverblik" }),
  title: z.string(),
  countries: z.array(z.string()).describe("ISO 3166 codes; empty for all"),
  types: z.array(z.enum(meterTypes)),
  granularities: z.array(z.enum(granularities)),
  history_days: z.int().describe("How far back values are"),
  lateness_hours: z.number().describe("Hours after a period until its values are usually there"),
  correction_days: z.number().describe("Days that are read again each time, because they are corrected"),
  terms: z.string().nullable().describe("Address of the terms that the customer agrees to"),
  available: z.boolean().describe("Whether this server can ask it"),
  unavailable_because: z
    .string()
    .nullable()
    .describe("What is to be done on the server, when it is not available"),
  consent: z
    .enum(["link"])
    .nullable()
    .describe(
      "`link`: a new connection answers with an address at which the customer gives consent, in their browser",
    ),
  help: z.string().describe("How a customer gets access, in the language of the account"),
  credentials: z
    .record(z.string(), z.unknown())
    .describe(
      "JSON Schema of what a connection needs; titles and hints in the language of the account. Fields that are " +
        "`writeOnly` are never shown again.",
    ),
});

/** The texts that an account reads: Swedish for Swedish accounts, else English. */
export function wordsIn(words: Words, language: string): string {
  return words[languageOf(language)];
}

/** The language of ours that is closest to that of an account. */
export function languageOf(language: string): Language {
  return languages.find((each) => each === language) ?? "en";
}

/**
 * Shows the provider of a connector, with the names that the operator has set up. `trouble`: why it cannot be asked.
 */
export function viewProvider(
  connector: Connector,
  { language, setups, trouble }: { language: string; setups: Setups; trouble: string | undefined },
): z.output<typeof providerView> {
  const isSetUp = connector.operator === undefined || Object.keys(setups[connector.name] ?? {}).length > 0;
  const why = trouble ?? (isSetUp ? undefined : "Register the server there, and set METERTREE_PROVIDERS.");
  return {
    name: connector.name,
    title: connector.title,
    countries: [...connector.countries],
    types: [...connector.types],
    granularities: [...connector.granularities],
    history_days: connector.historyDays,
    lateness_hours: connector.latenessHours,
    correction_days: connector.correctionDays,
    terms: connector.terms ?? null,
    available: why === undefined,
    unavailable_because: why ?? null,
    consent: connector.consent === undefined ? null : "link",
    help: wordsIn(connector.help, language),
    credentials: credentialsSchema(connector, { language, setups }),
  };
}

function credentialsSchema(
  { name: provider, settings, operator }: Connector,
  { language, setups }: { language: string; setups: Setups },
): Record<string, unknown> {
  const { required = [] } = z.toJSONSchema(settings, { io: "input" });
  const properties = Object.entries(settings.shape).map(([name, field]) => {
    const { $schema: _, ...schema } = z.toJSONSchema(field, { io: "input" });
    const words = wordsOf(field);
    const shown =
      markOf(field).secret === "whole" ? { type: "string", format: "password", writeOnly: true } : schema;
    return [
      name,
      {
        ...shown,
        ...(name === operator?.field ? { enum: Object.keys(setups[provider] ?? {}) } : {}),
        ...(words === undefined ? {} : { title: wordsIn(words.title, language) }),
        ...(words?.hint === undefined ? {} : { description: wordsIn(words.hint, language) }),
      },
    ];
  });
  return { type: "object", properties: Object.fromEntries(properties), required };
}
