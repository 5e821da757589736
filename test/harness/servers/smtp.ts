import { SMTPServer } from "smtp-server";
import type { Certificate } from "./certificates.ts";

export interface Mail {
  from: string;
  to: string[];
  text: string;
}

export interface MailServer {
  port: number;
  /** `smtp://…` with the login of the server. */
  url: string;
  mails: Mail[];
  close(): Promise<void>;
}

export interface MailFaults {
  /** Refuses a recipient with this code and text. */
  recipient?: (address: string, times: number) => { code: number; text: string } | undefined;
  /** Refuses a mail after its data. */
  data?: { code: number; text: string };
  tls?: Certificate;
}

const user = "relay";
const pass = "mail-secret-1";

/** A mail server that keeps what it gets; `implicit` speaks TLS from the start. */
export async function mailServer(faults: MailFaults = {}): Promise<MailServer> {
  const mails: Mail[] = [];
  const times = new Map<string, number>();
  const failure = ({ code, text }: { code: number; text: string }) =>
    Object.assign(new Error(text), { responseCode: code });
  const server = new SMTPServer({
    ...(faults.tls === undefined ? { disabledCommands: ["STARTTLS"] } : { ...faults.tls, secure: true }),
    allowInsecureAuth: true,
    authOptional: true,
    logger: false,
    onAuth: (auth, _session, done) =>
      auth.username === user && auth.password === pass
        ? done(null, { user })
        : done(failure({ code: 535, text: `Invalid login ${auth.password}` })),
    onRcptTo: ({ address }, _session, done) => {
      const count = times.get(address) ?? 0;
      times.set(address, count + 1);
      const fault = faults.recipient?.(address, count);
      done(fault === undefined ? null : failure(fault));
    },
    onData: (stream, session, done) => {
      const chunks: Buffer[] = [];
      stream.on("data", (chunk: Buffer) => chunks.push(chunk));
      stream.on("end", () => {
        if (faults.data !== undefined) return done(failure(faults.data));
        const { mailFrom, rcptTo } = session.envelope;
        const from = mailFrom === false ? "" : mailFrom.address;
        mails.push({
          from,
          to: rcptTo.map(({ address }) => address),
          text: Buffer.concat(chunks).toString(),
        });
        done();
      });
    },
  });
  server.on("error", () => undefined);
  const address = await new Promise<{ port: number }>((resolve) => {
    const listening = server.listen(0, "127.0.0.1", () => resolve(listening.address() as { port: number }));
  });
  return {
    port: address.port,
    url: `${faults.tls === undefined ? "smtp" : "smtps"}://${user}:${pass}@127.0.0.1:${address.port}`,
    mails,
    close: () => new Promise((resolve) => server.close(() => resolve())),
  };
}
