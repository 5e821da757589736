import { afterAll, beforeAll, beforeEach, describe, expect, test } from "vitest";
import { type ProviderWorld, providerWorld } from "../../../../test/harness/provider.ts";
import {
  type Certificate,
  type Certificates,
  makeCertificates,
} from "../../../../test/harness/servers/certificates.ts";
import { login } from "../../../../test/harness/servers/ftp.ts";
import { type ImapServer, imapServer } from "../../../../test/harness/servers/imap.ts";
import { type EgressFailure, makeEgress } from "../../platform/egress/egress.ts";
import { imapSession } from "../../platform/transfer/imap.ts";
import { hourTable } from "../file-drop/harness.ts";
import { attachmentsOf } from "./attachments.ts";
import { fileDropMail } from "./connector.ts";
import { senderFilter } from "./senders.ts";

const now = Date.parse("2026-01-15T12:00:00Z");
const day = { from: Date.parse("2026-01-09T23:00:00Z"), to: Date.parse("2026-01-10T23:00:00Z") };
const zone = "Europe/Stockholm";

/** A mail with files, as a mail program writes it. */
function mail(from: string, files: Record<string, string>): string {
  const parts = Object.entries(files).map(([name, content]) =>
    [
      "--cut",
      `Content-Type: text/csv; name="${name}"; charset=utf-8`,
      `Content-Disposition: attachment; filename="${name}"`,
      "Content-Transfer-Encoding: base64",
      "",
      Buffer.from(content).toString("base64").replace(/.{76}/g, "$&\r\n"),
    ].join("\r\n"),
  );
  const text = ["--cut", "Content-Type: text/plain", "", "Hello.", ""].join("\r\n");
  const head = [`From: Meters <${from}>`, "To: us@example.com", "Subject: Values", "MIME-Version: 1.0"];
  return [...head, 'Content-Type: multipart/mixed; boundary="cut"', "", text, ...parts, "--cut--", ""].join(
    "\r\n",
  );
}

