/** Languages of pages and files. Norwegian is only spoken when the pages were translated by surprise. */
export type Language = "sv" | "en" | "no";

const texts = {
  company: ["Älvdal Energi", "Älvdal Energi", "Älvdal Energi"],
  login: ["Logga in på Mina sidor", "Log in to My pages", "Logg inn på Min side"],
  username: ["Användarnamn", "User name", "Brukernavn"],
  password: ["Lösenord", "Password", "Passord"],
  enter: ["Logga in", "Log in", "Logg inn"],
  leave: ["Logga ut", "Log out", "Logg ut"],
  wrong: [
    "Fel användarnamn eller lösenord.",
    "Wrong user name or password.",
    "Feil brukernavn eller passord.",
  ],
  locked: [
    "Kontot är spärrat efter för många felaktiga försök. Ring kundtjänst.",
    "The account is locked after too many wrong attempts. Call customer service.",
    "Kontoen er sperret etter for mange forsøk. Ring kundeservice.",
  ],
  stale: [
    "Formuläret är för gammalt. Ladda om sidan och försök igen.",
    "The form is too old. Load the page again and retry.",
    "Skjemaet er for gammelt. Last siden på nytt.",
  ],
  codeTitle: ["Ange engångskod", "Enter the code", "Skriv inn engangskode"],
  codeHint: [
    "Vi har skickat en kod med sex siffror till din telefon.",
    "We sent a code of six digits to your phone.",
    "Vi har sendt en kode med seks siffer til telefonen din.",
  ],
  code: ["Engångskod", "Code", "Engangskode"],
  codeWrong: ["Fel kod.", "Wrong code.", "Feil kode."],
  next: ["Fortsätt", "Continue", "Fortsett"],
  captchaTitle: ["Visa att du är en människa", "Show that you are a person", "Vis at du er et menneske"],
  captchaHint: [
    "Skriv bokstäverna i bilden.",
    "Type the letters in the picture.",
    "Skriv bokstavene i bildet.",
  ],
  consentTitle: ["Nya villkor för Mina sidor", "New terms of My pages", "Nye vilkår for Min side"],
  consentHint: [
    "Du behöver godkänna de nya villkoren innan du kan fortsätta.",
    "You need to accept the new terms before you go on.",
    "Du må godta de nye vilkårene før du fortsetter.",
  ],
  accept: ["Godkänn", "Accept", "Godta"],
  maintenanceTitle: ["Underhåll pågår", "Maintenance", "Vedlikehold"],
  maintenance: [
    "Mina sidor är stängda för underhåll. Försök igen om en stund.",
    "My pages are closed for maintenance. Please try again in a while.",
    "Min side er stengt for vedlikehold. Prøv igjen om en stund.",
  ],
  errorTitle: ["Något gick fel", "Something went wrong", "Noe gikk galt"],
  error: [
    "Ett tekniskt fel har inträffat.",
    "A technical error has occurred.",
    "Det har oppstått en teknisk feil.",
  ],
  missing: ["Sidan finns inte.", "The page does not exist.", "Siden finnes ikke."],
  overview: ["Mina avtal", "My contracts", "Mine avtaler"],
  customer: ["Kund", "Customer", "Kunde"],
  customerNumber: ["Kundnummer", "Customer number", "Kundenummer"],
  contract: ["Avtal", "Contract", "Avtale"],
  kind: ["Slag", "Kind", "Type"],
  grid: ["Elnät", "Electricity grid", "Nettleie"],
  heat: ["Fjärrvärme", "District heating", "Fjernvarme"],
  water: ["Vatten", "Water", "Vann"],
  address: ["Adress", "Address", "Adresse"],
  since: ["Från och med", "From", "Fra og med"],
  until: ["Till och med", "To", "Til og med"],
  meters: ["Anläggningar", "Metering points", "Målepunkter"],
  meter: ["Anläggning", "Metering point", "Målepunkt"],
  ean: ["Anläggnings-id", "Metering point id", "Målepunkt-ID"],
  formerEan: ["Tidigare anläggnings-id", "Former metering point id", "Tidligere målepunkt-ID"],
  name: ["Benämning", "Name", "Navn"],
  type: ["Mätning", "Measures", "Måler"],
  electricity: ["El", "Electricity", "Strøm"],
  production: ["Produktion", "Production", "Produksjon"],
  serial: ["Mätarnummer", "Meter number", "Målernummer"],
  exchange: ["Mätarbyte", "Meter exchange", "Målerbytte"],
  ended: ["Avslutad", "Ended", "Avsluttet"],
  none: ["Inga anläggningar", "No metering points", "Ingen målepunkter"],
  noContract: [
    "Du har inga aktiva avtal hos oss.",
    "You have no active contracts with us.",
    "Du har ingen aktive avtaler.",
  ],
  page: ["Sida", "Page", "Side"],
  nextPage: ["Nästa", "Next", "Neste"],
  previousPage: ["Föregående", "Previous", "Forrige"],
  downloads: ["Hämta värden", "Download values", "Last ned verdier"],
  hours: ["Timvärden", "Hourly values", "Timeverdier"],
  quarters: ["Kvartsvärden", "Quarter-hourly values", "Kvartersverdier"],
  months: ["Månadsvärden", "Monthly values", "Månedsverdier"],
  invoices: ["Fakturor", "Invoices", "Fakturaer"],
  number: ["Fakturanummer", "Invoice number", "Fakturanummer"],
  issued: ["Fakturadatum", "Date", "Fakturadato"],
  amount: ["Belopp", "Amount", "Beløp"],
  file: ["Fil", "File", "Fil"],
  from: ["Från", "From", "Fra"],
  to: ["Till", "To", "Til"],
  usage: ["Förbrukning", "Usage", "Forbruk"],
  status: ["Status", "Status", "Status"],
  measured: ["Uppmätt", "Measured", "Målt"],
  estimated: ["Beräknad", "Estimated", "Estimert"],
  corrected: ["Korrigerad", "Corrected", "Korrigert"],
  created: ["Skapad", "Created", "Opprettet"],
  badPeriod: [
    "Välj en period: fr.o.m. och t.o.m. som ÅÅÅÅ-MM-DD, högst 400 dagar för timmar och 100 för kvartar.",
    "Choose a period: from and to as YYYY-MM-DD, at most 400 days of hours and 100 of quarters.",
    "Velg en periode: fra og til som ÅÅÅÅ-MM-DD, høyst 400 dager for timer og 100 for kvarter.",
  ],
} as const satisfies Record<string, readonly [string, string, string]>;

