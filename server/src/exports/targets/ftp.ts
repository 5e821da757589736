import { createReadStream } from "node:fs";
import { isIP } from "node:net";
import { Readable } from "node:stream";
import tls from "node:tls";
import type { Client, FTPContext, FTPResponse } from "basic-ftp";
import { z } from "zod";
import { EgressFailure, type EgressReason, failureOf } from "../../platform/egress/egress.ts";
import {
  cleanedUp,
  type Delivery,
  folder,
  host,
  optionalPackage,
  placesOf,
  placeWord,
  port,
  secret,
  type Test,
  target,
  unlessAborted,
  username,
} from "./target.ts";

const settings = z.object({
  host: host(),
  port: port(21),
  username: username(),
  password: secret(),
  path: folder(),
  tls: placeWord(["none", "explicit", "implicit"], {
    usual: "none",
    about:
      "`explicit` is FTPS on the usual port, `implicit` mostly on 990. With `none` password and data travel in clear.",
  }),
});

type Settings = z.output<typeof settings>;

/** FTP and FTPS. The file is written under a hidden name and renamed, so that readers see all of it or nothing. */
export const ftp = target({
  title: "FTP or FTPS server",
  settings,
  async deliver(delivery) {
    const { file } = delivery;
    const places = placesOf(null, file);
    await cleanedUp(
      (begun) =>
        inSession(delivery, async (client) => {
          // A folder that is there already is refused.
          for (const each of places.folders) await client.sendIgnoringError(`MKD ${each}`);
          begun();
          await upload(client, createReadStream(file.path), places.hidden);
          await assertSize(client, places.hidden, file.bytes);
          await rename(client, places.hidden, places.final);
        }),
      (signal) => remove({ ...delivery, signal }, places.hidden),
    );
    return {};
  },
  async test(test) {
    const { hidden } = placesOf(null, { name: "test", id: `metertree-test-${test.id}` });
    await cleanedUp(
      (begun) =>
        inSession(test, async (client) => {
          begun();
          await upload(client, Readable.from([]), hidden);
          await client.send(`DELE ${hidden}`);
        }),
      (signal) => remove({ ...test, signal }, hidden),
    );
    return {};
  },
});

type Call = Pick<Test<Settings> | Delivery<Settings>, "settings" | "deps" | "signal">;

const controlMs = 30_000;

/** Logs in, lets `work` run and logs out. */
async function inSession(call: Call, work: (client: Client) => Promise<void>): Promise<void> {
  const { Client: FtpClient } = await optionalPackage("basic-ftp", () => import("basic-ftp"));
  const client = new FtpClient(controlMs);
  const stop = () => client.close();
  try {
    await unlessAborted(call.signal, { work: open(client, call).then(() => work(client)), stop });
  } catch (error) {
    throw ftpFailure(error);
  } finally {
    stop();
  }
}

async function open(client: Client, { settings, deps, signal }: Call): Promise<void> {
  const to = { host: settings.host, port: settings.port, signal };
  const socket =
    settings.tls === "implicit" ? await deps.egress.connectTls(to) : await deps.egress.connect(to);
  client.ftp.socket = socket;
  const options = deps.egress.tlsOptions(settings.host);
  // Each new socket makes the context forget them.
  client.ftp.tlsOptions = options;
  client.prepareTransfer = (ftp) => openData(ftp, { deps, signal });
  await greeting(client.ftp);
  if (settings.tls === "explicit") await secure(client, options);
  await client.sendIgnoringError("OPTS UTF8 ON");
  await loggedIn(client, settings);
  await client.useDefaultSettings();
  // Some servers notice only while they store that a folder is not there, and then just end the connection.
  if (settings.path !== null) await client.send(`CWD ${settings.path}`);
}

/** The first reply, which the server sends by itself. */
function greeting(ftp: FTPContext): Promise<unknown> {
  return ftp.handle(undefined, (reply, task) => {
    if (reply instanceof Error) task.reject(reply);
    else if (reply.code >= 200 && reply.code < 300) task.resolve(reply);
    else task.reject(new EgressFailure("server", { inner: reply.message }));
  });
}

async function secure(client: Client, options: tls.ConnectionOptions): Promise<void> {
  try {
    await client.useTLS(options);
  } catch (error) {
    const known = failureOf(error, "certificate");
    // A server without TLS stays without it, until somebody changes one side.
    if (known.cause instanceof Error && replyCode(error) !== undefined) {
      throw new EgressFailure("certificate", { inner: `no TLS: ${known.inner}`, retry: "stop" });
    }
    throw known;
  }
}

