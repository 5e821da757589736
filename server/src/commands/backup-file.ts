import { createHash, type Hash } from "node:crypto";
import { z } from "zod";
import { type ArchiveEntry, readArchive } from "../platform/archive.ts";
import { Problem } from "../platform/problem.ts";

/**
 * What a backup file holds, in this order: `header.json`, the rows of each table as PostgreSQL's COPY text in
 * pieces (`tables/<table>/<number>`), kept files in pieces (`files/<number>/<number>`), `manifest.json`.
 */
export const headerName = "header.json";
export const manifestName = "manifest.json";

/** Folders below the data folder whose files are part of a backup. */
export const keptFolders = ["uploads", "invoices"] as const;

export const headerShape = z.object({
  format: z.literal("metertree-backup"),
  version: z.literal(1),
  /** Number of the newest migration. */
  schema: z.int().min(1),
  created: z.string(),
  program: z.string(),
  /** Ids of the master keys that secrets in it are under. */
  keys: z.array(z.string()),
  /** Parents before children, so that references hold while rows come in. */
  tables: z.array(z.object({ name: z.string(), columns: z.array(z.string()) })),
});
export type BackupHeader = z.output<typeof headerShape>;

const counted = { bytes: z.int(), sha256: z.string() };
export const manifestShape = z.object({
  tables: z.record(z.string(), z.object({ rows: z.int(), ...counted })),
  /** Names below the data folder. */
  files: z.array(z.object({ path: z.string(), ...counted })),
  sequences: z.array(z.object({ name: z.string(), last: z.int(), is_called: z.boolean() })),
  /** Jobs that were not done yet. */
  jobs: z.array(z.object({ name: z.string(), data: z.record(z.string(), z.unknown()).nullable() })),
});
export type BackupManifest = z.output<typeof manifestShape>;

/** Counts and hashes content that comes in pieces. */
export class Tally {
  #bytes = 0;
  readonly #hash: Hash = createHash("sha256");

  add(data: Buffer): void {
    this.#bytes += data.length;
    this.#hash.update(data);
  }

  /** Once, at the end. */
  result(): { bytes: number; sha256: string } {
    return { bytes: this.#bytes, sha256: this.#hash.digest("hex") };
  }
}

/** Name of a piece of a table. */
export const tablePiece = (table: string, piece: number) =>
  `tables/${table}/${String(piece).padStart(6, "0")}`;
/** Name of a piece of a file, by its place in the manifest. */
export const filePiece = (file: number, piece: number) => `files/${file}/${String(piece).padStart(6, "0")}`;

/** What an entry is a piece of: `tables/account` or `files/0`; `undefined` for header and manifest. */
export function wholeOf({ name }: ArchiveEntry): string | undefined {
  const at = name.lastIndexOf("/");
  return at === -1 ? undefined : name.slice(0, at);
}

/**
 * Reads a whole backup file and holds it against its own manifest, before anything is changed with it. Throws a
 * `Problem` when it is no backup, is damaged or incomplete.
 */
export async function verifyBackup(
  path: string,
): Promise<{ header: BackupHeader; manifest: BackupManifest }> {
  const tallies = new Map<string, Tally>();
  let header: BackupHeader | undefined;
  let manifest: BackupManifest | undefined;
  for await (const entry of readArchive(path)) {
    const whole = wholeOf(entry);
    if (entry.name === headerName) header = parsed(headerShape, entry, path);
    else if (entry.name === manifestName) manifest = parsed(manifestShape, entry, path);
    else if (whole !== undefined) {
      let tally = tallies.get(whole);
      if (tally === undefined) tallies.set(whole, (tally = new Tally()));
      tally.add(entry.data);
    }
  }
  if (header === undefined || manifest === undefined) throw broken(path, "it is not complete");
  const expected = new Map<string, { bytes: number; sha256: string }>([
    ...header.tables.map(({ name }) => [`tables/${name}`, manifest.tables[name]!] as const),
    ...manifest.files.map((file, i) => [`files/${i}`, file] as const),
  ]);
  for (const [whole, { sha256 }] of expected) {
    const found = (tallies.get(whole) ?? new Tally()).result();
    if (found.sha256 !== sha256) throw broken(path, `${whole} is not what was written`);
  }
  return { header, manifest };
}

function parsed<Shape extends z.ZodType>(shape: Shape, entry: ArchiveEntry, path: string): z.output<Shape> {
  try {
    return shape.parse(JSON.parse(entry.data.toString("utf8")));
  } catch {
    throw broken(path, `its ${entry.name} is of another program or a newer version`);
  }
}

function broken(path: string, why: string): Problem {
  return new Problem(
    "invalid",
    `${path} cannot be used: ${why}. Nothing was changed. Use another copy of the backup.`,
  );
}
