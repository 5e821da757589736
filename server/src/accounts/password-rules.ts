import { fold } from "../platform/http/filter.ts";
import { hashPassword } from "../platform/password.ts";
import { invalid } from "../platform/problem.ts";

/**
 * NIST SP 800-63B-4: 15 characters where the password is the only factor, no rules about kinds of characters, no
 * forced changes. The upper bound only keeps the hash from being fed megabytes.
 */
const charsMin = 15;
const charsMax = 256;

/**
 * Least number of pieces that a password may fall into, where a common word, a run (`12345`, `qwert`), a year and a
 * repeat of what came before each are one piece and every other character is one. `passwordpassword` has 2 pieces,
 * `correct horse battery staple` 20. Every entry of the usual lists of common passwords is either too short or
 * made of such pieces.
 */
const piecesMin = 8;

/** What most guessed passwords are made of, from the published lists of leaked ones; longer than 3 letters. */
const commonWords = new Set(
  `password passwort passord losenord lösenord salasana contraseña motdepasse passw0rd p4ssword p4ssw0rd pa55word
  passwd pass word letmein welcome welcome1 valkommen välkommen willkommen admin administrator root user guest test
  tester testing demo default changeme change temp login access master secret private super superman batman spiderman
  dragon monkey tiger panther eagle falcon shadow sunshine princess princesa football fotboll soccer baseball
  basketball hockey cricket rugby tennis golf golfer chelsea arsenal liverpool manchester barcelona juventus
  iloveyou loveyou iloveu love lover lovely forever always trustno1 trust whatever nothing computer internet
  google facebook linkedin twitter instagram youtube amazon microsoft windows samsung apple android iphone nokia
  ericsson volvo porsche ferrari mercedes mustang corvette camaro harley yamaha honda toyota freedom america
  canada england london paris berlin sweden sverige norway norge danmark finland suomi stockholm oslo helsinki
  copenhagen göteborg malmö summer sommar sommer winter vinter spring autumn fall host höst january february march
  april june july august september october november december monday tuesday wednesday thursday friday saturday
  sunday michael jennifer jessica ashley daniel matthew anthony joshua andrew thomas robert william richard charles
  george harry jordan hunter ranger buster killer pepper ginger cookie chocolate banana orange cheese coffee
  charlie maggie bailey buddy lucky happy angel angels heaven jesus christ jesuschrist blessed hello hallo hej
  hello123 starwars pokemon pikachu naruto matrix merlin gandalf hogwarts mickey snoopy garfield minecraft fortnite
  abcd abcdef abc123 qwerty qwertz azerty asdf asdfgh zxcv zxcvbn zxcvbnm qazwsx wsxedc 1qaz 2wsx 3edc qwer
  1q2w3e 1q2w3e4r 1q2w3e4r5t 1qaz2wsx zaq1 zaq12wsx poiuyt lkjhgf mnbvcxz energy energi strom ström power meter
  meters metertree metry electricity heating water vatten utility property facility office company business service
  support manager server system network security database backup production letme please money number phone family
  mother father brother sister friend friends flower rose diamond silver golden purple yellow green black white
  blue thunder lightning phoenix warrior wizard ninja pirate rocket player gamer music guitar metallica nirvana
  eminem rockstar snowball rainbow butterfly dolphin turtle rabbit kitten puppy doggy horse chicken`.split(
    /\s+/,
  ),
);

/** Rows of keyboards and the alphabet: neighbours in them make a run, in both directions. */
const rows = [
  "0123456789012",
  "abcdefghijklmnopqrstuvwxyz",
  "qwertyuiopå",
  "qwertzuiopü",
  "asdfghjklöä",
  "zxcvbnm",
  "azertyuiop",
];

const runMin = 3;
const repeatMin = 2;
const wordMax = 16;

/** Why a password may not be used, in words for its owner; `null` when it may. `own` are names of the account. */
export function weakness(password: string, own: readonly (string | null)[] = []): string | null {
  const chars = [...password.normalize("NFKC")];
  if (chars.length < charsMin) {
    return `must be at least ${charsMin} characters long; a few words that do not belong together are easy to remember`;
  }
  if (chars.length > charsMax) return `must be at most ${charsMax} characters long`;
  if (pieces(fold(chars.join("")), namesOf(own)) < piecesMin) {
    return "is made of common words, names, repeats or rows of keys, which are guessed first; choose another one";
  }
  return null;
}

function namesOf(own: readonly (string | null)[]): Set<string> {
  const names = own.flatMap((text) => (text === null ? [] : fold(text).split(/[^\p{L}\p{N}]+/u)));
  return new Set(names.filter((name) => name.length >= 3).map((name) => name.slice(0, wordMax)));
}

/** Fewest pieces that the text falls into. `best[i]` is the answer for the first `i` characters. */
function pieces(text: string, names: ReadonlySet<string>): number {
  const plain = text.replace(/[01345@$!7]/g, (char) => leet[char]!);
  const best = [0];
  for (let end = 1; end <= text.length; end++) {
    let least = best[end - 1]! + 1;
    for (let start = Math.max(0, end - wordMax); start < end - 1; start++) {
      if (best[start]! + 1 < least && isPiece(text, plain, { start, end, names })) least = best[start]! + 1;
    }
    for (let length = wordMax + 1; length * 2 <= end; length++) {
      if (repeats(text, end - length, end)) least = Math.min(least, best[end - length]! + 1);
    }
    best.push(least);
  }
  return best[text.length]!;
}

const leet: Record<string, string> = {
  "0": "o",
  "1": "i",
  "3": "e",
  "4": "a",
  "5": "s",
  "7": "t",
  "@": "a",
  $: "s",
  "!": "i",
};

function isPiece(
  text: string,
  plain: string,
  { start, end, names }: { start: number; end: number; names: ReadonlySet<string> },
): boolean {
  const part = text.slice(start, end);
  if (part.length >= 3) {
    const spelled = plain.slice(start, end);
    if (commonWords.has(part) || commonWords.has(spelled) || names.has(part) || names.has(spelled))
      return true;
  }
  return isYear(part) || isRun(part) || repeats(text, start, end);
}

function isYear(part: string): boolean {
  return (
    part.length === 4 && (part.startsWith("19") || part.startsWith("20")) && Number.isInteger(Number(part))
  );
}

function isRun(part: string): boolean {
  if (part.length < runMin) return false;
  const backwards = [...part].reverse().join("");
  return rows.some((row) => row.includes(part) || row.includes(backwards)) || new Set(part).size === 1;
}

/** Does the part occur before itself? */
function repeats(text: string, start: number, end: number): boolean {
  if (end - start < repeatMin || start < end - start) return false;
  return text.slice(0, start).includes(text.slice(start, end));
}

/**
 * Hash of a new password, after the rules. Throws a 400 that names `field` and tells what to do. `own` are names of
 * the account, which the password must not be made of.
 */
export async function newPasswordHash(
  password: string,
  own: readonly (string | null)[],
  field = "password",
): Promise<string> {
  const weak = weakness(password, own);
  if (weak !== null) throw invalid(field, weak);
  return hashPassword(password);
}
