import { type Complaint, complaint, type Tree } from "./source.ts";

const texts = /\.(ts|tsx|js|mjs|json|md|sql|ya?ml|toml|txt|sh|css|html|http|csv|xml)$/;
/** Files that hold what others wrote. */
const foreign = /(^|\/)(cases|samples|generated)\/|package-lock\.json$|^LICENSE$/;

const absent: readonly { pattern: RegExp; message: (found: string) => string }[] = [
  {
    // The only words that are allowed to name this rule are put together.
    pattern: new RegExp(`\\b(${["TO" + "DO", "FIX" + "ME"].join("|")})\\b(?![^\\n]{0,20}#\\d)`, "g"),
    message: (found) => `${found} without the number of an issue: file one (${found} #12), or do it now`,
  },
  {
    pattern: /(?<![\w.:/~-])\/(?:work|home|Users|root|mnt|tmp|workspace|workspaces)\/[\w.-]{1,60}/g,
    message: (found) =>
      `${found} is a path of one machine: use a relative one, or a folder of the system's choice`,
  },
  {
    pattern: /[A-Z]:\\\\?Users\\/g,
    message: (found) => `${found} is a path of one machine: use a relative one`,
  },
];

/** Nothing is left undone without an issue, and no text knows the machine that it was written on. */
export function wordRule(tree: Tree): Complaint[] {
  return tree.paths
    .filter((path) => texts.test(path) && !foreign.test(path))
    .flatMap((path) => {
      const text = tree.read(path);
      return absent.flatMap(({ pattern, message }) =>
        [...text.matchAll(pattern)].map((match) => complaint({ path, text }, match.index, message(match[0]))),
      );
    });
}