describe("a mailbox", () => {
  let server: ImapServer;
  let world: ProviderWorld;
  let count = 0;
  let ean: string;

  beforeAll(async () => {
    world = await providerWorld(fileDropMail, now);
  });
  afterAll(() => world.close());
  beforeEach(async () => {
    server = await imapServer();
    ean = `735990777${String(++count).padStart(6, "0")}`;
    return () => server.close();
  });

  const credentials = (more: object = {}) => ({
    ...{ host: "127.0.0.1", port: server.port, ...login, tls: "none" },
    ...{ senders: "meters@utility.example, @grid.example", pattern: "*.csv", timezone: zone },
    ...more,
  });
  const valuesOf = async (id: string) => {
    const meterId = [...(await world.sourcesOf(id))].find(([key]) => key.startsWith(ean))?.[1];
    if (meterId === undefined) return undefined;
    const stored = await world.stored(meterId, { metric: "energy", granularity: "hour", zone, ...day });
    return stored.map(([, value]) => value);
  };

  test("attachments of allowed senders are read, and their mails marked as seen; others are left alone", async () => {
    server.deliver(mail("meters@utility.example", { "a.csv": hourTable(ean, [1, 2]), "logo.png": "x" }));
    server.deliver(mail("anybody@elsewhere.example", { "b.csv": hourTable(ean, [7, 7, 7]) }));
    server.deliver(mail("meters@utility.example.elsewhere.example", { "c.csv": hourTable(ean, [8, 8, 8]) }));
    server.deliver(mail("night@grid.example", { "d.csv": hourTable(ean, [1, 2, 3]) }));
    const id = await world.begin(credentials());
    await world.runAll();
    expect(await world.connection(id)).toMatchObject({ state: "collecting", failure: null });
    expect(await valuesOf(id)).toEqual([1, 2, 3]);
    expect(server.mails("INBOX").map(({ flags }) => flags.includes("\\Seen"))).toEqual([
      true,
      false,
      false,
      true,
    ]);
    const files = await world.ask("GET", `/connections/${id}/files?sort=received`);
    expect(files.map(({ place }: { place: string }) => place)).toEqual([
      "INBOX/1/2 a.csv",
      "INBOX/4/2 d.csv",
    ]);
    await world.runAgain(id);
    expect(await world.lastRun(id)).toMatchObject({ outcome: "complete", counts: {} });
    await world.ask("POST", `/connections/${id}/pause`);
  });

  test("a mail with a file that cannot be read stays unread, and its good file is stored", async () => {
    server.deliver(
      mail("meters@utility.example", {
        "bad.csv": hourTable(ean, [1, "oops"]),
        "good.csv": hourTable(ean, [5, 6]),
      }),
    );
    const id = await world.begin(credentials());
    await world.runAll();
    expect(await valuesOf(id)).toEqual([5, 6]);
    expect(server.mails("INBOX")[0]!.flags).not.toContain("\\Seen");
    const issues = await world.ask("GET", `/issues?connection._id=${id}&state=open`);
    expect(issues).toMatchObject([{ kind: "file_refused", file: { name: "bad.csv", line: 3 } }]);
    const asked = server.commands.filter((command) => /BODY/.test(command)).length;
    world.api.clock.advance(20 * 60_000);
    await world.runAll();
    expect(await world.lastRun(id)).toMatchObject({ counts: { refused: 1, known: 1 } });
    expect(server.commands.filter((command) => /BODY\.PEEK\[2/.test(command)).length).toBeLessThanOrEqual(
      asked,
    );
    await world.ask("POST", `/connections/${id}/pause`);
  });

  test("mails that stay keep nobody from reading those behind them, however many they are", async () => {
    for (let i = 0; i < 205; i++) server.deliver(mail("meters@utility.example.elsewhere.example", {}));
    server.deliver(mail("meters@utility.example", { "a.csv": hourTable(ean, [3, 4]) }));
    const id = await world.begin(credentials());
    await world.runAll();
    expect(await valuesOf(id)).toEqual([3, 4]);
    await world.ask("POST", `/connections/${id}/pause`);
  });

  test("mails are moved to another mailbox", async () => {
    server.deliver(mail("meters@utility.example", { "a.csv": hourTable(ean, [1, 2]) }));
    const id = await world.begin(credentials({ after: "move", move_to: "Archive" }));
    await world.runAll();
    expect(await valuesOf(id)).toEqual([1, 2]);
    expect([server.mails("INBOX").length, server.mails("Archive").length]).toEqual([0, 1]);
    await world.ask("POST", `/connections/${id}/pause`);
  });

  test("mails are removed, and a mailbox that is not there waits for a person with the values stored", async () => {
    server.deliver(mail("meters@utility.example", { "a.csv": hourTable(ean, [1, 2]) }));
    const id = await world.begin(credentials({ after: "move", move_to: "Nowhere" }));
    await world.runAll();
    expect(await valuesOf(id)).toEqual([1, 2]);
    expect(await world.connection(id)).toMatchObject({ failure: "consent" });
    expect(server.mails("INBOX")).toHaveLength(1);
    const { credentials: shown } = (await world.connection(id)) as { credentials: object };
    await world.ask("PUT", `/connections/${id}`, { credentials: { ...shown, after: "delete" } });
    await world.runAll();
    expect(await world.lastRun(id)).toMatchObject({ outcome: "complete", counts: { known: 1 } });
    expect(server.mails("INBOX")).toEqual([]);
    await world.ask("POST", `/connections/${id}/pause`);
  });

  test("a refused login is sent once", async () => {
    const id = await world.begin(credentials({ password: "wrong" }));
    await world.runAll();
    expect(await world.connection(id)).toMatchObject({ state: "credentials_refused" });
    const logins = () => server.commands.filter((command) => /^(LOGIN|AUTHENTICATE)/i.test(command)).length;
    expect(logins()).toBe(1);
    await world.runAgain(id);
    expect(logins()).toBe(1);
    // Nor when somebody looks for the fault in another place.
    const { credentials: shown } = (await world.connection(id)) as { credentials: object };
    const other = { mailbox: "Other", pattern: "*.txt", senders: "@x.example", after: "delete", unit: "kWh" };
    await world.ask("PUT", `/connections/${id}`, { credentials: { ...shown, ...other } });
    await world.runAll();
    expect([logins(), (await world.connection(id)).state]).toEqual([1, "credentials_refused"]);
    await world.ask("PUT", `/connections/${id}`, { credentials: { ...shown, password: "also wrong" } });
    await world.runAll();
    expect(logins()).toBe(2);
  });

  test("a mailbox that is not there, a server without TLS, and one that is away", async () => {
    for (const [change, failure] of [
      [{ mailbox: "Nowhere" }, "consent"],
      [{ tls: "explicit" }, "consent"],
      [{ port: 9 }, "unreachable"],
    ] as const) {
      const id = await world.begin(credentials(change));
      await world.runAll();
      expect([change, (await world.connection(id)).failure]).toEqual([change, failure]);
    }
    expect(server.commands.filter((command) => command.includes(login.password)).length).toBeLessThanOrEqual(
      1,
    );
  });
});

const certificates = makeCertificates();

describe.skipIf(certificates === null)("a mailbox with TLS", () => {
  const { ca, good, unknown } = certificates ?? ({} as Certificates);
  const visit = async (tls: Certificate) => {
    const server = await imapServer({ tls });
    const egress = makeEgress({ allow: ["127.0.0.1"], resolve: async () => ["127.0.0.1"], ca: [ca] });
    const settings = {
      host: "files.test",
      port: server.port,
      ...login,
      tls: "implicit",
      mailbox: "INBOX",
    } as const;
    const reach = { egress, signal: new AbortController().signal };
    const outcome = await imapSession(settings, reach, async (client) => client.usable).catch(
      (error: EgressFailure) => error.reason,
    );
    await egress.close();
    await server.close();
    return { outcome, commands: server.commands };
  };

  test("is opened", async () => {
    expect((await visit(good)).outcome).toBe(true);
  });

  test("of somebody else gets no password", async () => {
    expect(await visit(unknown)).toEqual({ outcome: "certificate", commands: [] });
  });
});

describe("senders", () => {
  test.each([
    ["a@x.example", "A@X.example", true],
    ["@x.example", "b@x.example", true],
    ["@x.example", "b@sub.x.example", false],
    ["@x.example", "b@evilx.example", false],
    ["a@x.example", "ba@x.example", false],
    ["@x.example", '"@x.example"@evil.example', false],
    ["a@x.example", "", false],
  ])("%s allows %s: %s", (senders, address, isAllowed) => {
    expect(senderFilter(senders)!.matches(address)).toBe(isAllowed);
  });

  test.each(["", " , ", "x.example", "*", "a b@x.example", 'a"@x.example'])("%j is no list", (text) => {
    expect(senderFilter(text)).toBeUndefined();
  });
});

test("files are found in mails that were passed on, and in mails that are nothing but a file", () => {
  const file = (part: string, name: string) => ({
    part,
    type: "text/csv",
    dispositionParameters: { filename: name },
  });
  const passedOn = {
    part: "2",
    type: "message/rfc822",
    childNodes: [{ type: "multipart/mixed", childNodes: [file("2.2", "b.csv")] }],
  };
  const structure = {
    type: "multipart/mixed",
    childNodes: [{ part: "1", type: "text/plain" }, passedOn, file("3", "c.png")],
  };
  expect(attachmentsOf(structure, (name) => name.endsWith(".csv"))).toEqual([{ part: "2.2", name: "b.csv" }]);
  expect(attachmentsOf({ type: "text/csv", parameters: { name: "a.csv" } }, () => true)).toEqual([
    { part: "1", name: "a.csv" },
  ]);
  expect(attachmentsOf(undefined, () => true)).toEqual([]);
});