async function loggedIn(client: Client, { username, password }: Settings): Promise<void> {
  try {
    await client.login(username, password);
  } catch (error) {
    const code = replyCode(error);
    if (code === undefined || (code >= 400 && code < 500 && code !== 430)) throw error;
    throw new EgressFailure("login", { inner: (error as Error).message });
  }
}

/**
 * Opens a data connection to the machine of the control connection, whatever address the server names: another one
 * would let it send us anywhere.
 */
async function openData(
  ftp: FTPContext,
  { deps, signal }: Pick<Call, "deps" | "signal">,
): Promise<FTPResponse> {
  const host = ftp.socket.remoteAddress ?? "";
  const reply = await passive(ftp, host);
  const port = portOf(reply.message);
  const raw = await deps.egress.connect({ host, port, signal });
  // The handshake begins when the server is told what to store; the transfer waits for it.
  ftp.dataSocket =
    ftp.socket instanceof tls.TLSSocket
      ? tls.connect({ ...ftp.tlsOptions, ...sessionOf(ftp, ftp.socket), socket: raw })
      : raw;
  return reply;
}

/** Servers want the data connection to go on with the session of the control connection. */
function sessionOf(ftp: FTPContext, socket: tls.TLSSocket): tls.ConnectionOptions {
  const session = ftp.tlsSessionStore ?? socket.getSession();
  return session === undefined ? {} : { session };
}

async function passive(ftp: FTPContext, host: string): Promise<FTPResponse> {
  try {
    return await ftp.request("EPSV");
  } catch (error) {
    // PASV knows IPv4 only.
    if (replyCode(error) === undefined || isIP(host) !== 4) throw error;
    return ftp.request("PASV");
  }
}

function portOf(reply: string): number {
  const extended = /([|!])\1\1(\d{1,5})\1/.exec(reply);
  if (extended !== null) return Number(extended[2]);
  const parts = /(?<!\d)(?:\d{1,3},){4}(\d{1,3}),(\d{1,3})(?!\d)/.exec(reply);
  if (parts !== null) return Number(parts[1]) * 256 + Number(parts[2]);
  throw new EgressFailure("server", { inner: `no port in: ${reply}` });
}

async function upload(client: Client, source: Readable, place: string): Promise<void> {
  try {
    await client.uploadFrom(source, place);
  } finally {
    source.destroy();
  }
}

/** A cut data connection can look like the end of the file; not every server knows `SIZE`. */
async function assertSize(client: Client, place: string, bytes: number): Promise<void> {
  const reply = await client.sendIgnoringError(`SIZE ${place}`);
  const size = /^213 (\d{1,15})/.exec(reply.message)?.[1];
  if (size !== undefined && Number(size) !== bytes) {
    throw new EgressFailure("no_connection", { inner: `${size} of ${bytes} bytes arrived` });
  }
}

/**
 * Most servers replace a file that is there; the others want it gone first. Nothing is taken away unless the new file
 * is still there to follow: the reply to a rename that succeeded may have been lost.
 */
async function rename(client: Client, from: string, to: string): Promise<void> {
  try {
    await client.rename(from, to);
  } catch (error) {
    const isRefused = (replyCode(error) ?? 0) >= 500;
    if (!isRefused || !(await exists(client, to)) || !(await exists(client, from))) throw error;
    await client.send(`DELE ${to}`);
    await client.rename(from, to);
  }
}

async function exists(client: Client, place: string): Promise<boolean> {
  return (await client.sendIgnoringError(`SIZE ${place}`)).code === 213;
}

function remove(call: Call, hidden: string): Promise<void> {
  return inSession(call, async (client) => void (await client.sendIgnoringError(`DELE ${hidden}`)));
}

function replyCode(error: unknown): number | undefined {
  const { code } = error as { code?: unknown };
  return typeof code === "number" ? code : undefined;
}

/** RFC 959 section 4.2, as servers use it. */
const reasonOfReply: Readonly<Record<number, EgressReason>> = {
  430: "login",
  530: "login",
  532: "login",
  452: "full",
  552: "full",
  501: "permission",
  521: "permission",
  550: "permission",
  553: "permission",
  425: "no_connection",
  426: "no_connection",
};

function ftpFailure(error: unknown): EgressFailure {
  const code = replyCode(error);
  if (code === undefined) return failureOf(error, "no_connection");
  const reason = reasonOfReply[code] ?? (code >= 400 && code < 500 ? "server" : "other");
  return new EgressFailure(reason, { inner: (error as Error).message });
}
