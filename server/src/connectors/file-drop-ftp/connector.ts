import { posix } from "node:path";
import { PassThrough } from "node:stream";
import type { Client } from "basic-ftp";
import { z } from "zod";
import { aside, connector, titled } from "../../collection/connector.ts";
import type { Reach } from "../../platform/transfer/call.ts";
import { ftpFailure, ftpFields, ftpSession } from "../../platform/transfer/ftp.ts";
import { about } from "../file-drop/about.ts";
import { cutShort } from "../file-drop/failure.ts";
import { afterFields, readingFields, waitField } from "../file-drop/fields.ts";
import { type DropFolder, filesOf, freeName } from "../file-drop/folder.ts";
import { held } from "../file-drop/held.ts";
import type { Listed } from "../file-drop/settling.ts";
import { serverWords as words } from "../file-drop/words.ts";

const settings = z.object({
  host: titled(ftpFields.host, words.host),
  port: titled(ftpFields.port, words.port),
  username: titled(ftpFields.username, words.username),
  password: titled(ftpFields.password, words.password),
  path: titled(aside(ftpFields.path), words.path, words.pathHint),
  tls: titled(
    ftpFields.tls,
    { en: "Encryption", sv: "Kryptering" },
    {
      en: "explicit: FTPS on the usual port. implicit: mostly on port 990. none: the password travels in clear.",
      sv: "explicit: FTPS på den vanliga porten. implicit: oftast på port 990. none: lösenordet skickas i klartext.",
    },
  ),
  ...readingFields,
  ...afterFields,
  ...waitField,
});

/** Files in a folder of an FTP or FTPS server. */
export const fileDropFtp = connector({
  ...about,
  name: "file-drop-ftp",
  title: "Files on an FTP server",
  settings,
  receive: (visit) => filesOf(ftpFolder(visit.settings, visit.reach), { visit, settings: visit.settings }),
});

function ftpFolder(login: z.output<typeof settings>, reach: Reach): DropFolder {
  const client = held<Client>(
    (work) => ftpSession(login, reach, work),
    (session) => !session.closed,
  );
  return {
    path: login.path ?? "",
    list: async (isWanted) => listed(await client.session(), isWanted),
    async *content({ name, bytes }) {
      const session = await client.session();
      const through = new PassThrough();
      let received = 0;
      const downloading = session.downloadTo(through, name).catch((error: unknown) => {
        through.destroy(error as Error);
        throw error;
      });
      downloading.catch(() => undefined);
      let isWhole = false;
      try {
        for await (const chunk of through as AsyncIterable<Buffer>) {
          received += chunk.length;
          yield chunk;
        }
        await downloading;
        // A cut data connection can look like the end of the file.
        if (received !== bytes) throw cutShort(received, bytes);
        isWhole = true;
      } finally {
        if (!isWhole) session.close();
      }
    },
    async isSame({ name, bytes, modified }) {
      const session = await client.session();
      const size = /^213 (\d+)/.exec((await session.sendIgnoringError(`SIZE ${name}`)).message);
      if (size !== null && Number(size[1]) !== bytes) return false;
      const changed = await timeOf(session, name);
      return changed === null || modified === null || changed.at === secondOf(modified);
    },
    async remove({ name }) {
      await (await client.session()).send(`DELE ${name}`);
    },
    async archive({ name }, folder) {
      const session = await client.session();
      await session.sendIgnoringError(`MKD ${folder}`);
      const isTaken = async (tried: string) =>
        (await session.sendIgnoringError(`SIZE ${posix.join(folder, tried)}`)).code === 213;
      const free = await freeName(name, isTaken);
      await session.rename(name, posix.join(folder, free));
    },
    tell: ftpFailure,
    close: () => client.close(),
  };
}

/** Files whose time is asked for one by one. */
const timesMax = 500;

/**
 * Files of the folder. Servers without `MLSD` print times for people, to the minute or the day and in a zone of their
 * own; `MDTM` tells the second, in UTC.
 */
async function listed(session: Client, isWanted: (name: string) => boolean): Promise<Listed[]> {
  const files: Listed[] = (await session.list()).flatMap(
    ({ isFile, name, size, modifiedAt, rawModifiedAt }) =>
      isFile ? [{ name, bytes: size, modified: modifiedAt?.getTime() ?? null, mark: rawModifiedAt }] : [],
  );
  const unclear = files
    .filter(({ name, modified }) => modified === null && isWanted(name))
    .slice(0, timesMax);
  for (const file of unclear) {
    const changed = await timeOf(session, file.name);
    if (changed === null) break;
    file.modified = changed.at;
    file.mark = changed.mark;
  }
  return files;
}

const secondOf = (at: number) => at - (at % 1000);

/** When a file was changed, epoch milliseconds of a second; null when its server does not say. */
async function timeOf(session: Client, name: string): Promise<{ at: number; mark: string } | null> {
  const reply = await session.sendIgnoringError(`MDTM ${name}`);
  const time = /^213 (\d{4})(\d\d)(\d\d)(\d\d)(\d\d)(\d\d)/.exec(reply.message);
  if (time === null) return null;
  const [year, month, day, hour, minute, second] = time.slice(1).map(Number) as [number, ...number[]];
  return { at: Date.UTC(year, month! - 1, day, hour, minute, second), mark: time[0] };
}
