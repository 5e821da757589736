import { createReadStream } from "node:fs";
import { z } from "zod";
import { canonicalHost } from "../../platform/egress/address.ts";
import { EgressFailure, type EgressReason, failureOf } from "../../platform/egress/egress.ts";
import { optionalPackage, unlessAborted } from "../../platform/transfer/call.ts";
import { type Delivery, flatName, line, optional, type Test, target } from "./target.ts";

const addressesMax = 20;

const settings = z.object({
  email: line(2_000)
    .refine(
      (text) => addressesOf(text).length <= addressesMax && addressesOf(text).every(isAddress),
      `must be an e-mail address, or up to ${addressesMax} with commas between them`,
    )
    .describe(`An address, or up to ${addressesMax} with commas between them.`),
  subject: optional(line(200)).describe("Subject of the mail; the name of the file when it is left out."),
});

type Settings = z.output<typeof settings>;

/** A mail per file, through the operator's server. Repeats have the same `Message-ID`. */
export const smtp = target({
  title: "E-mail",
  settings,
  async deliver(delivery) {
    const { settings, deps, file } = delivery;
    const from = deps.settings.smtpFrom;
    const name = flatName(file.name);
    await throughServer(delivery, async (transport) => {
      const content = createReadStream(file.path);
      try {
        const sent = await transport.sendMail({
          from,
          to: addressesOf(settings.email),
          subject: settings.subject ?? name,
          text: `${name} is attached.\n`,
          messageId: `<${file.id}@${domainOf(from)}>`,
          headers: { "Auto-Submitted": "auto-generated" },
          attachments: [{ filename: name, content, contentType: file.type }],
        });
        // Some were taken and some not: told as the failure that it is, the others see the same Message-ID again.
        const [refused] = sent.rejectedErrors ?? [];
        if (refused !== undefined) throw refused;
      } finally {
        content.destroy();
      }
    });
    return {};
  },
  async test(test) {
    await throughServer(test, (transport) => transport.verify());
    return {};
  },
});

function addressesOf(text: string): string[] {
  return text.split(",").map((each) => each.trim());
}

function isAddress(text: string): boolean {
  const at = text.lastIndexOf("@");
  if (!/^[^\s@<>(),;:"\\[\]]{1,64}$/.test(text.slice(0, at)) || !text.slice(at).includes(".")) return false;
  try {
    return canonicalHost(text.slice(at + 1)) !== "";
  } catch {
    return false;
  }
}

function domainOf(from: string): string {
  return /@([\w.-]{1,253})/.exec(from)?.[1] ?? "localhost";
}

type Call = Pick<Test<Settings> | Delivery<Settings>, "deps" | "signal">;
type Transport = ReturnType<typeof import("nodemailer")["createTransport"]> & {
  sendMail(mail: object): Promise<{ rejectedErrors?: Error[] }>;
};

const silenceMs = 60_000;

async function throughServer(call: Call, work: (transport: Transport) => Promise<unknown>): Promise<void> {
  const { deps, signal } = call;
  if (deps.settings.smtpUrl === null) {
    throw new EgressFailure("server", { inner: "METERTREE_SMTP_URL is not set", retry: "stop" });
  }
  const { createTransport } = await optionalPackage("nodemailer", () => import("nodemailer"));
  const url = new URL(deps.settings.smtpUrl);
  const host = url.hostname.replace(/^\[|\]$/g, "");
  const secure = url.protocol === "smtps:";
  const login = { user: decodeURIComponent(url.username), pass: decodeURIComponent(url.password) };
  const controller = new AbortController();
  const to = {
    host,
    port: Number(url.port) || (secure ? 465 : 587),
    isOperators: true,
    signal: controller.signal,
  };
  const sockets: { destroy(): unknown }[] = [];
  const options = {
    host,
    secure,
    ...(login.user === "" ? {} : { auth: login }),
    tls: deps.egress.tlsOptions(host),
    greetingTimeout: silenceMs,
    socketTimeout: silenceMs,
    disableFileAccess: true,
    disableUrlAccess: true,
    getSocket(_: unknown, callback: (error: unknown, socket?: object) => void) {
      const opening = secure ? deps.egress.connectTls(to) : deps.egress.connect(to);
      opening.then((connection) => {
        sockets.push(connection);
        callback(null, { connection, secured: secure });
      }, callback);
    },
  };
  const transport = createTransport(options) as Transport;
  const stop = () => {
    controller.abort();
    transport.close();
    for (const socket of sockets) socket.destroy();
  };
  try {
    await unlessAborted(signal, { work: work(transport), stop });
  } catch (error) {
    throw mailFailure(error, login.pass);
  } finally {
    stop();
  }
}

/** What is wrong between us and the operator's server is not the tenant's to put right: the server failed. */
function mailFailure(error: unknown, password: string): EgressFailure {
  const { responseCode, command, message } = error as Error & { responseCode?: number; command?: string };
  const safe = password === "" ? message : message.replaceAll(password, "********");
  const isOurs = responseCode === undefined || /^(CONN|AUTH|EHLO|HELO|STARTTLS)/.test(command ?? "CONN");
  if (isOurs) return new EgressFailure("server", { inner: failureOf(error).inner.replaceAll(message, safe) });
  return new EgressFailure(reasonOfCode(responseCode), { inner: safe });
}

/** RFC 5321 section 4.2.3. Grey-listing is a 4xx: the next attempt is let in. */
function reasonOfCode(code: number): EgressReason {
  if (code === 452 || code === 552) return "full";
  if (code >= 400 && code < 500) return "server";
  return code === 554 ? "other" : "permission";
}
