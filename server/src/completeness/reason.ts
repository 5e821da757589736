import { type StateMeaning, stateMeanings } from "../collection/collection.ts";

/** What a reason for a missing value means. */
export interface ReasonMeaning extends Omit<StateMeaning, "who"> {
  /** Should the value be there, so that it counts as missing? */
  expected: boolean;
  /** Does it need following up, so that a complaint is opened? */
  complaint: boolean;
  who: StateMeaning["who"] | "provider";
}

const state = (name: keyof typeof stateMeanings): ReasonMeaning => ({
  expected: true,
  complaint: true,
  ...stateMeanings[name],
});

/**
 * Why a value is missing, the most hopeful first: of several sources of a meter the first reason in this order counts.
 */
export const reasonMeanings = {
  late_as_usual: {
    expected: true,
    complaint: false,
    who: "nobody",
    what: {
      en: "Nothing: values of this meter usually come later than this.",
      sv: "Ingenting: mätarens värden brukar komma senare än så här.",
    },
  },
  not_asked_yet: {
    expected: true,
    complaint: false,
    who: "nobody",
    what: {
      en: "Nothing: the connection has not asked for these values yet.",
      sv: "Ingenting: kopplingen har inte frågat efter värdena än.",
    },
  },
  history_pending: {
    expected: true,
    complaint: false,
    who: "nobody",
    what: {
      en: "Nothing: history is read in steps, and has not come so far yet.",
      sv: "Ingenting: historiken läses i steg och har inte kommit så långt än.",
    },
  },
  provider_busy: {
    expected: true,
    complaint: true,
    who: "nobody",
    what: {
      en: "Nothing: the provider asks for a pause, and is tried again.",
      sv: "Ingenting: leverantören ber om en paus, och nya försök görs.",
    },
  },
  provider_unreachable: state("provider_unreachable"),
  waiting_for_consent: state("waiting_for_consent"),
  waiting_for_code: state("waiting_for_code"),
  person_needed: state("person_needed"),
  page_changed: state("page_changed"),
  consent_expired: state("consent_expired"),
  credentials_refused: state("credentials_refused"),
  paused: { ...state("paused"), who: "customer" },
  not_delivered: {
    expected: true,
    complaint: true,
    who: "provider",
    what: {
      en: "The provider was asked and has no value. If it stays like that, ask the provider for it.",
      sv: "Leverantören har tillfrågats men har inget värde. Kvarstår det: fråga leverantören.",
    },
  },
  contract_ended: state("contract_ended"),
  meter_vanished: {
    expected: true,
    complaint: true,
    who: "customer",
    what: {
      en: "The provider does not show the meter any more. Ask the provider, or say when its holder moved out.",
      sv: "Leverantören visar inte mätaren längre. Fråga leverantören, eller ange när innehavaren flyttade ut.",
    },
  },
  connection_removed: {
    expected: true,
    complaint: true,
    who: "customer",
    what: {
      en: "The connection that collected the meter was deleted. Connect again, or put the meter away.",
      sv: "Kopplingen som samlade in mätaren har tagits bort. Koppla på nytt, eller lägg undan mätaren.",
    },
  },
  not_uploaded: {
    expected: true,
    complaint: true,
    who: "customer",
    what: {
      en: "No connection brings these values. Upload them, or connect with the provider.",
      sv: "Ingen koppling hämtar värdena. Ladda upp dem, eller koppla till leverantören.",
    },
  },
  not_available: {
    expected: true,
    complaint: true,
    who: "nobody",
    what: {
      en: "Whoever collects the meter does not have its values. Ask the account that shared it.",
      sv: "Den som samlar in mätaren har inte dess värden. Fråga kontot som delade den.",
    },
  },
  not_collected: {
    expected: false,
    complaint: false,
    who: "customer",
    what: {
      en: "Nothing is collected: the holder has put the meter away, or nobody keeps it in the box active.",
      sv: "Inget samlas in: innehavaren har lagt undan mätaren, eller så är den inte aktiv hos någon.",
    },
  },
  ended: {
    expected: false,
    complaint: false,
    who: "nobody",
    what: {
      en: "Nothing: the contract has ended, or the holder has moved out.",
      sv: "Ingenting: avtalet har upphört, eller så har innehavaren flyttat ut.",
    },
  },
  not_started: {
    expected: false,
    complaint: false,
    who: "nobody",
    what: {
      en: "Nothing: it lies before the first value, or before the holder moved in.",
      sv: "Ingenting: det ligger före det första värdet, eller före innehavarens inflyttning.",
    },
  },
  before_history: {
    expected: false,
    complaint: false,
    who: "nobody",
    what: {
      en: "Nothing: the provider has no values from so long ago.",
      sv: "Ingenting: leverantören har inga värden från så långt tillbaka.",
    },
  },
  never_had: {
    expected: false,
    complaint: false,
    who: "nobody",
    what: {
      en: "Nothing: the meter never had values of this metric in this granularity.",
      sv: "Ingenting: mätaren har aldrig haft värden för det här måttet i den här upplösningen.",
    },
  },
} as const satisfies Record<string, ReasonMeaning>;

/** Why a value is missing. */
export type Reason = keyof typeof reasonMeanings;

/** All reasons, the most hopeful first. */
export const reasons = Object.keys(reasonMeanings) as [Reason, ...Reason[]];

const ranks = new Map(reasons.map((reason, rank) => [reason, rank]));

/** Why a value is missing, when it is tried again (epoch ms, null for never by itself) and by which connection. */
export interface Verdict {
  reason: Reason;
  nextTry: number | null;
  connectionId: string | null;
}

/** The most hopeful of several, the first of equals. */
export function mostHopeful(verdicts: readonly Verdict[]): Verdict {
  return verdicts.reduce((best, each) => (ranks.get(each.reason)! < ranks.get(best.reason)! ? each : best));
}

/** Is it expected that a value is there where this is the reason for a gap? */
export const isExpected = (reason: Reason): boolean => reasonMeanings[reason].expected;

/** Does a gap with this reason need somebody who follows it up? */
export const needsComplaint = (reason: Reason): boolean => reasonMeanings[reason].complaint;

/**
 * What an account is told that neither holds the meter nor manages its holder: how the connections of others fare is
 * none of its business.
 */
export function forOutsiders(verdict: Verdict): Verdict {
  if (!isExpected(verdict.reason) || verdict.reason === "late_as_usual") {
    return { ...verdict, nextTry: null, connectionId: null };
  }
  return { reason: "not_available", nextTry: null, connectionId: null };
}
