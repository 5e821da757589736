import {
  closeSync,
  fstatSync,
  lstatSync,
  mkdirSync,
  mkdtempSync,
  openSync,
  readdirSync,
  readSync,
  renameSync,
  rmSync,
  type Stats,
  statSync,
  unlinkSync,
  writeSync,
} from "node:fs";
import { createRequire } from "node:module";
import { tmpdir } from "node:os";
import { join } from "node:path";
import type { Attributes, Connection, SFTPWrapper, Server as SshServer } from "ssh2";
import { login } from "./ftp.ts";

const ssh2 = createRequire(import.meta.url)("ssh2") as typeof import("ssh2");

export interface SftpServer {
  port: number;
  /** What the server holds lies here. */
  root: string;
  close(): Promise<void>;
}

export interface SftpFaults {
  /** Text of the host key; a new one by default. */
  hostKey?: string;
  /** Status (`STATUS_CODE` of ssh2) of writing, with the text that comes with it. */
  write?: { status: number; text: string };
  /** Ends the connection after so many bytes. */
  dropAfter?: number;
  /** Answers nothing to writes. */
  mute?: boolean;
  /** Refuses to rename, always or only onto a file that is there. */
  rename?: "never" | "no-replace";
}

/** A new private key in the format of OpenSSH. */
export function makeSshKey(): { private: string; public: string } {
  // Of 3,000 keys that ssh2 1.17 made, 14 could not be read by itself.
  for (;;) {
    const key = ssh2.utils.generateKeyPairSync("ed25519");
    if (!(ssh2.utils.parseKey(key.private) instanceof Error)) return key;
  }
}

const { STATUS_CODE } = ssh2.utils.sftp;

/** An SFTP server without extensions over an empty folder, that fails as it is told. */
export async function sftpServer(faults: SftpFaults = {}): Promise<SftpServer> {
  const root = mkdtempSync(join(tmpdir(), "metertree-sftp-"));
  const open = new Set<Connection>();
  const server: SshServer = new ssh2.Server(
    { hostKeys: [faults.hostKey ?? makeSshKey().private] },
    (client) => {
      open.add(client);
      client.on("error", () => undefined);
      client.on("close", () => open.delete(client));
      client.on("authentication", (context) => {
        const isGood =
          context.method === "password" &&
          context.username === login.username &&
          context.password === login.password;
        if (isGood) context.accept();
        else context.reject(["password"]);
      });
      client.on("ready", () =>
        client.on("session", (accept) =>
          accept().on("sftp", (acceptSftp) => serve(acceptSftp(), { root, faults, client })),
        ),
      );
    },
  );
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  return {
    port: (server.address() as { port: number }).port,
    root,
    async close() {
      for (const client of open) client.end();
      await new Promise<void>((resolve) => server.close(() => resolve()));
      rmSync(root, { recursive: true, force: true });
    },
  };
}

interface State {
  root: string;
  faults: SftpFaults;
  client: Connection;
}

function serve(sftp: SFTPWrapper, { root, faults, client }: State): void {
  const place = (path: string) => join(root, path);
  let bytes = 0;
  const answer = (id: number, work: () => void) => {
    try {
      work();
      sftp.status(id, STATUS_CODE.OK);
    } catch (error) {
      const isAbsent = (error as NodeJS.ErrnoException).code === "ENOENT";
      sftp.status(id, isAbsent ? STATUS_CODE.NO_SUCH_FILE : STATUS_CODE.FAILURE, (error as Error).message);
    }
  };
  sftp.on("error", () => undefined);
  sftp.on("OPEN", (id, path, flags) => {
    try {
      const mode = ssh2.utils.sftp.flagsToString(flags) ?? "r";
      const handle = Buffer.alloc(4);
      handle.writeUInt32BE(openSync(place(path), mode));
      sftp.handle(id, handle);
    } catch {
      sftp.status(id, STATUS_CODE.NO_SUCH_FILE);
    }
  });
  sftp.on("WRITE", (id, handle, offset, data) => {
    bytes += data.length;
    if (faults.mute === true) return;
    if (faults.dropAfter !== undefined && bytes >= faults.dropAfter) return void client.end();
    if (faults.write !== undefined) return void sftp.status(id, faults.write.status, faults.write.text);
    answer(id, () => void writeSync(handle.readUInt32BE(), data, 0, data.length, offset));
  });
  const listings = serveFolders(sftp, place);
  sftp.on("FSTAT", (id, handle) => {
    sftp.attrs(id, attributesOf(fstatSync(handle.readUInt32BE())));
  });
  sftp.on("FSETSTAT", (id) => sftp.status(id, STATUS_CODE.OK));
  sftp.on("CLOSE", (id, handle) =>
    answer(id, () => {
      const number = handle.readUInt32BE();
      if (!listings.delete(number)) closeSync(number);
    }),
  );
  sftp.on("REMOVE", (id, path) => answer(id, () => unlinkSync(place(path))));
  sftp.on("MKDIR", (id, path) => answer(id, () => mkdirSync(place(path))));
  sftp.on("STAT", (id, path) => {
    try {
      sftp.attrs(id, attributesOf(statSync(place(path))));
    } catch {
      sftp.status(id, STATUS_CODE.NO_SUCH_FILE);
    }
  });
  sftp.on("RENAME", (id, from, to) => {
    const isThere = statSync(place(to), { throwIfNoEntry: false }) !== undefined;
    const isRefused = faults.rename === "never" || (faults.rename === "no-replace" && isThere);
    if (isRefused) sftp.status(id, STATUS_CODE.FAILURE, "File exists");
    else answer(id, () => renameSync(place(from), place(to)));
  });
}

/** What the protocol tells of a file; its times are seconds. */
function attributesOf({ size, mode, uid, gid, mtimeMs }: Stats): Attributes {
  const mtime = Math.floor(mtimeMs / 1000);
  return { size, mode, uid, gid, atime: mtime, mtime };
}

/** Lists folders, two names at a time, and reads files; returns the open lists. */
function serveFolders(sftp: SFTPWrapper, place: (path: string) => string): Map<number, string[]> {
  const listings = new Map<number, string[]>();
  sftp.on("OPENDIR", (id, path) => {
    try {
      // Numbers that no open file has.
      const number = 1_000_000 + id;
      listings.set(
        number,
        readdirSync(place(path)).map((name) => join(path, name)),
      );
      const handle = Buffer.alloc(4);
      handle.writeUInt32BE(number);
      sftp.handle(id, handle);
    } catch {
      sftp.status(id, STATUS_CODE.NO_SUCH_FILE);
    }
  });
  sftp.on("READDIR", (id, handle) => {
    const some = listings.get(handle.readUInt32BE())!.splice(0, 2);
    if (some.length === 0) return void sftp.status(id, STATUS_CODE.EOF);
    const entries = some.map((path) => ({
      filename: path.split("/").at(-1)!,
      longname: path,
      attrs: attributesOf(lstatSync(place(path))),
    }));
    sftp.name(id, entries as never);
  });
  sftp.on("READ", (id, handle, offset, length) => {
    const bytes = Buffer.alloc(length);
    const count = readSync(handle.readUInt32BE(), bytes, 0, length, offset);
    if (count === 0) sftp.status(id, STATUS_CODE.EOF);
    else sftp.data(id, bytes.subarray(0, count));
  });
  return listings;
}
