import { createRequire } from "node:module";
import type { AddressInfo, Server, Socket } from "node:net";
import type { Certificate } from "./certificates.ts";
import { login } from "./ftp.ts";

/** A mail on the server. */
export interface StoredMail {
  flags: string[];
  raw: string;
}

export interface ImapServer {
  port: number;
  /** Commands that clients have sent, without their tags. */
  commands: string[];
  /** Puts a mail into the inbox. */
  deliver(raw: string): void;
  mails(mailbox: string): StoredMail[];
  close(): Promise<void>;
}

interface Hoodiecrow {
  server: Server;
  listen(port: number, host: string, done: () => void): void;
  appendMessage(mailbox: string, flags: string[], date: Date | undefined, raw: string): void;
  getMailbox(path: string): { messages: StoredMail[] };
}

/** An IMAP server (hoodiecrow) with an inbox and an archive; with a certificate it speaks TLS from the start. */
export async function imapServer(options: { tls?: Certificate } = {}): Promise<ImapServer> {
  const make = createRequire(import.meta.url)("hoodiecrow-imap") as (options: object) => Hoodiecrow;
  const server = make({
    plugins: ["ID", "UIDPLUS", "MOVE", "LITERALPLUS"],
    users: { [login.username]: { password: login.password } },
    storage: { INBOX: { messages: [] }, "": { folders: { Archive: { messages: [] } } } },
    ...(options.tls === undefined ? {} : { secureConnection: true, credentials: options.tls }),
  });
  const open = new Set<Socket>();
  const commands: string[] = [];
  server.server.on(options.tls === undefined ? "connection" : "secureConnection", (socket: Socket) => {
    open.add(socket);
    socket.on("error", () => undefined).on("close", () => open.delete(socket));
    socket.on("data", (chunk: Buffer) => {
      for (const text of chunk.toString("latin1").split("\r\n")) {
        const command = /^\S+ (.+)$/.exec(text)?.[1];
        if (command !== undefined) commands.push(command);
      }
    });
  });
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  return {
    port: (server.server.address() as AddressInfo).port,
    commands,
    deliver: (raw) => server.appendMessage("INBOX", [], new Date(), raw),
    mails: (mailbox) =>
      server.getMailbox(mailbox).messages.map(({ flags, raw }) => ({ flags: [...flags], raw })),
    async close() {
      for (const socket of open) socket.destroy();
      await new Promise<void>((resolve) => server.server.close(() => resolve()));
    },
  };
}
