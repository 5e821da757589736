/**
 * Words that rules look for. `*` stands for any letters and digits within a word; a space between words for one gap
 * of any kind. Case, punctuation and typographic variants do not count: "Årsavgift (fast)" is `årsavgift fast`.
 */
export class Words {
  readonly #pattern: RegExp | undefined;

  constructor(words: readonly string[]) {
    const alternatives = words.map((word) => word.replaceAll("*", "[^ ]*"));
    // Texts are padded, and gaps are looked at but not taken: the gap behind one word is the one before the next.
    if (words.length > 0) this.#pattern = new RegExp(`(?<= )(?:${alternatives.join("|")})(?= )`, "u");
  }

  /** Does one of the words occur? `text` comes from `plainText`. */
  in(text: string): boolean {
    return this.#pattern?.test(text) ?? false;
  }
}

/** Characters of a text that rules look at: nobody writes what a row is about behind that. */
const textLengthMax = 500;

/** A text as rules see it: small letters and digits, one space for everything else, one at each end. */
export function plainText(text: string): string {
  const folded = text.slice(0, textLengthMax).normalize("NFC").toLowerCase().replaceAll("ß", "ss");
  return ` ${folded.replaceAll(/[^\p{L}\p{N}]+/gu, " ").trim()} `;
}
