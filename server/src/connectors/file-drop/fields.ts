import { z } from "zod";
import { aside, type FileReading, line, optional, titled } from "../../collection/connector.ts";
import { isZone } from "../../platform/time/zone.ts";

/** Settings about files, whatever they come by: they have nothing to do with the login. */

/** Which files are taken, and how they are read where they do not say so themselves. */
export const readingFields = {
  pattern: titled(
    aside(line(500).default("*")),
    { en: "Names of files", sv: "Filnamn" },
    {
      en: "With * for any text and ? for one character, several with commas between: *.csv, *.zip",
      sv: "Med * för valfri text och ? för ett tecken, flera med komma emellan: *.csv, *.zip",
    },
  ),
  mapping: titled(
    aside(optional(line(100))),
    { en: "Mapping", sv: "Mappning" },
    {
      en: "Name of a saved mapping that says how tables are read; they are recognised without one where possible.",
      sv: "Namn på en sparad mappning som säger hur tabeller läses; utan den känns de igen där det går.",
    },
  ),
  meter: titled(
    aside(optional(line(100))),
    { en: "Meter", sv: "Mätare" },
    {
      en: "Number of the metering point, when the files name none.",
      sv: "Mätpunktens nummer, när filerna inte anger något.",
    },
  ),
  unit: titled(
    aside(optional(line(40))),
    { en: "Unit", sv: "Enhet" },
    { en: "When the files name none: kWh, m3.", sv: "När filerna inte anger någon: kWh, m3." },
  ),
  timezone: titled(
    aside(optional(line(64).refine(isZone, "must be an IANA time zone such as Europe/Stockholm"))),
    { en: "Time zone", sv: "Tidszon" },
    {
      en: "Of times in the files: Europe/Stockholm. That of the account when neither this nor the file says one.",
      sv: "För tider i filerna: Europe/Stockholm. Kontots när varken detta eller filen anger någon.",
    },
  ),
};

export type ReadingSettings = {
  [Name in keyof typeof readingFields]: z.output<(typeof readingFields)[Name]>;
};

/** How the engine is told to read files. */
export function readingOf({ mapping, meter, unit, timezone }: ReadingSettings): FileReading {
  return {
    ...(mapping === null ? {} : { mapping }),
    ...(meter === null ? {} : { meter }),
    ...(unit === null ? {} : { unit }),
    ...(timezone === null ? {} : { timezone }),
  };
}

/** What becomes of files in a folder when their values are stored. */
export const afterFields = {
  after: titled(
    aside(z.enum(["leave", "archive", "delete"]).default("leave")),
    { en: "Files that were read", sv: "Filer som har lästs" },
    {
      en: "leave: they stay. archive: they are moved to a folder. delete: they are removed.",
      sv: "leave: de får ligga kvar. archive: de flyttas till en mapp. delete: de tas bort.",
    },
  ),
  archive_path: titled(
    aside(line(1_000).default("archive")),
    { en: "Archive", sv: "Arkiv" },
    {
      en: "Folder that files are moved to, seen from the folder that they lie in.",
      sv: "Mapp som filer flyttas till, sedd från mappen där de ligger.",
    },
  ),
};

/** How long a file must have stood still. */
export const waitField = {
  wait_minutes: titled(
    aside(z.int().min(0).max(1_440).default(2)),
    { en: "Minutes to wait", sv: "Minuter att vänta" },
    {
      en: "A file is read when it has not changed for so long: it may still be being written.",
      sv: "En fil läses när den inte har ändrats på så länge: den kan fortfarande hålla på att skrivas.",
    },
  ),
};

/** Files that are still being written, by the habits of programs that write them, and hidden ones. */
const unfinished = /^\.|\.(part|partial|tmp|temp|filepart|crdownload|swp|writing)$|~$/i;

/**
 * Does a name match one of the patterns? Case does not matter. Names that could lead out of their folder, and those of
 * files that are still being written, never do.
 */
export function nameFilter(pattern: string): (name: string) => boolean {
  const patterns = pattern
    .split(",")
    .map((each) => each.trim())
    .filter((each) => each !== "")
    .map(charactersOf);
  return (name) => {
    if (name.length > 255 || /[/\\\p{Cc}]/u.test(name) || unfinished.test(name)) return false;
    const characters = charactersOf(name);
    return patterns.some((each) => isMatch(each, characters));
  };
}

const charactersOf = (text: string) => [...text.toLowerCase()];

/**
 * Does a pattern match the whole of a name? In a time of both lengths multiplied at most: a regular expression with a few
 * stars would keep the whole server waiting for a name that nearly matches.
 */
function isMatch(pattern: readonly string[], name: readonly string[]): boolean {
  let at = 0;
  // The last star met, and how far it reaches: only that one is ever tried with more.
  let star = -1;
  let reach = 0;
  for (let i = 0; i < name.length; ) {
    if (pattern[at] === "*") {
      star = at++;
      reach = i;
    } else if (pattern[at] === "?" || pattern[at] === name[i]) {
      at++;
      i++;
    } else if (star >= 0) {
      at = star + 1;
      i = ++reach;
    } else return false;
  }
  return pattern.slice(at).every((each) => each === "*");
}
