import { isIP } from "node:net";
import tls from "node:tls";
import type { Client, FTPContext, FTPResponse } from "basic-ftp";
import { EgressFailure, type EgressReason, failureOf } from "../egress/egress.ts";
import { secret } from "../secret-field.ts";
import { optionalPackage, type Reach, unlessAborted } from "./call.ts";
import { folder, host, placeWord, port, username } from "./fields.ts";

/** How one logs in at an FTP server. */
export interface FtpLogin {
  host: string;
  port: number;
  username: string;
  password: string;
  /** Null is where the login leads. */
  path: string | null;
  tls: "none" | "explicit" | "implicit";
}

/** Fields of settings of an FTP server. */
export const ftpFields = {
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
};

const controlMs = 30_000;

/**
 * Logs in, goes to the folder, lets `work` run and ends the connection. `prepareTransfer` of the client opens data
 * connections to the machine of the control connection alone.
 * @throws EgressFailure
 */
export async function ftpSession<Out>(
  login: FtpLogin,
  reach: Reach,
  work: (client: Client) => Promise<Out>,
): Promise<Out> {
  const { Client: FtpClient } = await optionalPackage("basic-ftp", () => import("basic-ftp"));
  const client = new FtpClient(controlMs);
  const stop = () => client.close();
  try {
    return await unlessAborted(reach.signal, {
      work: open(client, login, reach).then(() => work(client)),
      stop,
    });
  } catch (error) {
    throw ftpFailure(error);
  } finally {
    stop();
  }
}

async function open(client: Client, login: FtpLogin, reach: Reach): Promise<void> {
  const { egress, signal } = reach;
  const to = { host: login.host, port: login.port, signal };
  const socket = login.tls === "implicit" ? await egress.connectTls(to) : await egress.connect(to);
  client.ftp.socket = socket;
  const options = egress.tlsOptions(login.host);
  // Each new socket makes the context forget them.
  client.ftp.tlsOptions = options;
  client.prepareTransfer = (ftp) => openData(ftp, reach);
  await greeting(client.ftp);
  if (login.tls === "explicit") await secure(client, options);
  await client.sendIgnoringError("OPTS UTF8 ON");
  await loggedIn(client, login);
  await client.useDefaultSettings();
  // Some servers notice only while they store that a folder is not there, and then just end the connection.
  if (login.path !== null) await client.send(`CWD ${login.path}`);
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

async function loggedIn(client: Client, { username, password }: FtpLogin): Promise<void> {
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
async function openData(ftp: FTPContext, { egress, signal }: Reach): Promise<FTPResponse> {
  const host = ftp.socket.remoteAddress ?? "";
  const reply = await passive(ftp, host);
  const port = portOf(reply.message);
  const raw = await egress.connect({ host, port, signal });
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

/** The code of a reply that an error is made of; `undefined` for other errors. */
export function replyCode(error: unknown): number | undefined {
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

/** What an error of the library means. */
export function ftpFailure(error: unknown): EgressFailure {
  const code = replyCode(error);
  if (code === undefined) return failureOf(error, "no_connection");
  const reason = reasonOfReply[code] ?? (code >= 400 && code < 500 ? "server" : "other");
  return new EgressFailure(reason, { inner: (error as Error).message });
}
