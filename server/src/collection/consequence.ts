import type { FailureKind, Words } from "./connector.ts";

/** States of a connection. */
export const connectionStates = [
  "checking",
  "collecting",
  "waiting_for_consent",
  "waiting_for_code",
  "credentials_refused",
  "consent_expired",
  "person_needed",
  "provider_unreachable",
  "page_changed",
  "contract_ended",
  "paused",
] as const;
export type ConnectionState = (typeof connectionStates)[number];

/** Who has to act. `customer`: whose credentials they are. `operator`: who runs this server. */
export type Actor = "nobody" | "customer" | "operator";

/** What a state means for people. */
export interface StateMeaning {
  who: Actor;
  what: Words;
}

/** Who acts in a state, and what is to be done. */
export const stateMeanings: Readonly<Record<ConnectionState, StateMeaning>> = {
  checking: {
    who: "nobody",
    what: {
      en: "The credentials are being checked.",
      sv: "Inloggningsuppgifterna kontrolleras.",
    },
  },
  collecting: {
    who: "nobody",
    what: { en: "Nothing: values are collected.", sv: "Ingenting: värden samlas in." },
  },
  waiting_for_consent: {
    who: "customer",
    what: {
      en: "Give consent at the provider, by the link that came with the connection. If it is too old, ask for a new one.",
      sv: "Ge ditt medgivande hos leverantören via länken som kom med kopplingen. Är den för gammal: be om en ny.",
    },
  },
  waiting_for_code: {
    who: "customer",
    what: {
      en: "Enter the code that the provider has sent. If it is too old, start a run to get a new one.",
      sv: "Ange koden som leverantören har skickat. Är den för gammal: starta en körning för att få en ny.",
    },
  },
  credentials_refused: {
    who: "customer",
    what: {
      en: "The provider refuses the credentials. Log in at the provider, and enter those that work there; if it is these, have them tried again.",
      sv: "Leverantören godtar inte uppgifterna. Logga in hos leverantören och ange dem som fungerar där; är det dessa, låt dem prövas igen.",
    },
  },
  consent_expired: {
    who: "customer",
    what: {
      en: "There is no consent, or not any more. Give it by a new link where the provider works with links; else at the provider, then start a run.",
      sv: "Medgivande saknas eller gäller inte längre. Ge det via en ny länk om leverantören använder länkar; annars hos leverantören, och starta sedan en körning.",
    },
  },
  person_needed: {
    who: "customer",
    what: {
      en: "The provider's pages ask for a person, for example to read a picture. Log in there, do what they ask, then start a run.",
      sv: "Leverantörens sidor vill ha en människa, till exempel för att läsa en bild. Logga in där, gör det de ber om och starta sedan en körning.",
    },
  },
  provider_unreachable: {
    who: "nobody",
    what: {
      en: "Nothing: the provider does not answer, and is tried again.",
      sv: "Ingenting: leverantören svarar inte, och nya försök görs.",
    },
  },
  page_changed: {
    who: "operator",
    what: {
      en: "The provider answers in a way that its connector does not know. Nothing was stored; the connector needs a change.",
      sv: "Leverantören svarar på ett sätt som kopplingen inte känner till. Inget har lagrats; kopplingen behöver ändras.",
    },
  },
  contract_ended: {
    who: "customer",
    what: {
      en: "The customer has no contract with the provider now; one is looked for once a week. Delete the connection and keep its data, or enter new credentials.",
      sv: "Kunden har inget avtal med leverantören nu; en gång i veckan söks ett nytt. Ta bort kopplingen men behåll data, eller ange nya uppgifter.",
    },
  },
  paused: {
    who: "nobody",
    what: { en: "Nothing is collected until it is resumed.", sv: "Inget samlas in förrän den återupptas." },
  },
};

/** When a connection is tried again by itself after a failure. */
export type Retry = "never" | "backoff" | "daily" | "weekly";

/** What follows from a kind of failure. */
export interface Consequence {
  /** Null: it stays what it was. */
  state: ConnectionState | null;
  retry: Retry;
  /** Failing for so many hours opens an issue; 0: at once. */
  issueAfterHours: number;
  /** Counts against the provider: when it fails for many, others wait. */
  isProviders: boolean;
}

/** The one table: a connector says what kind of failure it met, this says what becomes of it. */
export const consequences: Readonly<Record<FailureKind, Consequence>> = {
  credentials: { state: "credentials_refused", retry: "never", issueAfterHours: 0, isProviders: false },
  code: { state: "waiting_for_code", retry: "never", issueAfterHours: 0, isProviders: false },
  consent: { state: "consent_expired", retry: "never", issueAfterHours: 0, isProviders: false },
  person: { state: "person_needed", retry: "never", issueAfterHours: 0, isProviders: false },
  // A contract may only begin later, or another one follow.
  ended: { state: "contract_ended", retry: "weekly", issueAfterHours: 0, isProviders: false },
  unreachable: { state: "provider_unreachable", retry: "backoff", issueAfterHours: 24, isProviders: true },
  busy: { state: null, retry: "backoff", issueAfterHours: 24, isProviders: true },
  changed: { state: "page_changed", retry: "daily", issueAfterHours: 0, isProviders: false },
};

/** Issues that are no states: they concern a meter or a file. */
const otherIssues = {
  meter_vanished: {
    who: "customer",
    what: {
      en: "The provider does not show the meter any more. Its values are kept. Ask the provider, or put the meter away.",
      sv: "Leverantören visar inte mätaren längre. Dess värden finns kvar. Fråga leverantören, eller lägg undan mätaren.",
    },
  },
  meter_id_conflict: {
    who: "customer",
    what: {
      en: "The metering point has a new number at the provider, which another meter of the account has already.",
      sv: "Mätpunkten har fått ett nytt nummer hos leverantören, som en annan mätare i kontot redan har.",
    },
  },
  file_refused: {
    who: "customer",
    what: {
      en: "A file could not be read, and nothing of it was stored. Put a corrected one in its place, or take it away.",
      sv: "En fil kunde inte läsas, och inget ur den har lagrats. Lägg en rättad fil i dess ställe, eller ta bort den.",
    },
  },
} as const satisfies Record<string, StateMeaning>;

/** Kinds of issues. */
export const issueKinds = [
  "waiting_for_code",
  "credentials_refused",
  "consent_expired",
  "person_needed",
  "provider_unreachable",
  "page_changed",
  "contract_ended",
  "meter_vanished",
  "meter_id_conflict",
  "file_refused",
] as const satisfies readonly (ConnectionState | keyof typeof otherIssues)[];
export type IssueKind = (typeof issueKinds)[number];

/** Who owns an issue, and what is to be done. An issue always has somebody: a provider that stays away, the operator. */
export function meaningOf(kind: IssueKind): StateMeaning {
  if (isOther(kind)) return otherIssues[kind];
  const meaning = stateMeanings[kind];
  return meaning.who === "nobody" ? { ...meaning, who: "operator" } : meaning;
}

/** Is an issue about something else than the state of its connection? */
export function isOther(kind: IssueKind): kind is keyof typeof otherIssues {
  return kind in otherIssues;
}
