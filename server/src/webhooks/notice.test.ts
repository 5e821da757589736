import type { AddressInfo } from "node:net";
import { text } from "node:stream/consumers";
import { SMTPServer } from "smtp-server";
import { afterAll, beforeAll, expect, test } from "vitest";
import { sql } from "../platform/db.ts";
import { type WebhookWorld, webhookWorld } from "./harness.ts";
import { noticeJob } from "./notice.ts";

interface Mail {
  to: string[];
  text: string;
}

const mails: Mail[] = [];
const server = new SMTPServer({
  authOptional: true,
  disabledCommands: ["STARTTLS"],
  async onData(stream, session, done) {
    mails.push({ to: session.envelope.rcptTo.map(({ address }) => address), text: await text(stream) });
    done();
  },
});
let world: WebhookWorld;
beforeAll(async () => {
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", () => resolve()));
  const { port } = server.server.address() as AddressInfo;
  world = await webhookWorld({ smtpUrl: `smtp://127.0.0.1:${port}` });
});
afterAll(async () => {
  await world.close();
  await new Promise<void>((resolve) => server.close(() => resolve()));
});

const tell = (webhookId: string) =>
  noticeJob.run({ webhookId }, world.api.deps, new AbortController().signal);

test("the owner is told by mail that a webhook was paused, and why", async () => {
  const { api, owner, ask, webhook } = world;
  const { id } = await webhook("https://example.com/hook?token=secretpart");
  await api.db.run(sql`
    update webhook set enabled = false, paused_reason = 'Every attempt of the last three days has failed.'
    where id = ${id}`);
  await tell(id);
  expect(mails).toHaveLength(1);
  expect(mails[0]!.to).toEqual([owner.username]);
  expect(mails[0]!.text).toContain("Every attempt of the last three days has failed.");
  expect(mails[0]!.text).toContain("example.com");
  expect(mails[0]!.text).not.toContain("secretpart");
  await ask("PUT", `/webhooks/${id}`, { enabled: true });
  await tell(id);
  expect(mails).toHaveLength(1);
});

test("nobody is told of a webhook that is gone, or without a mail server", async () => {
  const { api, webhook } = world;
  await tell("5d1c9f2a8b3e4c0017a6d2f1");
  const { id } = await webhook("https://example.com/hook");
  await api.db.run(sql`update webhook set enabled = false, paused_reason = 'so' where id = ${id}`);
  const settings = { ...api.deps.settings, smtpUrl: null };
  await noticeJob.run({ webhookId: id }, { ...api.deps, settings }, new AbortController().signal);
  expect(mails).toHaveLength(1);
});
