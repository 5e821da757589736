import { createHash } from "node:crypto";
import type { Client, ConnectConfig, SFTPWrapper } from "ssh2";
import { z } from "zod";
import { EgressFailure, type EgressReason, failureOf } from "../egress/egress.ts";
import { line, optionalSecret } from "../secret-field.ts";
import { optionalPackage, type Reach, unlessAborted } from "./call.ts";
import { folder, host, learned, port, username } from "./fields.ts";

/** How one logs in at an SFTP server. */
export interface SftpLogin {
  host: string;
  port: number;
  username: string;
  password: string | null;
  private_key: string | null;
  passphrase: string | null;
  /** Fingerprint of the server's key; learnt when there is none. */
  host_key?: string | null | undefined;
}

/** RSA of 8192 bits has 6,400 characters; more bits would keep the event loop busy for long. */
const privateKeyMax = 8_000;

/**
 * Passphrases of OpenSSH keys are stretched on the event loop, in rounds that the file names: ssh-keygen writes 16 (24
 * from 9.4 on). Whatever asks for much more would stop the whole server.
 */
const roundsMax = 32;

function isQuick(pem: string): boolean {
  const body = /^-----BEGIN OPENSSH PRIVATE KEY-----([^-]*)/.exec(pem)?.[1];
  if (body === undefined) return true;
  const bytes = Buffer.from(body, "base64");
  // "openssh-key-v1\0", then the names of cipher and function and the options of the latter, each after its length.
  let at = 15;
  const next = () => {
    const length = bytes.readUInt32BE(at);
    at += 4 + length;
    return bytes.subarray(at - length, at);
  };
  try {
    next();
    if (next().toString() === "none") return true;
    const options = next();
    return options.readUInt32BE(options.length - 4) <= roundsMax;
  } catch {
    return false;
  }
}

const privateKey = z
  .string()
  .max(privateKeyMax)
  .regex(
    /^-----BEGIN [A-Z0-9 ]{0,40}PRIVATE KEY-----[\x20-\x7e\r\n]+$/,
    "must be a private key in PEM or OpenSSH format, from -----BEGIN … PRIVATE KEY----- on",
  )
  .refine(
    isQuick,
    `must have at most ${roundsMax} rounds behind its passphrase: ssh-keygen -p -a 16 -f <file>`,
  );

/** Fields of settings of an SFTP server. */
export const sftpFields = {
  host: host(),
  port: port(22),
  username: username(),
  password: optionalSecret("Needed unless there is a private key."),
  private_key: optionalSecret("Text of a private key, in PEM or OpenSSH format.", privateKey),
  passphrase: optionalSecret("Opens the private key."),
  path: folder(),
  host_key: learned(
    line(100).regex(/^SHA256:[A-Za-z0-9+/]{43}$/, "must be a fingerprint: SHA256: and 43 characters"),
    "Fingerprint of the server's key, as `ssh-keygen -l` shows it. Learnt at the first connection when it is `null`.",
  ),
};

/** Is there something to log in with? */
export function hasSftpLogin(given: Pick<SftpLogin, "password" | "private_key">): boolean {
  return given.password !== null || given.private_key !== null;
}

/** What settings without it are told. */
export const sftpLoginMissing = { path: ["password"], error: "is required unless there is a private_key" };

const readyMs = 30_000;

/**
 * Logs in and lets `work` run; the server must show the key that it showed first. Returns the key of the server when
 * none was known.
 * @throws EgressFailure
 */
export async function sftpSession(
  login: SftpLogin,
  reach: Reach,
  work: (session: SFTPWrapper) => Promise<void>,
): Promise<{ host_key?: string }> {
  const { Client: SshClient } = await optionalPackage("ssh2", () => import("ssh2"));
  const client = new SshClient();
  const stop = () => client.destroy();
  const learnt: { host_key?: string } = {};
  try {
    const all = open(client, { login, reach, learnt }).then((session) =>
      Promise.race([work(session), closed(client)]),
    );
    await unlessAborted(reach.signal, { work: all, stop });
    return learnt;
  } catch (error) {
    throw sftpFailure(error);
  } finally {
    stop();
  }
}

