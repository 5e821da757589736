import type { FileFate, Look, SentFile, Visit } from "../../collection/connector.ts";
import { type Tell, told, toldContent } from "./failure.ts";
import { nameFilter, type ReadingSettings, readingOf } from "./fields.ts";
import { type Listed, Settling } from "./settling.ts";

/** Settings of every folder that files lie in. */
export interface FolderSettings extends ReadingSettings {
  after: "leave" | "archive" | "delete";
  archive_path: string;
  wait_minutes: number;
}

/** A folder of a server, over whatever is spoken with it. */
export interface DropFolder {
  /** As people name it: what places of files begin with. */
  path: string;
  /** Its files; times and marks need to be right of those alone that are wanted. */
  list(isWanted: (name: string) => boolean): Promise<Listed[]>;
  content(file: Listed): AsyncIterable<Uint8Array>;
  remove(file: Listed): Promise<void>;
  /** Moves a file to another folder, under a name that is free there. */
  archive(file: Listed, folder: string): Promise<void>;
  /** What an error of its library means. */
  tell: Tell;
  close(): Promise<void>;
}

/** Files that one look takes up; a folder with more is looked at again at once. */
const filesMax = 100_000;

/**
 * Yields the files of a folder that stand still, the oldest first, and puts them away when the engine has stored them.
 * What it refuses stays where it lies.
 */
export async function* filesOf(
  folder: DropFolder,
  { visit, settings }: { visit: Visit<unknown>; settings: FolderSettings },
): AsyncGenerator<SentFile, Look, FileFate> {
  try {
    const isWanted = nameFilter(settings.pattern);
    const listed = await told(`the folder ${folder.path}`, () => folder.list(isWanted), folder.tell);
    const wanted = listed.filter(({ name }) => isWanted(name)).sort(byAge);
    const settling = new Settling(visit, settings.wait_minutes);
    visit.step("listed", { files: wanted.length });
    for (const file of wanted.slice(0, filesMax)) {
      const { name, bytes, mark } = file;
      const fate = yield {
        place: `${folder.path}/${name}`.replace(/^\.?\/+/, "").replace(/\/{2,}/g, "/"),
        name,
        mark: `${bytes} ${mark}`,
        reading: readingOf(settings),
        isPutAway: settings.after !== "leave",
        mayGrow: !settling.isSettled(file),
        content: () => toldContent(name, folder.content(file), { tell: folder.tell }),
      };
      if (fate === "waiting") settling.watch(file);
      else if (fate !== "refused") await putAway(folder, { file, settings });
    }
    await settling.end();
    return { isWhole: wanted.length <= filesMax };
  } finally {
    await folder.close();
  }
}

/** Names of files mostly begin with a date, or end with one. */
function byAge(a: Listed, b: Listed): number {
  return (a.modified ?? 0) - (b.modified ?? 0) || (a.name < b.name ? -1 : 1);
}

async function putAway(
  folder: DropFolder,
  { file, settings }: { file: Listed; settings: FolderSettings },
): Promise<void> {
  const what = `${file.name} was read, but could not be put away`;
  if (settings.after === "delete") await told(what, () => folder.remove(file), folder.tell);
  else if (settings.after === "archive") {
    await told(what, () => folder.archive(file, settings.archive_path), folder.tell);
  }
}

/** A free name in an archive: the name itself, then with a number before its ending. */
export async function freeName(name: string, isTaken: (name: string) => Promise<boolean>): Promise<string> {
  const dot = name.lastIndexOf(".");
  const [stem, ending] = dot <= 0 ? [name, ""] : [name.slice(0, dot), name.slice(dot)];
  for (let n = 1; n < 10_000; n++) {
    const tried = n === 1 ? name : `${stem} (${n})${ending}`;
    if (!(await isTaken(tried))) return tried;
  }
  throw new Error(`the archive has thousands of files named like ${name}`);
}
