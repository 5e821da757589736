import tls from "node:tls";
import type { ImapFlow } from "imapflow";
import { EgressFailure, failureOf } from "../egress/egress.ts";
import { line, secret } from "../secret-field.ts";
import { optionalPackage, type Reach, unlessAborted } from "./call.ts";
import { host, placeWord, port, username } from "./fields.ts";

/** How one logs in at a mail server. */
export interface ImapLogin {
  host: string;
  port: number;
  username: string;
  password: string;
  tls: "none" | "explicit" | "implicit";
  mailbox: string;
}

/** Fields of settings of a mailbox. */
export const imapFields = {
  host: host(),
  port: port(993),
  username: username(),
  password: secret(),
  tls: placeWord(["none", "explicit", "implicit"], {
    usual: "implicit",
    about:
      "`implicit` is mostly on port 993, `explicit` (STARTTLS) on 143. With `none` the password travels in clear.",
  }),
  mailbox: line(500).default("INBOX"),
};

const waitMs = 30_000;
/** Most bytes of one answer: contents are asked for in pieces of 64 KB. */
const answerBytesMax = 16_000_000;

/**
 * Logs in, opens the mailbox, lets `work` run and ends the connection.
 * @throws EgressFailure
 */
export async function imapSession<Out>(
  login: ImapLogin,
  reach: Reach,
  work: (client: ImapFlow) => Promise<Out>,
): Promise<Out> {
  const client = await connectable(login, reach);
  const stop = () => client.close();
  try {
    const all = open(client, login).then(() => Promise.race([work(client), closed(client)]));
    return await unlessAborted(reach.signal, { work: all, stop });
  } catch (error) {
    throw imapFailure(error);
  } finally {
    stop();
  }
}

/** Rejects when the connection ends: what waits for nothing but time would not hear of it. */
function closed(client: ImapFlow): Promise<never> {
  return new Promise((_, reject) => {
    client.on("close", () => reject(new EgressFailure("no_connection", { inner: "closed" })));
  });
}

/** A client over a connection that goes through the guarded way out. */
async function connectable(login: ImapLogin, { egress, signal }: Reach): Promise<ImapFlow> {
  const { ImapFlow: Client } = await optionalPackage("imapflow", () => import("imapflow"));
  const to = { host: login.host, port: login.port, signal };
  const socket = login.tls === "implicit" ? await egress.connectTls(to) : await egress.connect(to);
  const client = new Client({
    host: login.host,
    port: login.port,
    secure: login.tls === "implicit",
    doSTARTTLS: login.tls === "explicit",
    auth: { user: login.username, pass: login.password },
    transport: {
      connect(_options, onConnect) {
        setImmediate(onConnect);
        return socket;
      },
      upgrade: (plain, _options, onSecure) =>
        tls.connect({ ...egress.tlsOptions(login.host), socket: plain }, onSecure),
    },
    clientInfo: { name: "Metertree" },
    // It would write to the console; failures are told by us.
    logger: false,
    disableAutoIdle: true,
    greetingTimeout: waitMs,
    socketTimeout: waitMs * 10,
    maxLiteralSize: answerBytesMax,
    maxLineLength: answerBytesMax,
    maxResponseSize: answerBytesMax * 2,
  });
  // An error that nobody hears would end the process; those of commands are told to whoever waits for them.
  client.on("error", () => undefined);
  return client;
}

async function open(client: ImapFlow, { mailbox }: ImapLogin): Promise<void> {
  await client.connect();
  try {
    await client.mailboxOpen(mailbox);
  } catch (error) {
    // Some servers find the name of a mailbox that is not there wrong.
    const { responseStatus, message } = error as ImapError;
    if (responseStatus === "BAD") throw new EgressFailure("permission", { inner: message });
    throw error;
  }
}

interface ImapError extends Error {
  authenticationFailed?: boolean;
  mailboxMissing?: boolean;
  tlsFailed?: boolean;
  responseStatus?: string;
}

/** What an error of the library means. */
export function imapFailure(error: unknown): EgressFailure {
  if (error instanceof EgressFailure) return error;
  const { authenticationFailed, mailboxMissing, tlsFailed, responseStatus, message } = error as ImapError;
  const inner = message;
  if (authenticationFailed === true) return new EgressFailure("login", { inner });
  // A server without TLS stays without it, until somebody changes one side.
  if (tlsFailed === true) {
    const known = failureOf(error, "certificate");
    const isAbsent = !(known.cause instanceof Error && "code" in known.cause);
    return isAbsent ? new EgressFailure("certificate", { inner, retry: "stop" }) : known;
  }
  if (mailboxMissing === true || responseStatus === "NO") return new EgressFailure("permission", { inner });
  return failureOf(error, "no_connection");
}