/** Rejects when the connection ends: what is asked after that gets no answer, not even a failure. */
function closed(client: Client): Promise<never> {
  return new Promise((_, reject) => {
    client.on("close", () => reject(new EgressFailure("no_connection", { inner: "closed" })));
  });
}

interface Opening {
  login: SftpLogin;
  reach: Reach;
  learnt: { host_key?: string };
}

async function open(client: Client, { login, reach, learnt }: Opening): Promise<SFTPWrapper> {
  const { egress, signal } = reach;
  const sock = await egress.connect({ host: login.host, port: login.port, signal });
  let changed: EgressFailure | undefined;
  await new Promise<void>((resolve, reject) => {
    client.on("ready", resolve);
    client.on("error", (error) => reject(changed ?? error));
    client.on("close", () => reject(changed ?? new EgressFailure("no_connection", { inner: "closed" })));
    client.on("keyboard-interactive", (_name, _about, _language, prompts, finish) =>
      finish(prompts.map(() => login.password ?? "")),
    );
    try {
      client.connect({
        ...loginOf(login),
        sock,
        readyTimeout: readyMs,
        // A server would choose numbers to calculate with, as large as it likes.
        algorithms: { kex: { remove: ["diffie-hellman-group-exchange-sha256"], append: [], prepend: [] } },
        keepaliveInterval: 15_000,
        hostVerifier: (key: Buffer) => {
          const found = fingerprint(key);
          const known = login.host_key ?? (learnt.host_key ??= found);
          if (known === found) return true;
          changed = new EgressFailure("certificate", {
            inner: `the host key is ${found}, not ${known} as before`,
            retry: "stop",
          });
          return false;
        },
      });
    } catch (error) {
      sock.destroy();
      // A key file that cannot be read, or a passphrase that does not open it.
      reject(new EgressFailure("login", { inner: (error as Error).message }));
    }
  });
  return new Promise((resolve, reject) =>
    client.sftp((error, session) =>
      error === undefined || error === null ? resolve(session) : reject(error),
    ),
  );
}

function loginOf({ username, password, private_key, passphrase }: SftpLogin): ConnectConfig {
  return {
    username,
    ...(password === null ? {} : { password, tryKeyboard: true }),
    ...(private_key === null ? {} : { privateKey: private_key }),
    ...(passphrase === null ? {} : { passphrase }),
  };
}

function fingerprint(key: Buffer): string {
  return `SHA256:${createHash("sha256").update(key).digest("base64").replace(/=+$/, "")}`;
}

type End = (error?: Error | null) => void;

/** Waits for a call of a session that brings nothing back. */
export function done(work: (end: End) => unknown): Promise<void> {
  return new Promise((resolve, reject) =>
    work((error) => (error === undefined || error === null ? resolve() : reject(error))),
  );
}

/** Status of an answer that an error is made of; `undefined` for other errors. */
export function statusOf(error: unknown): number | undefined {
  const { code } = error as { code?: unknown };
  return typeof code === "number" ? code : undefined;
}

/** Status codes of version 3, which everybody speaks; 4 stands for everything that has no number. */
const reasonOfStatus: Readonly<Record<number, EgressReason>> = {
  2: "permission",
  3: "permission",
  6: "no_connection",
  7: "no_connection",
};

/** What an error of the library means. */
export function sftpFailure(error: unknown): EgressFailure {
  const { level, message } = error as Error & { level?: string };
  if (level === "client-authentication") return new EgressFailure("login", { inner: message });
  const status = statusOf(error);
  if (status === undefined) return failureOf(error, "no_connection");
  const isFull = status === 4 && /space|quota|full/i.test(message);
  return new EgressFailure(isFull ? "full" : (reasonOfStatus[status] ?? "server"), {
    inner: `SFTP status ${status}: ${message}`,
  });
}
