import type { ImapFlow } from "imapflow";
import { z } from "zod";
import {
  aside,
  connector,
  type FileFate,
  type Look,
  line,
  type SentFile,
  titled,
  type Visit,
} from "../../collection/connector.ts";
import { imapFailure, imapFields, imapSession } from "../../platform/transfer/imap.ts";
import { about } from "../file-drop/about.ts";
import { told, toldContent } from "../file-drop/failure.ts";
import { nameFilter, readingFields, readingOf } from "../file-drop/fields.ts";
import { type Held, held } from "../file-drop/held.ts";
import { serverWords as words } from "../file-drop/words.ts";
import { type Attachment, attachmentsOf } from "./attachments.ts";
import { type SenderFilter, senderFilter } from "./senders.ts";

const settings = z.object({
  host: titled(imapFields.host, words.host),
  port: titled(imapFields.port, words.port),
  username: titled(imapFields.username, words.username),
  password: titled(imapFields.password, words.password),
  tls: titled(
    imapFields.tls,
    { en: "Encryption", sv: "Kryptering" },
    {
      en: "implicit: mostly on port 993. explicit: STARTTLS, on port 143. none: the password travels in clear.",
      sv: "implicit: oftast på port 993. explicit: STARTTLS, på port 143. none: lösenordet skickas i klartext.",
    },
  ),
  mailbox: titled(aside(imapFields.mailbox), { en: "Mailbox", sv: "Brevlåda" }),
  senders: titled(
    aside(
      line(1_000).refine(
        (text) => senderFilter(text) !== undefined,
        "must be addresses such as meters@example.com, @example.com",
      ),
    ),
    { en: "Senders", sv: "Avsändare" },
    {
      en: "Whose attachments are read: addresses, or @ and a domain, with commas between. All others are left alone.",
      sv: "Vars bilagor läses: adresser, eller @ och en domän, med komma emellan. Alla andra lämnas i fred.",
    },
  ),
  ...readingFields,
  after: titled(
    aside(z.enum(["seen", "move", "delete"]).default("seen")),
    { en: "Mails that were read", sv: "Brev som har lästs" },
    {
      en: "seen: they are marked as read, and only unread ones are looked at. move: they go to another mailbox. delete: they are removed.",
      sv: "seen: de markeras som lästa, och bara olästa tittas på. move: de flyttas till en annan brevlåda. delete: de tas bort.",
    },
  ),
  move_to: titled(
    aside(line(500).default("Archive")),
    { en: "Mailbox for read mails", sv: "Brevlåda för lästa brev" },
    { en: "It must be there already.", sv: "Den måste redan finnas." },
  ),
});

type Settings = z.output<typeof settings>;

/** Attachments of mails in a mailbox, by IMAP. */
export const fileDropMail = connector({
  ...about,
  name: "file-drop-mail",
  title: "Files by mail",
  settings,
  async *receive(visit) {
    const mailbox = held<ImapFlow>(
      (work) => imapSession(visit.settings, visit.reach, work),
      (client) => client.usable,
    );
    try {
      return yield* mailsOf(mailbox, visit);
    } finally {
      await mailbox.close();
    }
  },
});

/** Mails that one look puts away. Others do not count: they stay, and would keep those behind them from being read. */
const mailsMax = 200;
/** Mails that the server is asked about together. */
const mailsAtOnce = 50;

async function* mailsOf(
  mailbox: Held<ImapFlow>,
  { settings, step }: Visit<Settings>,
): AsyncGenerator<SentFile, Look, FileFate> {
  const ask = <Out>(what: string, work: (client: ImapFlow) => Promise<Out>) =>
    told(what, async () => work(await mailbox.session()), imapFailure);
  const isTheirs = senderFilter(settings.senders)!;
  const uids = await ask(`the mailbox ${settings.mailbox}`, (client) => searchOf(client, settings, isTheirs));
  step("listed", { mails: uids.length });
  let away = 0;
  for (let from = 0; from < uids.length; from += mailsAtOnce) {
    const some = uids.slice(from, from + mailsAtOnce);
    for (const mail of await ask("mails", (client) => mailsWith(client, some, settings))) {
      // What the server found by a part of the address is held against the whole of it.
      if (!isTheirs.matches(mail.from)) continue;
      if (away++ === mailsMax) return { isWhole: false };
      const { uid, validity } = mail;
      let isRefused = false;
      for (const attachment of mail.attachments) {
        const { part, name } = attachment;
        const fate = yield {
          place: `${settings.mailbox}/${uid}/${part} ${name}`,
          name,
          mark: `${validity} ${uid} ${part}`,
          reading: readingOf(settings),
          content: () => toldContent(name, contentOf(mailbox, uid, attachment), { tell: imapFailure }),
        };
        isRefused ||= fate === "refused";
      }
      if (isRefused) away--;
      else
        await ask("a mail was read, but could not be put away", (client) => putAway(client, uid, settings));
    }
  }
  return { isWhole: true };
}

/** Numbers of the mails to look at, ascending. */
async function searchOf(client: ImapFlow, { after }: Settings, { texts }: SenderFilter): Promise<number[]> {
  const found = new Set<number>();
  const state = after === "seen" ? { seen: false } : { deleted: false };
  for (const from of texts) {
    const uids = await client.search({ ...state, from }, { uid: true });
    for (const uid of uids || []) found.add(uid);
  }
  return [...found].sort((a, b) => a - b);
}

interface Mail {
  uid: number;
  from: string;
  /** Changes when the server has numbered its mails anew. */
  validity: bigint;
  attachments: Attachment[];
}

/** Those of the mails with these numbers that are still there, ascending. */
async function mailsWith(client: ImapFlow, uids: readonly number[], { pattern }: Settings): Promise<Mail[]> {
  const isWanted = nameFilter(pattern);
  const mails: Mail[] = [];
  const asked = { envelope: true, bodyStructure: true };
  for await (const { uid, envelope, bodyStructure } of client.fetch(uids.join(","), asked, { uid: true })) {
    if (client.mailbox === false) break;
    mails.push({
      uid,
      from: envelope?.from?.[0]?.address ?? "",
      validity: client.mailbox.uidValidity,
      attachments: attachmentsOf(bodyStructure, isWanted),
    });
  }
  return mails.sort((a, b) => a.uid - b.uid);
}

async function* contentOf(
  mailbox: Held<ImapFlow>,
  uid: number,
  { part }: Attachment,
): AsyncGenerator<Uint8Array> {
  const client = await mailbox.session();
  // The formats find out about character sets themselves.
  const found = await client.download(String(uid), part, { uid: true, decodeText: false });
  if (found.content === undefined) throw new Error("the mail is gone");
  yield* found.content as AsyncIterable<Uint8Array>;
}

async function putAway(client: ImapFlow, uid: number, { after, move_to }: Settings): Promise<void> {
  const range = String(uid);
  const done =
    after === "move"
      ? await client.messageMove(range, move_to, { uid: true })
      : after === "delete"
        ? await client.messageDelete(range, { uid: true })
        : await client.messageFlagsAdd(range, ["\\Seen"], { uid: true });
  if (done === false) throw Object.assign(new Error("refused"), { responseStatus: "NO" });
}
