import { afterEach, describe, expect, test } from "vitest";
import { type Certificates, makeCertificates } from "../../../../test/harness/servers/certificates.ts";
import { type MailFaults, type MailServer, mailServer } from "../../../../test/harness/servers/smtp.ts";
import { testTarget } from "./all.ts";
import { deliveryId, failureOfDelivery, send, targetOf, thrown, type World, world } from "./harness.ts";

const certificates = makeCertificates();

describe("mail", () => {
  const servers: MailServer[] = [];
  const places: World[] = [];
  const start = async (faults: MailFaults = {}, change: (url: string) => string = (url) => url) => {
    const server = await mailServer(faults);
    servers.push(server);
    const ca = certificates === null ? {} : { ca: certificates.ca };
    const place = world({ smtpUrl: change(server.url), ...ca });
    places.push(place);
    return { server, place };
  };
  afterEach(async () => {
    for (const each of [...places.splice(0), ...servers.splice(0)]) await each.close();
  });

  test("a file is attached, and repeats have the same Message-ID", async () => {
    const { server, place } = await start();
    const file = place.file("a;1\nb;2\n", { name: "x/välue 1.csv" });
    const smtp = { email: "one@files.test, two@files.test", subject: "Möter: values" };
    await send(place, { smtp }, { file });
    await send(place, { smtp }, { file });
    expect(server.mails.map(({ to }) => to)).toEqual(Array(2).fill(["one@files.test", "two@files.test"]));
    for (const { from, text } of server.mails) {
      expect(from).toBe("meters@files.test");
      expect(text).toContain(`\r\nMessage-ID: <${deliveryId}@files.test>\r\n`);
      expect(text).toContain("\r\nTo: one@files.test, two@files.test\r\n");
      expect(text).toMatch(/\r\nSubject: =\?UTF-8\?/);
      expect(text).toContain("Content-Type: text/csv");
      expect(text).toContain("filename*0*=utf-8''x_v%C3%A4lue%201.csv");
      const plain = /Content-Disposition: attachment.*?\r\n\r\n(.*?)\r\n---/s.exec(text)![1]!;
      expect(Buffer.from(plain, "base64").toString()).toBe("a;1\nb;2\n");
    }
  });

  test.each([
    [451, "4.7.1 Greylisted, try again", "server", "again"],
    [452, "4.2.2 Mailbox full", "full", "again"],
    [550, "5.1.1 No such user", "permission", "stop"],
    [554, "5.7.1 Rejected", "other", "again"],
  ])("a recipient refused with %i is told", async (code, text, reason, retry) => {
    const { server, place } = await start({
      recipient: (address) => (address === "two@files.test" ? { code, text } : undefined),
    });
    const file = place.file("x");
    for (const email of ["two@files.test", "one@files.test,two@files.test"]) {
      expect(await failureOfDelivery(send(place, { smtp: { email } }, { file }))).toEqual([reason, retry]);
    }
    expect(server.mails.map(({ to }) => to)).toEqual([["one@files.test"]]);
  });

  test("after grey-listing the next attempt comes in", async () => {
    const { server, place } = await start({
      recipient: (_, times) => (times === 0 ? { code: 450, text: "4.2.0 Greylisted" } : undefined),
    });
    const file = place.file("x");
    const smtp = { email: "one@files.test" };
    expect(await failureOfDelivery(send(place, { smtp }, { file }))).toEqual(["server", "again"]);
    await send(place, { smtp }, { file });
    expect(server.mails).toHaveLength(1);
  });

  test.each([
    [552, "full", "again"],
    [554, "other", "again"],
    [451, "server", "again"],
  ])("a mail refused with %i after its data is told", async (code, reason, retry) => {
    const { place } = await start({ data: { code, text: "no" } });
    const failure = failureOfDelivery(
      send(place, { smtp: { email: "a@files.test" } }, { file: place.file("x") }),
    );
    expect(await failure).toEqual([reason, retry]);
  });

  test("what is wrong with the operator's server is not the tenant's fault, and its password stays secret", async () => {
    const file = { email: "a@files.test" };
    const { place } = await start({}, (url) => url.replace("mail-secret-1", "mail-secret-2"));
    const wrong = await thrown(send(place, { smtp: file }, { file: place.file("x") }));
    expect([wrong.reason, wrong.retry]).toEqual(["server", "again"]);
    expect(wrong.inner).toContain("********");
    expect(wrong.inner).not.toContain("mail-secret");
    const { place: closed, server } = await start();
    await server.close();
    expect(await failureOfDelivery(send(closed, { smtp: file }, { file: closed.file("x") }))).toEqual([
      "server",
      "again",
    ]);
    const none = world();
    places.push(none);
    expect(await failureOfDelivery(send(none, { smtp: file }, { file: none.file("x") }))).toEqual([
      "server",
      "stop",
    ]);
  });

  test("a test sends nothing", async () => {
    const { server, place } = await start();
    await testTarget(targetOf({ smtp: { email: "a@files.test" } }), { deps: place.deps, id: "1", stepMs: 1 });
    expect(server.mails).toEqual([]);
  });

  test.skipIf(certificates === null)("TLS from the start is spoken and checked", async () => {
    const { good, expired } = certificates ?? ({} as Certificates);
    const smtp = { email: "a@files.test" };
    const { place, server } = await start({ tls: good });
    await send(place, { smtp }, { file: place.file("x") });
    expect(server.mails).toHaveLength(1);
    const { place: late, server: bad } = await start({ tls: expired });
    expect((await failureOfDelivery(send(late, { smtp }, { file: late.file("x") })))[0]).toBe("server");
    expect(bad.mails).toEqual([]);
  });
});
