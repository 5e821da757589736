/** Numbers things of a kind, from 1. */
export type Counter = (kind: string) => number;

/** Something personal in a text, and what stands for it. */
export interface Personal {
  value: string;
  placeholder(names: Counter): string;
}

/** Neither letter, digit nor what joins them stands beside it. */
const alone = (pattern: string) => new RegExp(`(?<![\\w.@+-])(?:${pattern})(?![\\w@-])`, "g");
const email = /[\w.%+-]+@[\w-]+(?:\.[\w-]+)+/g;
const phone = alone(String.raw`\+\d{2}(?:[\s-]?\d){7,12}|0\d{1,3}[ -]\d{2,4}(?: ?\d{2}){2,3}`);
/** Personal numbers that are known by a check: Sweden, Norway, Finland, Spain; Denmark by its day. */
const numbers: readonly { pattern: RegExp; isOne(text: string): boolean }[] = [
  {
    pattern: alone(String.raw`(?:19|20)?\d{6}[-+]\d{4}`),
    isOne: (text) => isSwedish(text) || isDanish(text),
  },
  {
    pattern: alone(String.raw`(?:19|20)\d{10}`),
    isOne: (text) => isSwedish(text) && !isClock(text.slice(-4)),
  },
  { pattern: alone(String.raw`\d{11}`), isOne: isNorwegian },
  { pattern: alone(String.raw`\d{6}[-+A]\d{3}[0-9A-Y]`), isOne: isFinnish },
  { pattern: alone(String.raw`(?:\d|[XYZ])\d{7}[A-Z]`), isOne: isSpanish },
];

/** E-mail addresses, telephone and personal numbers, and numbers of metering points, wherever they stand in a text. */
export function personalIn(text: string): Personal[] {
  const found = new Map<string, Personal>();
  const add = (value: string, placeholder: Personal["placeholder"]) =>
    found.set(value, { value, placeholder });
  for (const [value] of text.matchAll(email)) {
    if (!value.endsWith("@example.com")) add(value, (names) => `person-${names("person")}@example.com`);
  }
  for (const { pattern, isOne } of numbers) {
    for (const [value] of text.matchAll(pattern)) {
      if (isOne(value)) add(value, (names) => sameShape(value, names("number")));
    }
  }
  for (const [value] of text.matchAll(alone(String.raw`[57]\d{17}|ES\d{16}[A-Z]{2}(?:\d[A-Z])?`))) {
    if (value.startsWith("ES") || gs1Check(value.slice(0, -1)) === value.at(-1)) {
      add(value, (names) => sameShape(value, names("number")));
    }
  }
  for (const [value] of text.matchAll(phone)) {
    if (!found.has(value)) add(value, (names) => sameShape(value, names("number")));
  }
  return [...found.values()];
}

/**
 * Another number that looks like the first: digits become the number `n` with zeros before it, behind the two first
 * signs, which often tell a country or kind. The check digit of a metering point is right again.
 */
export function sameShape(text: string, n: number): string {
  const digits = [...text].flatMap((char, i) => (/\d/.test(char) && i >= 2 ? [i] : []));
  const isGs1 = /^\d{18}$/.test(text) && gs1Check(text.slice(0, -1)) === text.at(-1);
  if (isGs1) digits.pop();
  const number = String(n).padStart(digits.length, "0").slice(-digits.length);
  const chars = [...text];
  for (const [i, at] of digits.entries()) chars[at] = number[i]!;
  if (isGs1) chars[17] = gs1Check(chars.slice(0, 17).join(""));
  return chars.join("");
}

/** GS1 General Specifications, 7.9: weights 3 and 1 from the right. */
function gs1Check(digits: string): string {
  const sum = [...digits].reverse().reduce((all, digit, i) => all + Number(digit) * (i % 2 === 0 ? 3 : 1), 0);
  return String((10 - (sum % 10)) % 10);
}

function isDay(month: string, day: string): boolean {
  // Coordination numbers and the like have 20, 40 or 60 added to the day.
  return (
    Number(month) >= 1 &&
    Number(month) <= 12 &&
    Number(day) % 20 >= 0 &&
    Number(day) >= 1 &&
    Number(day) <= 91
  );
}

const isClock = (text: string) => Number(text.slice(0, 2)) < 24 && Number(text.slice(2)) < 60;

function isSwedish(text: string): boolean {
  const digits = text.replace(/\D/g, "").slice(-10);
  const sum = [...digits].reduce((all, digit, i) => {
    const weighed = Number(digit) * (i % 2 === 0 ? 2 : 1);
    return all + (weighed > 9 ? weighed - 9 : weighed);
  }, 0);
  return sum % 10 === 0 && isDay(digits.slice(2, 4), digits.slice(4, 6));
}

/** Day, month, year; the check of older numbers does not hold for new ones. */
function isDanish(text: string): boolean {
  return /^\d{6}-/.test(text) && isDay(text.slice(2, 4), text.slice(0, 2)) && Number(text.slice(0, 2)) <= 31;
}

function isNorwegian(text: string): boolean {
  const weigh = (weights: readonly number[]) =>
    weights.reduce((all, weight, i) => all + weight * Number(text[i]), 0);
  return (
    isDay(text.slice(2, 4), text.slice(0, 2)) &&
    weigh([3, 7, 6, 1, 8, 9, 4, 5, 2, 1]) % 11 === 0 &&
    weigh([5, 4, 3, 2, 7, 6, 5, 4, 3, 2, 1]) % 11 === 0
  );
}

function isFinnish(text: string): boolean {
  const rest = Number(text.slice(0, 6) + text.slice(7, 10)) % 31;
  return "0123456789ABCDEFHJKLMNPRSTUVWXY"[rest] === text.at(-1);
}

function isSpanish(text: string): boolean {
  const number = Number(text.slice(0, 8).replace(/^[XYZ]/, (letter) => String("XYZ".indexOf(letter))));
  return "TRWAGMYFPDXBNJZSQVHLCKE"[number % 23] === text.at(-1);
}