export type TextKey = keyof typeof texts;

/** Labels after the pages were made over. */
const renamed: Partial<Record<TextKey, readonly [string, string, string]>> = {
  username: ["Kundkonto", "Account", "Kundekonto"],
  password: ["Personlig kod", "Personal secret", "Personlig kode"],
  ean: ["Mätpunkt", "Point of delivery", "Leveringspunkt"],
  name: ["Plats", "Place", "Sted"],
  serial: ["Enhet nr", "Device no.", "Enhet nr."],
  from: ["Starttid", "Begins", "Starttid"],
  to: ["Sluttid", "Ends", "Sluttid"],
  usage: ["Energi", "Energy", "Energi"],
  status: ["Kvalitet", "Quality", "Kvalitet"],
  since: ["Avtalsstart", "Start", "Avtalestart"],
  until: ["Avtalsslut", "End", "Avtaleslutt"],
  address: ["Belägenhet", "Location", "Beliggenhet"],
};

const place: Readonly<Record<Language, 0 | 1 | 2>> = { sv: 0, en: 1, no: 2 };

/** How one visitor sees pages and files. */
export interface Look {
  language: Language;
  variant: "columns" | "labels" | "language" | "units" | "decimals" | null;
}

/** A text in the visitor's language. */
export function textOf({ language, variant }: Look, key: TextKey): string {
  const spoken = variant === "language" ? "no" : language;
  const row = (variant === "labels" ? renamed[key] : undefined) ?? texts[key];
  return row[place[spoken]];
}
