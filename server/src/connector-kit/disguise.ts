import { writings } from "../collection/collection.ts";

/**
 * Puts placeholders in the place of what nobody may read, so that a recording still plays back: the same value is
 * always the same placeholder, written as the value was - in an address, a form, JSON, HTML, hexadecimal digits or
 * base64.
 */
export interface Disguise {
  /** A secret: replaced wherever it stands, inside of longer words too. */
  addSecret(value: string, placeholder: string): void;
  /** Something personal: replaced where it stands by itself, not inside of a longer word or number. */
  addPersonal(value: string, placeholder: string): void;
  /** Replaced only where it is a whole field that is sent, since it may be an ordinary word or number elsewhere. */
  addShort(value: string, placeholder: string): void;
  /** The values that are replaced everywhere. */
  secrets(): string[];
  /** A whole field that is sent: a string of JSON, a value of a form or of an address. */
  field(value: string): string;
  /** Any text. */
  text(text: string): string;
}

/** Values that are shorter are only replaced where they are a whole field. */
export const charsMin = 4;
/** Texts inside of texts, such as base64 in an address. */
const depthMax = 3;

interface Known {
  value: string;
  placeholder: string;
  isSecret: boolean;
}

interface Replacement {
  form: string;
  by: string;
  isBounded: boolean;
}

/** A disguise that knows nothing yet. */
export function makeDisguise(): Disguise {
  const known = new Map<string, Known>();
  const short = new Map<string, string>();
  let replacements: Replacement[] | undefined;
  const add = (value: string, placeholder: string, isSecret: boolean) => {
    if (value === "" || value === placeholder) return;
    if (value.length < charsMin) short.set(value, placeholder);
    else if (known.get(value)?.isSecret !== true) {
      known.set(value, { value, placeholder: known.get(value)?.placeholder ?? placeholder, isSecret });
    }
    replacements = undefined;
  };
  const text = (plain: string, depth = 0): string => {
    replacements ??= replacementsOf([...known.values()]);
    const opened = depth < depthMax ? insideOf(plain, (inner) => text(inner, depth + 1)) : plain;
    return replacements.reduce(replaced, opened);
  };
  return {
    addSecret: (value, placeholder) => add(value, placeholder, true),
    addPersonal: (value, placeholder) => add(value, placeholder, false),
    addShort: (value, placeholder) => void short.set(value, placeholder),
    secrets: () => [...known.values()].flatMap(({ value, isSecret }) => (isSecret ? [value] : [])),
    field: (value) => (known.get(value)?.isSecret === true ? text(value) : (short.get(value) ?? text(value))),
    text: (plain) => text(plain),
  };
}

/** Every way to write every value, the longest first: a short value may be part of a longer one. */
function replacementsOf(known: readonly Known[]): Replacement[] {
  const byForm = new Map<string, Replacement>();
  for (const { value, placeholder, isSecret } of known) {
    for (const write of writings) {
      const form = write(value);
      if (!byForm.has(form)) byForm.set(form, { form, by: write(placeholder), isBounded: !isSecret });
    }
  }
  return [...byForm.values()].sort((a, b) => b.form.length - a.form.length);
}

const isWordly = (char: string | undefined) => char !== undefined && /[\p{L}\p{N}]/u.test(char);

function replaced(text: string, { form, by, isBounded }: Replacement): string {
  if (!isBounded) return text.replaceAll(form, by);
  if (!text.includes(form)) return text;
  return text.replaceAll(form, (found, at: number) => {
    const isPart =
      (isWordly(form[0]) && isWordly(text[at - 1])) ||
      (isWordly(form.at(-1)) && isWordly(text[at + found.length]));
    return isPart ? found : by;
  });
}

type Work = (text: string) => string;

/** Opens what is written in JSON, HTML, percent signs or base64, and writes it again when something in it was replaced. */
function insideOf(text: string, work: Work): string {
  return inBase64(inPercents(inEntities(inStrings(text, work), work), work), work);
}

/** Strings of JSON, one by one: numbers stay as they are written. */
function inStrings(text: string, work: Work): string {
  return text.replace(/"(?:[^"\\\n]|\\.)*\\.(?:[^"\\\n]|\\.)*"/g, (part) => {
    const inner = orUndefined(() => JSON.parse(part) as string);
    if (inner === undefined) return part;
    const again = work(inner);
    return again === inner ? part : JSON.stringify(again);
  });
}

const entities: Readonly<Record<string, string>> = { amp: "&", lt: "<", gt: ">", quot: '"', apos: "'" };
const written: Readonly<Record<string, string>> = {
  "&": "&amp;",
  "<": "&lt;",
  ">": "&gt;",
  '"': "&quot;",
  "'": "&#39;",
};

function inEntities(text: string, work: Work): string {
  return text.replace(/[^<>"&]*(?:&(?:#\d+|#x[\da-f]+|amp|lt|gt|quot|apos);[^<>"&]*)+/gi, (part) => {
    const inner = part.replace(/&(?:#(\d+)|#x([\da-f]+)|(\w+));/gi, (entity, decimal, hex, name) => {
      if (name !== undefined) return entities[name.toLowerCase()] ?? entity;
      const code = decimal === undefined ? Number.parseInt(hex, 16) : Number(decimal);
      return code > 0 && code <= 0x10ffff ? String.fromCodePoint(code) : entity;
    });
    const again = work(inner);
    return again === inner ? part : again.replace(/&(?![a-z]+;)|[<>"']/gi, (char) => written[char] ?? char);
  });
}

function inPercents(text: string, work: Work): string {
  return text.replace(/[\w.~!*'()-]*(?:%[0-9A-Fa-f]{2}[\w.~!*'()-]*)+/g, (part) => {
    const inner = orUndefined(() => decodeURIComponent(part));
    if (inner === undefined) return part;
    const again = work(inner);
    return again === inner ? part : encodeURIComponent(again);
  });
}

function inBase64(text: string, work: Work): string {
  return text.replace(/[A-Za-z0-9+/_-]{6,}={0,2}/g, (part) => {
    const bytes = Buffer.from(part, "base64");
    const inner = bytes.toString("utf8");
    if (!Buffer.from(inner).equals(bytes)) return part;
    const again = work(inner);
    if (again === inner) return part;
    const isUrl = /[-_]/.test(part) || (part.length % 4 !== 0 && !part.endsWith("="));
    return Buffer.from(again).toString(isUrl ? "base64url" : "base64");
  });
}

function orUndefined<Out>(work: () => Out): Out | undefined {
  try {
    return work();
  } catch {
    return undefined;
  }
}
