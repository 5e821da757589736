/** Day 0 of spreadsheets: 1900 counts as a leap year there, so days from March 1900 on count from 1899-12-30. */
const since1900 = Date.UTC(1899, 11, 30);
const since1904 = Date.UTC(1904, 0, 1);

/** Number formats of ECMA-376 18.8.30 that print dates and times without a code of their own. */
function isBuiltIn(id: number): boolean {
  return (id >= 14 && id <= 22) || (id >= 27 && id <= 36) || (id >= 45 && id <= 47) || (id >= 50 && id <= 58);
}

/** Does a number format print a date or a time? */
export function isDateFormat(id: number, code: string | undefined): boolean {
  if (code === undefined) return isBuiltIn(id);
  // Quoted and escaped text, colours and locales in brackets are no codes; [h] and [mm] are.
  const bare = code
    .slice(0, 255)
    .replace(/"[^"]*"/g, "")
    .replace(/\\./g, "")
    .replace(/\[(?![hms]+\])[^\]]*\]/gi, "");
  return /[ymdhs]/i.test(bare) && !/general/i.test(bare);
}

/**
 * The date of a serial number as ISO text to the second (`2024-03-31 02:30:00`), a time of day for numbers below 1, undefined
 * for numbers that are no date. Rounded to the second, because 1/24 of a day has no exact double.
 */
export function serialText(serial: number, from1904: boolean): string | undefined {
  if (!(serial >= 0 && serial < 200_000)) return undefined;
  const seconds = Math.round(serial * 86_400);
  const iso = new Date((from1904 ? since1904 : since1900) + seconds * 1000).toISOString();
  return serial < 1 && !from1904 ? iso.slice(11, 19) : `${iso.slice(0, 10)} ${iso.slice(11, 19)}`;
}
