import { posix } from "node:path";
import type { FileEntryWithStats, SFTPWrapper, Stats } from "ssh2";
import { z } from "zod";
import { aside, connector, type Memory, optional, titled } from "../../collection/connector.ts";
import type { Reach } from "../../platform/transfer/call.ts";
import {
  done,
  hasSftpLogin,
  type SftpLogin,
  sftpFailure,
  sftpFields,
  sftpLoginMissing,
  sftpSession,
} from "../../platform/transfer/sftp.ts";
import { about } from "../file-drop/about.ts";
import { cutShort, told } from "../file-drop/failure.ts";
import { afterFields, readingFields, waitField } from "../file-drop/fields.ts";
import { type DropFolder, filesOf, freeName } from "../file-drop/folder.ts";
import { held } from "../file-drop/held.ts";
import type { Listed } from "../file-drop/settling.ts";
import { serverWords as words } from "../file-drop/words.ts";

const settings = z
  .object({
    host: titled(sftpFields.host, words.host),
    port: titled(sftpFields.port, words.port),
    username: titled(sftpFields.username, words.username),
    password: titled(sftpFields.password, words.password),
    private_key: titled(
      sftpFields.private_key,
      { en: "Private key", sv: "Privat nyckel" },
      { en: "Instead of a password.", sv: "I stället för ett lösenord." },
    ),
    passphrase: titled(sftpFields.passphrase, { en: "Passphrase of the key", sv: "Nyckelns lösenfras" }),
    host_key: titled(
      optional(sftpFields.host_key.unwrap().unwrap()),
      { en: "Fingerprint of the server", sv: "Serverns fingeravtryck" },
      {
        en: "As ssh-keygen -l shows it: SHA256:… Without it the key that the server shows first is the one it must show ever after, until the credentials are entered again.",
        sv: "Så som ssh-keygen -l visar det: SHA256:… Utan det måste servern visa samma nyckel som första gången, tills uppgifterna anges på nytt.",
      },
    ),
    path: titled(aside(sftpFields.path), words.path, words.pathHint),
    ...readingFields,
    ...afterFields,
    ...waitField,
  })
  .refine(hasSftpLogin, sftpLoginMissing);

const memoryKey = "host_key";

/** Files in a folder of an SFTP server. */
export const fileDropSftp = connector({
  ...about,
  name: "file-drop-sftp",
  title: "Files on an SFTP server",
  settings,
  async *receive(visit) {
    const host_key = visit.settings.host_key ?? (await knownKey(visit.settings, visit));
    const folder = sftpFolder({ ...visit.settings, host_key }, visit.reach);
    return yield* filesOf(folder, { visit, settings: visit.settings });
  },
});

/** The key that the server showed first. */
async function knownKey(
  login: SftpLogin,
  { memory, reach }: { memory: Memory; reach: Reach },
): Promise<string | null> {
  const known = memory.get(memoryKey);
  if (known !== undefined) return known;
  const { host_key = null } = await told("log in", () => sftpSession(login, reach, async () => undefined));
  if (host_key !== null) await memory.set(memoryKey, host_key);
  return host_key;
}

function sftpFolder(login: SftpLogin & { path: string | null }, reach: Reach): DropFolder {
  const client = held<SFTPWrapper>(
    (work) => sftpSession(login, reach, work),
    () => true,
  );
  const base = login.path ?? ".";
  return {
    path: login.path ?? "",
    async list(isWanted, max) {
      const files: Listed[] = [];
      for await (const { filename: name, attrs } of readFolder(await client.session(), base)) {
        if (isFile(attrs) && isWanted(name)) files.push(listedAs(name, attrs));
        if (files.length >= max) break;
      }
      return files;
    },
    async isSame({ name, bytes, mark }) {
      const session = await client.session();
      const attrs = await statsOf(session, posix.join(base, name));
      const now = listedAs(name, attrs);
      return now.bytes === bytes && now.mark === mark;
    },
    async *content({ name, bytes }) {
      const session = await client.session();
      const stream = session.createReadStream(posix.join(base, name));
      let received = 0;
      for await (const chunk of stream as AsyncIterable<Buffer>) {
        received += chunk.length;
        yield chunk;
      }
      if (received !== bytes) throw cutShort(received, bytes);
    },
    async remove({ name }) {
      const session = await client.session();
      await done((end) => session.unlink(posix.join(base, name), end));
    },
    async archive({ name }, folder) {
      const session = await client.session();
      const archive = folder.startsWith("/") ? folder : posix.join(base, folder);
      // One that is there already answers with a failure.
      await done((end) => session.mkdir(archive, end)).catch(() => undefined);
      const isTaken = (tried: string) =>
        statsOf(session, posix.join(archive, tried)).then(
          () => true,
          () => false,
        );
      const free = await freeName(name, isTaken);
      await done((end) => session.rename(posix.join(base, name), posix.join(archive, free), end));
    },
    tell: sftpFailure,
    close: () => client.close(),
  };
}

const statsOf = (session: SFTPWrapper, path: string) =>
  new Promise<Stats>((resolve, reject) =>
    session.stat(path, (error, stats) => (error ? reject(error) : resolve(stats))),
  );

/** Links are followed by nobody. */
function isFile({ mode }: Pick<Stats, "mode">): boolean {
  return (mode & 0o170000) === 0o100000;
}

const listedAs = (name: string, { size, mtime }: Pick<Stats, "size" | "mtime">): Listed => ({
  name,
  bytes: size,
  modified: mtime > 0 ? mtime * 1000 : null,
  mark: String(mtime),
});

/** Entries that are looked at: a server that never ends its list ends nobody's run. */
const entriesMax = 2_000_000;

async function* readFolder(session: SFTPWrapper, path: string): AsyncGenerator<FileEntryWithStats> {
  const handle = await new Promise<Buffer>((resolve, reject) =>
    session.opendir(path, (error, opened) => (error ? reject(error) : resolve(opened))),
  );
  try {
    for (let seen = 0; seen < entriesMax; ) {
      const some = await new Promise<FileEntryWithStats[] | null>((resolve, reject) =>
        session.readdir(handle, (error, entries) => {
          // 1 is the end of the list.
          if (error && (error as { code?: number }).code === 1) resolve(null);
          else if (error) reject(error);
          else resolve(entries);
        }),
      );
      if (some === null || some.length === 0) return;
      seen += some.length;
      yield* some;
    }
  } finally {
    session.close(handle, () => undefined);
  }
}
