import type { Chunk, Line, Page, Word } from "./text.ts";

/** Where words were found on a line. */
export interface LabelPlace {
  line: Line;
  x0: number;
  x1: number;
  /** What follows in the same run of text. */
  rest: string;
  /** Runs of text further to the right. */
  next: Chunk[];
}

/** Capitals, kinds of blanks and a colon at the end do not matter when words are compared. */
export function comparable(text: string): string {
  return text
    .normalize("NFC")
    .toLowerCase()
    .replace(/[\s\u00a0\u2009\u202f]+/g, " ")
    .trim()
    .replace(/ ?:$/, "");
}

/** Does the line begin with the words? */
export function beginsWith(line: Line, words: string): boolean {
  return isPrefix(comparable(line.text), comparable(words));
}

/** Does any line hold the words, as whole words? */
export function stands(pages: readonly Page[], words: string): boolean {
  const wanted = comparable(words);
  return pages.some(({ lines }) => lines.some((line) => holds(comparable(line.text), wanted)));
}

function holds(text: string, wanted: string): boolean {
  for (let at = text.indexOf(wanted); at >= 0; at = text.indexOf(wanted, at + 1)) {
    if (!isInsideWord(text, at) && !isInsideWord(text, at + wanted.length)) return true;
  }
  return false;
}

const isLetter = (sign: string | undefined) => sign !== undefined && /[\p{L}\p{N}]/u.test(sign);
const isInsideWord = (text: string, at: number) => isLetter(text[at - 1]) && isLetter(text[at]);

function isPrefix(text: string, wanted: string): boolean {
  return text.startsWith(wanted) && !isInsideWord(text, wanted.length);
}

/** The runs of text on a line that begin with the words. */
export function labelsOn(line: Line, words: string): LabelPlace[] {
  const wanted = comparable(words);
  return line.chunks.flatMap((chunk, i) => {
    if (!isPrefix(comparable(chunk.text), wanted)) return [];
    const count = wordsCovered(chunk.words, wanted);
    if (count === undefined) return [];
    const rest = chunk.words.slice(count).map(({ text }) => text);
    return [
      {
        line,
        x0: chunk.x0,
        x1: chunk.words[count - 1]!.x1,
        rest: rest.join(" ").replace(/^:\s*/, ""),
        next: line.chunks.slice(i + 1),
      },
    ];
  });
}

/** How many words, from the first on, the wanted text is; `undefined` when it ends inside of one. */
function wordsCovered(words: readonly Word[], wanted: string): number | undefined {
  let text = "";
  for (let i = 0; i < words.length; i++) {
    text = text === "" ? words[i]!.text : `${text} ${words[i]!.text}`;
    const told = comparable(text);
    if (told === wanted || told.replace(/[.,;:]+$/, "") === wanted) return i + 1;
    if (text.length > wanted.length + 2) return undefined;
  }
  return undefined;
}

/** Where the words stand on the line, in any of its runs: their first place that overlaps none of the taken ones. */
export function wordsOn(
  line: Line,
  words: string,
  taken: readonly { x0: number; x1: number }[],
): { x0: number; x1: number } | undefined {
  const wanted = comparable(words);
  const all = line.chunks.flatMap((chunk) => chunk.words);
  for (let from = 0; from < all.length; from++) {
    const count = wordsCovered(all.slice(from), wanted);
    if (count === undefined) continue;
    const place = { x0: all[from]!.x0, x1: all[from + count - 1]!.x1 };
    if (taken.every((other) => place.x1 <= other.x0 || place.x0 >= other.x1)) return place;
  }
  return undefined;
}
