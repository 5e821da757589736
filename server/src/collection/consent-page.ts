import type { Words } from "./connector.ts";
import { languageOf, wordsIn } from "./provider.ts";

/** How a way back from a provider ended. */
type Ending = "given" | "declined" | "old" | "stranger";

const texts: Readonly<Record<Ending, { title: Words; text: Words }>> = {
  given: {
    title: { en: "Thank you", sv: "Tack" },
    text: {
      en: "Your answer has arrived, and collecting begins. You can close this window.",
      sv: "Ditt svar har kommit fram och insamlingen börjar. Du kan stänga fönstret.",
    },
  },
  declined: {
    title: { en: "No consent was given", sv: "Inget medgivande gavs" },
    text: {
      en: "The provider says that you declined. Nothing is collected. You can close this window.",
      sv: "Leverantören säger att du tackade nej. Inget samlas in. Du kan stänga fönstret.",
    },
  },
  old: {
    title: { en: "This link is too old", sv: "Länken är för gammal" },
    text: {
      en: "It was used already, or more than 15 minutes have passed. Nothing was changed. Ask for a new link.",
      sv: "Den har redan använts, eller så har mer än 15 minuter gått. Inget har ändrats. Be om en ny länk.",
    },
  },
  stranger: {
    title: { en: "Log in first", sv: "Logga in först" },
    text: {
      en: "This link belongs to somebody who was logged in. Log in as that person, then load this page again.",
      sv: "Länken hör till någon som var inloggad. Logga in som den personen och ladda sedan om sidan.",
    },
  },
};

/** A page without anything to load or run, for the customer who comes back. */
export function consentPage(ending: Ending, language: string): string {
  const { title, text } = texts[ending];
  const heading = wordsIn(title, language);
  return `<!doctype html>
<html lang="${languageOf(language)}">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>${heading}</title>
<style>body { font: 1.1rem/1.5 system-ui, sans-serif; max-width: 32rem; margin: 15vh auto; padding: 0 1rem }</style>
</head>
<body>
<h1>${heading}</h1>
<p>${wordsIn(text, language)}</p>
</body>
</html>
`;
}
