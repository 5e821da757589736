import type { FaultKind } from "./faults.ts";

/** How often values of a customer do not simply arrive: shares of days, of months for `rewrites`. */
export interface Habits {
  late: number;
  /** The second half of the day comes later. */
  halves: number;
  /** Estimated values are replaced. */
  corrections: number;
  /** A whole month is replaced after its end. */
  rewrites: number;
  /** Rows stand twice in files. */
  duplicates: number;
}

export const usualHabits: Habits = {
  late: 0.03,
  halves: 0.02,
  corrections: 0.04,
  rewrites: 0.006,
  duplicates: 0.01,
};
const none: Habits = { late: 0, halves: 0, corrections: 0, rewrites: 0, duplicates: 0 };

/** A reserved login for a situation, always there. */
export interface Situation {
  username: string;
  password: string;
  /** What happens, for the table of the manual. */
  about: string;
  hasCode?: true;
  ended?: true;
  /** Attempts of this customer always end this way. */
  fault?: { kind: FaultKind; [option: string]: unknown };
  habits?: Habits;
}

const faulty = (username: string, about: string, fault: Situation["fault"]): Situation => ({
  username,
  password: "demo",
  about,
  fault,
  habits: none,
});

const usual = (username: string, about: string, more: Partial<Situation> = {}): Situation => ({
  username,
  password: "demo",
  about,
  habits: none,
  ...more,
});

/** Reserved logins; the table of README.md is this list. */
export const situations: readonly Situation[] = [
  usual("demo", "16 metering points in 3 contracts, values as they should be"),
  usual("quarter", "electricity in quarters of an hour"),
  usual("code", "a code is asked for after the password", { hasCode: true }),
  faulty("changed", "the password `demo` was right once and is refused", { kind: "wrong_password" }),
  faulty("locked", "the account is locked, whatever the password", { kind: "account_locked" }),
  faulty("consent", "new terms must be accepted by a person before the pages open", { kind: "consent" }),
  faulty("captcha", "a picture must be read by a person after the password", { kind: "captcha" }),
  faulty("maintenance", "every page after the login says maintenance, with status 200", {
    kind: "maintenance",
  }),
  faulty("slow", "every answer takes two seconds", { kind: "slow", seconds: 2 }),
  faulty("busy", "429 with `Retry-After: 1` for every fourth request", {
    kind: "busy",
    every: 4,
    seconds: 1,
  }),
  faulty("error", "500 for everything after the login", { kind: "error" }),
  faulty("flaky", "500 for every fifth request", { kind: "error", every: 5 }),
  faulty("session", "the session is lost after every eight requests", { kind: "session_lost", after: 8 }),
  faulty("empty", "the list of metering points is empty", { kind: "empty_list" }),
  faulty("half", "every second metering point is gone", { kind: "half_meters" }),
  faulty("columns", "columns stand in another order", { kind: "layout", variant: "columns" }),
  faulty("labels", "labels and column names are renamed", {
    kind: "layout",
    variant: "labels",
  }),
  faulty("translated", "pages and files are in Norwegian, whatever was asked for", {
    kind: "layout",
    variant: "language",
  }),
  faulty("units", "energy is told in MWh, water in litres", { kind: "layout", variant: "units" }),
  faulty("decimals", "numbers have a decimal point and commas between thousands", {
    kind: "layout",
    variant: "decimals",
  }),
  usual("late", "every day arrives one to five days late", { habits: { ...none, late: 1 } }),
  usual("halves", "every day arrives in two halves", { habits: { ...none, halves: 1 } }),
  usual("corrected", "every day has estimates that are replaced within 20 days", {
    habits: { ...none, corrections: 1 },
  }),
  usual("rewritten", "every month is rewritten after its end", { habits: { ...none, rewrites: 1 } }),
  usual("duplicates", "rows stand twice in files", { habits: { ...none, duplicates: 1 } }),
  usual("exchange", "meters are exchanged and their EAN changes during the year", {}),
  usual("moveout", "contracts end 20 to 40 days after the year began", {}),
  usual("ended", "all contracts have ended", { ended: true }),
];
