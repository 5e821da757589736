import { afterAll, beforeAll, beforeEach, expect, test } from "vitest";
import { newAccount, type TestAccount } from "../../../test/harness/accounts.ts";
import { type TestApi, testApi } from "../../../test/harness/api.ts";
import { newMeter } from "../../../test/harness/meters.ts";
import { type MailServer, mailServer } from "../../../test/harness/servers/smtp.ts";
import { authenticate } from "../accounts/accounts.ts";
import { granuleStarts } from "../platform/time/granule.ts";
import { ingest } from "../series/series.ts";
import { completenessEndpoints } from "./api.ts";
import { mailMissingJob } from "./completeness.ts";

let api: TestApi;
let server: MailServer;
let refused: string;

beforeAll(async () => {
  server = await mailServer({
    recipient: (address) => (address === refused ? { code: 550, text: "No such user" } : undefined),
  });
  api = await testApi({
    endpoints: completenessEndpoints([]),
    authenticate,
    settings: { smtpUrl: server.url, smtpFrom: "metertree@example.com" },
  });
});
afterAll(async () => {
  await api.close();
  await server.close();
});
beforeEach(() => {
  refused = "";
  server.mails.length = 0;
  api.clock.set(Date.UTC(2026, 10, 11, 6, 23));
});

const run = (settings = api.deps.settings) =>
  mailMissingJob.run({}, { ...api.deps, settings }, new AbortController().signal);
const mailTo = (who: TestAccount, enabled: boolean) =>
  api.call("PUT", "/completeness/mail", { token: who.token, body: { enabled } });

/** An account with two meters, of which the second has no value of October. */
async function accountWithHole(username: string): Promise<TestAccount> {
  const account = await newAccount(api.deps, { username, name: "Houses\nBcc: x@y.test" });
  for (const name of ["Whole", "Holey\nmeter"]) {
    const { id, part } = await newMeter(api, account, { timezone: "Etc/GMT-1", name, address: "Vägen 3" });
    const until = name === "Whole" ? Date.UTC(2026, 9, 31) : Date.UTC(2026, 8, 30);
    const starts = granuleStarts("month", "Etc/GMT-1", { from: Date.UTC(2025, 11, 31, 23), to: until });
    const meter = { id, part, timezone: "Etc/GMT-1" };
    const values = Float64Array.from(starts, () => 1);
    const quality = "measured" as const;
    const months = {
      meter,
      metric: "energy",
      granularity: "month" as const,
      starts: Float64Array.from(starts),
    };
    await ingest(
      api.db,
      [{ document: { source: id }, runs: [{ ...months, values, quality }] }],
      api.clock.now(),
    );
  }
  return account;
}

const textOf = (index: number) => server.mails[index]!.text.replaceAll("=\r\n", "").replaceAll("\r\n", "\n");

test("is sent once a month to who asked for it, and names what is missing and why", async () => {
  const account = await accountWithHole("owner@example.com");
  await accountWithHole("silent@example.com");
  await run();
  expect(server.mails).toEqual([]);
  expect((await mailTo(account, true)).json.data).toEqual({
    enabled: true,
    to: ["owner@example.com"],
    possible: true,
  });
  await run();
  await run();
  expect(server.mails.map(({ to }) => to)).toEqual([["owner@example.com"]]);
  const text = textOf(0);
  expect(text).toContain("the value of 2026-10 is missing");
  expect(text).toContain("Of 1 of 2 meters");
  expect(text).toContain("1: No connection brings these values.");
  expect(text).toMatch(/ {2}Holey meter, V.*gen 3, 735/);
  expect(text).not.toContain("Whole");
  expect(text).toContain("/api/v2/completeness/report?period=3D202610&format=3Dxlsx");
  expect(text).not.toMatch(/^Bcc:/m);
  api.clock.set(Date.UTC(2026, 11, 11, 6, 23));
  await run();
  expect(server.mails).toHaveLength(2);
  expect((await mailTo(account, false)).json.data.enabled).toBe(false);
  api.clock.set(Date.UTC(2027, 0, 11, 6, 23));
  await run();
  expect(server.mails).toHaveLength(2);
});

test("one that cannot be sent does not stop the others, and is tried again", async () => {
  const [one, other] = [await accountWithHole("one@example.com"), await accountWithHole("other@example.com")];
  await mailTo(one, true);
  await mailTo(other, true);
  refused = "one@example.com";
  await expect(run()).rejects.toThrow("1 of 2 accounts got no mail");
  expect(server.mails.map(({ to }) => to)).toEqual([["other@example.com"]]);
  refused = "";
  await run();
  expect(server.mails.map(({ to }) => to)).toEqual([["other@example.com"], ["one@example.com"]]);
});

test("without a mail server nothing is sent, and a later one is told of", async () => {
  const account = await accountWithHole("later@example.com");
  await mailTo(account, true);
  await run({ ...api.deps.settings, smtpUrl: null });
  expect(server.mails).toEqual([]);
  await run();
  expect(server.mails).toHaveLength(1);
});
