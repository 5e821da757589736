import { mkdirSync, readdirSync, readFileSync, rmSync, statSync, utimesSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { ftpServer, login } from "../../../../test/harness/servers/ftp.ts";
import { openSsh } from "../../../../test/harness/servers/openssh.ts";
import { s3Login, s3Server } from "../../../../test/harness/servers/s3.ts";
import { sftpServer } from "../../../../test/harness/servers/sftp.ts";
import type { Connector } from "../../collection/connector.ts";
import { makeEgress } from "../../platform/egress/egress.ts";
import { s3Sdk, s3Session } from "../../platform/transfer/s3.ts";
import { fileDropFtp } from "../file-drop-ftp/connector.ts";
import { fileDropS3 } from "../file-drop-s3/connector.ts";
import { fileDropSftp } from "../file-drop-sftp/connector.ts";

/** What happens after a file was read, before it is put away; a test says so. */
export const betweenTimes: { happens?: (() => Promise<void>) | undefined } = {};

/** The connector, and now and then something between reading and putting away. */
function interruptible(connector: Connector): Connector {
  return {
    ...connector,
    async *receive(visit) {
      const files = connector.receive!(visit);
      let step = await files.next(undefined as never);
      while (step.done !== true) {
        const fate = yield step.value;
        await betweenTimes.happens?.();
        step = await files.next(fate);
      }
      return step.value;
    },
  };
}

/** A folder on a real server, and the connector that reads it. */
export interface DropServer {
  connector: Connector;
  credentials: Record<string, unknown>;
  /** What is wrong credentials for it. */
  wrong: Record<string, unknown>;
  /** A folder that is not there. */
  nowhere: Record<string, unknown>;
  /** Puts a file there that was last changed at an instant, epoch ms. */
  put(name: string, content: string | Buffer, changed: number): Promise<void>;
  remove(name: string): Promise<void>;
  /** Content of all files by path, those in folders too. */
  files(): Promise<Record<string, string>>;
  close(): Promise<void>;
}

function overFolder(root: string): Pick<DropServer, "put" | "remove" | "files"> {
  return {
    async put(name, content, changed) {
      const path = join(root, name);
      mkdirSync(join(path, ".."), { recursive: true });
      writeFileSync(path, content);
      utimesSync(path, changed / 1000, changed / 1000);
    },
    remove: async (name) => rmSync(join(root, name), { recursive: true }),
    async files() {
      const names = readdirSync(root, { recursive: true, encoding: "utf8" }).sort();
      const files = names.filter((name) => statSync(join(root, name)).isFile());
      return Object.fromEntries(files.map((name) => [name, readFileSync(join(root, name), "utf8")]));
    },
  };
}

const file = { timezone: "Europe/Stockholm", path: "in" };

async function overFtp(): Promise<DropServer> {
  const server = await ftpServer();
  mkdirSync(join(server.root, "in"));
  const credentials = { host: "127.0.0.1", port: server.port, ...login, ...file };
  return {
    connector: interruptible(fileDropFtp),
    credentials,
    wrong: { ...credentials, password: "wrong" },
    nowhere: { ...credentials, path: "nowhere" },
    ...overFolder(join(server.root, "in")),
    close: () => server.close(),
  };
}

async function overSftp(): Promise<DropServer> {
  const server = await sftpServer();
  mkdirSync(join(server.root, "in"));
  const credentials = { host: "127.0.0.1", port: server.port, ...login, ...file };
  return {
    connector: interruptible(fileDropSftp),
    credentials,
    wrong: { ...credentials, password: "wrong" },
    nowhere: { ...credentials, path: "nowhere" },
    ...overFolder(join(server.root, "in")),
    close: () => server.close(),
  };
}

async function overOpenSsh(): Promise<DropServer | null> {
  const server = await openSsh();
  if (server === null) return null;
  const { port, username, privateKey, fingerprint, folder } = server;
  const credentials = {
    ...{ host: "127.0.0.1", port, username, private_key: privateKey, host_key: fingerprint },
    ...{ timezone: file.timezone, path: folder },
  };
  return {
    connector: interruptible(fileDropSftp),
    credentials,
    wrong: { ...credentials, username: "nobody-here" },
    nowhere: { ...credentials, path: `${folder}/nowhere` },
    ...overFolder(folder),
    close: () => server.close(),
  };
}

async function overS3(): Promise<DropServer> {
  const server = await s3Server();
  const { bucket, endpoint } = server;
  const credentials = { bucket, endpoint, ...s3Login, ...file };
  const { PutObjectCommand, DeleteObjectCommand, ListObjectsV2Command, GetObjectCommand } = await s3Sdk();
  const egress = makeEgress({ allow: ["127.0.0.1"] });
  const settings = { bucket, endpoint, ...s3Login, region: null, force_path_style: true };
  const inSession = (work: Parameters<typeof s3Session>[2]) => s3Session(settings, { egress }, work);
  const Bucket = bucket;
  return {
    connector: interruptible(fileDropS3),
    credentials,
    wrong: { ...credentials, access_key_id: "WRONG" },
    nowhere: { ...credentials, bucket: "no-such-bucket" },
    async put(name, content) {
      await inSession(async (client) => {
        await client.send(new PutObjectCommand({ Bucket, Key: `in/${name}`, Body: content }));
      });
    },
    async remove(name) {
      await inSession(async (client) => {
        await client.send(new DeleteObjectCommand({ Bucket, Key: `in/${name}` }));
      });
    },
    async files() {
      const found: [string, string][] = [];
      await inSession(async (client) => {
        const { Contents = [] } = await client.send(new ListObjectsV2Command({ Bucket, Prefix: "in/" }));
        for (const { Key = "" } of Contents) {
          const { Body } = await client.send(new GetObjectCommand({ Bucket, Key }));
          found.push([Key.slice("in/".length), (await Body?.transformToString()) ?? ""]);
        }
      });
      return Object.fromEntries(found.sort(([a], [b]) => (a < b ? -1 : 1)));
    },
    async close() {
      await egress.close();
      await server.close();
    },
  };
}

/** Servers by what is spoken with them; null where one is not installed. */
export const dropServers: Readonly<Record<string, () => Promise<DropServer | null>>> = {
  FTP: overFtp,
  SFTP: overSftp,
  OpenSSH: overOpenSsh,
  S3: overS3,
};

/** A table of hours of one day, in kWh. */
export function hourTable(meter: string, values: readonly (number | string)[], day = "2026-01-10"): string {
  const rows = values.map((value, i) => `${meter};${day} ${String(i).padStart(2, "0")}:00;${value}\n`);
  return `meter;start;kWh\n${rows.join("")}`;
}
