import {
  type FileFate,
  type Look,
  ProviderFailure,
  type SentFile,
  type Visit,
} from "../../collection/connector.ts";
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
  /**
   * Its files that are wanted, at most `max` of them; times and marks need to be right of those alone. Others may be
   * among them.
   */
  list(isWanted: (name: string) => boolean, max: number): Promise<Listed[]>;
  /** Is a file still what was listed? True where its server cannot tell. */
  isSame(file: Listed): Promise<boolean>;
  content(file: Listed): AsyncIterable<Uint8Array>;
  remove(file: Listed): Promise<void>;
  /** Moves a file to another folder, under a name that is free there. */
  archive(file: Listed, folder: string): Promise<void>;
  /** What an error of its library means. */
  tell: Tell;
  close(): Promise<void>;
}

/** Files that one look takes up; a folder with more is looked at again at once. */
const usualMax = 100_000;

/**
 * Yields the files of a folder that stand still, the oldest first, and puts them away when the engine has stored them.
 * What it refuses stays where it lies, and what was replaced meanwhile waits for the next look.
 * @throws ProviderFailure `person` when more files than a look takes up are in the way of all others
 */
export async function* filesOf(
  folder: DropFolder,
  { visit, settings, filesMax = usualMax }: FilesOptions,
): AsyncGenerator<SentFile, Look, FileFate> {
  try {
    const isWanted = nameFilter(settings.pattern);
    const listed = await told(
      `the folder ${folder.path}`,
      () => folder.list(isWanted, filesMax + 1),
      folder.tell,
    );
    const wanted = listed.filter(({ name }) => isWanted(name)).sort(byAge);
    const settling = new Settling(visit, settings.wait_minutes);
    visit.step("listed", { files: wanted.length });
    let isStuck = true;
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
      const stays = fate === "refused" || (fate === "known" && settings.after === "leave");
      if (!stays) isStuck = false;
      if (fate === "waiting") settling.watch(file);
      else if (fate !== "refused" && !(await putAway(folder, { file, settings }))) {
        visit.step("replaced while it was read", { files: 1 });
      }
    }
    await settling.end();
    const isWhole = wanted.length <= filesMax;
    if (!isWhole && isStuck) throw tooMany(folder, filesMax);
    return { isWhole };
  } finally {
    await folder.close();
  }
}

interface FilesOptions {
  visit: Visit<unknown>;
  settings: FolderSettings;
  /** Files that one look takes up. */
  filesMax?: number;
}

/** All that a look takes up was read before, and the others would never be. */
function tooMany({ path }: DropFolder, filesMax: number): ProviderFailure {
  const remedy = "move away what was read, or have it archived or deleted";
  return new ProviderFailure(
    "person",
    `more than ${filesMax} files lie in ${path || "the folder"}: ${remedy}`,
  );
}

/** Names of files mostly begin with a date, or end with one. */
function byAge(a: Listed, b: Listed): number {
  return (a.modified ?? 0) - (b.modified ?? 0) || (a.name < b.name ? -1 : 1);
}

/** False when the file is another one by now: what it holds was not read. */
async function putAway(
  folder: DropFolder,
  { file, settings: { after, archive_path } }: { file: Listed; settings: FolderSettings },
): Promise<boolean> {
  if (after === "leave") return true;
  const away = async () => {
    if (!(await folder.isSame(file))) return false;
    if (after === "delete") await folder.remove(file);
    else await folder.archive(file, archive_path);
    return true;
  };
  return told(`${file.name} was read, but could not be put away`, away, folder.tell);
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
