import { createHash } from "node:crypto";
import type { Client, ConnectConfig, SFTPWrapper } from "ssh2";
import { z } from "zod";
import { EgressFailure, type EgressReason, failureOf } from "../../platform/egress/egress.ts";
import {
  cleanedUp,
  type Delivery,
  folder,
  host,
  learned,
  line,
  optionalPackage,
  optionalSecret,
  placesOf,
  port,
  type Test,
  target,
  unlessAborted,
  username,
} from "./target.ts";

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

const settings = z
  .object({
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
  })
  .refine((given) => given.password !== null || given.private_key !== null, {
    path: ["password"],
    error: "is required unless there is a private_key",
  });

type Settings = z.output<typeof settings>;

/** SFTP. The file is written under a hidden name and renamed; the server must show the key that it showed first. */
export const sftp = target({
  title: "SFTP server",
  settings,
  async deliver(delivery) {
    const { file } = delivery;
    const places = placesOf(delivery.settings.path, file);
    return cleanedUp(
      (begun) =>
        inSession(delivery, async (session) => {
          // Folders that are there already answer with a failure.
          for (const each of places.folders) {
            await done((end) => session.mkdir(each, end)).catch(() => undefined);
          }
          begun();
          await done((end) => session.fastPut(file.path, places.hidden, end));
          await rename(session, places.hidden, places.final);
        }),
      (signal) => remove({ ...delivery, signal }, places.hidden),
    );
  },
  async test(test) {
    const { hidden } = placesOf(test.settings.path, { name: "test", id: `metertree-test-${test.id}` });
    return cleanedUp(
      (begun) =>
        inSession(test, async (session) => {
          begun();
          await done((end) => session.writeFile(hidden, "", end));
          await done((end) => session.unlink(hidden, end));
        }),
      (signal) => remove({ ...test, signal }, hidden),
    );
  },
});

type Call = Pick<Test<Settings> | Delivery<Settings>, "settings" | "deps" | "signal">;

const readyMs = 30_000;

/** Logs in and lets `work` run. Returns the key of the server when none was known. */
async function inSession(
  call: Call,
  work: (session: SFTPWrapper) => Promise<void>,
): Promise<Partial<Settings>> {
  const { Client: SshClient } = await optionalPackage("ssh2", () => import("ssh2"));
  const client = new SshClient();
  const stop = () => client.destroy();
  const learnt: Partial<Settings> = {};
  try {
    const all = open(client, call, learnt).then((session) => Promise.race([work(session), closed(client)]));
    await unlessAborted(call.signal, { work: all, stop });
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

async function open(client: Client, call: Call, learnt: Partial<Settings>): Promise<SFTPWrapper> {
  const { settings, deps, signal } = call;
  const sock = await deps.egress.connect({ host: settings.host, port: settings.port, signal });
  let changed: EgressFailure | undefined;
  await new Promise<void>((resolve, reject) => {
    client.on("ready", resolve);
    client.on("error", (error) => reject(changed ?? error));
    client.on("close", () => reject(changed ?? new EgressFailure("no_connection", { inner: "closed" })));
    client.on("keyboard-interactive", (_name, _about, _language, prompts, finish) =>
      finish(prompts.map(() => settings.password ?? "")),
    );
    try {
      client.connect({
        ...loginOf(settings),
        sock,
        readyTimeout: readyMs,
        // A server would choose numbers to calculate with, as large as it likes.
        algorithms: { kex: { remove: ["diffie-hellman-group-exchange-sha256"], append: [], prepend: [] } },
        keepaliveInterval: 15_000,
        hostVerifier: (key: Buffer) => {
          const found = fingerprint(key);
          const known = settings.host_key ?? (learnt.host_key ??= found);
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

function loginOf({ username, password, private_key, passphrase }: Settings): ConnectConfig {
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

function done(work: (end: End) => unknown): Promise<void> {
  return new Promise((resolve, reject) =>
    work((error) => (error === undefined || error === null ? resolve() : reject(error))),
  );
}

/** OpenSSH replaces a file that is there in one step; elsewhere it has to go first. */
async function rename(session: SFTPWrapper, from: string, to: string): Promise<void> {
  try {
    await done((end) => session.ext_openssh_rename(from, to, end));
    return;
  } catch (error) {
    if (statusOf(error) !== undefined) throw error;
    // The server does not know this extension.
  }
  const plain = () => done((end) => session.rename(from, to, end));
  await plain().catch(async (error) => {
    // Nothing is taken away unless the new file is still there to follow.
    if (!(await isThere(session, to)) || !(await isThere(session, from))) throw error;
    await done((end) => session.unlink(to, end));
    await plain();
  });
}

function isThere(session: SFTPWrapper, path: string): Promise<boolean> {
  return done((end) => session.stat(path, end)).then(
    () => true,
    () => false,
  );
}

function remove(call: Call, hidden: string): Promise<unknown> {
  return inSession(call, (session) => done((end) => session.unlink(hidden, end)));
}

function statusOf(error: unknown): number | undefined {
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

function sftpFailure(error: unknown): EgressFailure {
  const { level, message } = error as Error & { level?: string };
  if (level === "client-authentication") return new EgressFailure("login", { inner: message });
  const status = statusOf(error);
  if (status === undefined) return failureOf(error, "no_connection");
  const isFull = status === 4 && /space|quota|full/i.test(message);
  return new EgressFailure(isFull ? "full" : (reasonOfStatus[status] ?? "server"), {
    inner: `SFTP status ${status}: ${message}`,
  });
}
