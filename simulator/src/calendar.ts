/**
 * Local time of the utility: Central European Time, with summer time from the last Sunday of March to that of October
 * (Directive 2000/84/EC). A day is a number: days since 1970-01-01 on the local calendar. A month is `year * 12 + month`,
 * January 0. Instants are epoch milliseconds.
 */
export const hourMs = 3_600_000;
export const dayMs = 24 * hourMs;

interface Year {
  begin: number;
  end: number;
  /** Summer time, from and to. */
  from: number;
  to: number;
}

/** The year that was asked for last: questions come in the order of time. */
let year: Year = { begin: 0, end: 0, from: 0, to: 0 };

function yearOf(at: number): Year {
  if (at >= year.begin && at < year.end) return year;
  const number = new Date(at).getUTCFullYear();
  // Both changes happen at 01:00 UTC.
  const lastSunday = (month: number) => {
    const last = new Date(Date.UTC(number, month + 1, 0, 1));
    return last.getTime() - last.getUTCDay() * dayMs;
  };
  const begin = Date.UTC(number, 0, 1);
  year = { begin, end: Date.UTC(number + 1, 0, 1), from: lastSunday(2), to: lastSunday(9) };
  return year;
}

/** The local wall clock at an instant, as if it were UTC. */
export function localOf(at: number): number {
  const { from, to } = yearOf(at);
  return at + (at >= from && at < to ? 2 : 1) * hourMs;
}

/** The local day that an instant lies in. */
export const dayOf = (at: number): number => Math.floor(localOf(at) / dayMs);

/** Local midnight at which a day begins. */
export function startOfDay(day: number): number {
  const winter = day * dayMs - hourMs;
  // One hour before local midnight no change happens, so its offset is that of midnight.
  return localOf(winter - hourMs) - (winter - hourMs) === 2 * hourMs ? winter - hourMs : winter;
}

/** The month that a day lies in. */
export function monthOf(day: number): number {
  const date = new Date(day * dayMs);
  return date.getUTCFullYear() * 12 + date.getUTCMonth();
}

/** First day of a month. */
export const firstDayOf = (month: number): number => Date.UTC(Math.floor(month / 12), month % 12, 1) / dayMs;

/** `YYYY-MM-DD` */
export const dayText = (day: number): string => new Date(day * dayMs).toISOString().slice(0, 10);

/** `YYYY-MM` */
export const monthText = (month: number): string => dayText(firstDayOf(month)).slice(0, 7);

const twoDigits = Array.from({ length: 60 }, (_, i) => String(i).padStart(2, "0"));

/** The day whose text was asked for last: a file holds the rows of a day one after the other. */
let lastDay = { day: 0, text: "1970-01-01" };

/** Wall clock, `YYYY-MM-DD HH:mm`. */
export function wallText(at: number): string {
  const local = localOf(at);
  const day = Math.floor(local / dayMs);
  if (day !== lastDay.day) lastDay = { day, text: dayText(day) };
  const minutes = Math.floor((local - day * dayMs) / 60_000);
  return `${lastDay.text} ${twoDigits[Math.floor(minutes / 60)]}:${twoDigits[minutes % 60]}`;
}

/** With offset, `YYYY-MM-DDTHH:mm:ss+02:00`. */
export function offsetText(at: number): string {
  const local = localOf(at);
  return `${new Date(local).toISOString().slice(0, 19)}+0${(local - at) / hourMs}:00`;
}

/** The day that a text `YYYY-MM-DD` names; `undefined` when there is none. */
export function parseDay(text: string | undefined): number | undefined {
  if (text === undefined || !/^\d{4}-\d\d-\d\d$/.test(text)) return undefined;
  const at = Date.parse(`${text}T00:00:00Z`);
  if (Number.isNaN(at) || new Date(at).toISOString().slice(0, 10) !== text) return undefined;
  return at / dayMs;
}
