import { afterAll, beforeAll, beforeEach, describe, expect, test } from "vitest";
import { newAccount, newToken } from "../../../test/harness/accounts.ts";
import { mailServer } from "../../../test/harness/servers/smtp.ts";
import { exportJobs } from "./exports.ts";
import { type ExportWorld, exportWorld } from "./harness.ts";

let world: ExportWorld;
beforeAll(async () => {
  world = await exportWorld();
});
afterAll(() => world.close());
beforeEach(() => world.startAnew());

const hour = 3_600_000;
const body = (about: object = {}) => ({
  format: { name: "ConsumptionCSV" },
  source_type: "stream",
  frequency: "daily",
  target: { ftp: { host: "ftp.example.com", username: "meter", password: "canary-password" } },
  ...about,
});

describe("POST /exports", () => {
  test("answers the export as the contract has it, with a mask for the secret", async () => {
    const { owner } = world;
    const made = await world.done("POST", "/exports", body());
    expect(made).toEqual({
      _id: expect.stringMatching(/^[0-9a-f]{24}$/),
      created: expect.any(String),
      holder_id: owner.id,
      holder: { _id: owner.id, name: owner.name, username: owner.username },
      client_id: null,
      format: { name: "ConsumptionCSV", params: null },
      source_type: "stream",
      frequency: "daily",
      target: {
        type: "ftp",
        ftp: expect.objectContaining({
          host: "ftp.example.com",
          port: 21,
          username: "meter",
          password: "********",
          path: null,
        }),
        sftp: null,
        smtp: null,
        http: null,
        aws_s3: null,
        azure_blob_storage: null,
      },
      stream_id: expect.stringMatching(/^[0-9a-f]{24}$/),
      name: null,
      cron: null,
      timezone: "Etc/GMT-1",
      next_run: "2026-02-10T23:00:00+0000",
      next_attempt: null,
      paused: false,
      paused_reason: null,
      last_run: null,
    });
    expect(await world.done("GET", `/exports/${made._id}`)).toEqual(made);
    expect(await world.done("GET", "/streams")).toEqual([]);
    expect((await world.ask("GET", `/streams/${made.stream_id}`)).status).toBe(404);
  });

  test("keeps secrets out of the table and the log", async () => {
    await world.done(
      "POST",
      "/exports",
      body({ target: { http: { url: "https://u:canary-login@example.com/in?token=canary-token" } } }),
    );
    const rows = await world.api.db.rows<{ text: string }>({
      name: "test-dump",
      text: "select row_to_json(e)::text as text from export e",
      values: [],
    });
    expect(rows.length).toBeGreaterThan(0);
    for (const { text } of rows) expect(text).not.toContain("canary");
    expect(world.api.logLines.join("\n")).not.toContain("canary");
  });

  test.each([
    [
      { format: { name: "ReadingsCSV" } },
      "format.name",
      /readings are not stored yet.*ConsumptionCSV, CostCSV/,
    ],
    [{ format: { name: "Excel" } }, "format.name", /is not known; choose one of ConsumptionCSV/],
    [
      { format: { name: "ConsumptionCSV", params: { delimiter: "x" } } },
      "format.params.delimiter",
      /must be one of/,
    ],
    [
      { format: { name: "ConsumptionCSV", params: { colour: 1 } } },
      "format.params.colour",
      /is not known here/,
    ],
    [
      { format: { name: "CostCSV", params: { granularity: "hour" } } },
      "format.params.granularity",
      /is not known/,
    ],
    [{ source_type: "table" }, "source_type", /must be stream/],
    [{ frequency: "weekly" }, "frequency", /must be one of hourly, daily, monthly, cron/],
    [{ frequency: "cron" }, "cron", /is needed/],
    [{ frequency: "cron", cron: "99 * * * *" }, "cron", /is no cron expression/],
    [{ cron: "0 0 * * *" }, "cron", /goes with the frequency "cron" only/],
    [{ timezone: "Mars/Base" }, "timezone", /must be a time zone/],
    [{ target: {} }, "target", /must have exactly one of ftp, sftp/],
    [{ target: { fax: {} } }, "target", /must have exactly one of ftp, sftp/],
    [{ target: { ftp: { host: "x", username: "u", password: "********" } } }, "target.ftp.password", /mask/],
    [{ target: { smtp: { email: "a@example.com" } } }, "target.smtp", /no mail server/],
    [{ name: "a\nb" }, "name", /control characters/],
  ])("refuses %j with the field and the remedy", async (about, field, message) => {
    const answer = await world.ask("POST", "/exports", body(about));
    expect(answer.status).toBe(400);
    expect(answer.json.errors[field]?.[0]).toMatch(message);
  });

  test("takes fifty exports of an account", async () => {
    for (let i = 0; i < 50; i++) await world.done("POST", "/exports", body());
    const answer = await world.ask("POST", "/exports", body());
    expect(answer.json).toMatchObject({ code: 409, message: expect.stringContaining("50 exports") });
  });
});

describe("GET /exports", () => {
  test("filters by format, frequency, target and state", async () => {
    const made = await world.done("POST", "/exports", body({ name: "Night" }));
    await world.done("POST", "/exports", body({ format: { name: "CostCSV" }, frequency: "monthly" }));
    const ids = async (query: string) =>
      (await world.done("GET", `/exports?${query}`)).map(({ _id }: { _id: string }) => _id);
    expect(await ids("format.name=ConsumptionCSV")).toEqual([made._id]);
    expect(await ids("frequency=daily")).toEqual([made._id]);
    expect(await ids("name=Night")).toEqual([made._id]);
    expect(await ids("target.type=sftp")).toEqual([]);
    expect(await ids("paused=true")).toEqual([]);
    expect(await ids("sort=-created")).toHaveLength(2);
    const ignored = await world.ask("GET", "/exports?target.ftp.password=x");
    expect(ignored.headers["x-ignored-parameters"]).toBe("target.ftp.password");
  });

  test("keeps accounts and connected applications apart", async () => {
    const made = await world.done("POST", "/exports", body());
    const stranger = world.stranger.token;
    for (const [method, path] of [
      ["GET", ""],
      ["PUT", ""],
      ["POST", ""],
      ["DELETE", ""],
      ["POST", "/run"],
      ["POST", "/pause"],
      ["POST", "/resume"],
      ["POST", "/test"],
      ["GET", "/runs"],
    ] as const) {
      const answer = await world.ask(
        method,
        `/exports/${made._id}${path}`,
        method === "GET" ? undefined : {},
        stranger,
      );
      expect(answer.status, `${method} ${path}`).toBe(404);
    }
    expect(await world.done("GET", "/exports", undefined, stranger)).toEqual([]);
  });

  test("wants the scope basic, and no more", async () => {
    const token = await newToken(world.api.deps, world.owner.id, ["basic"]);
    const made = await world.done("POST", "/exports", body(), token);
    await world.done("DELETE", `/exports/${made._id}`, undefined, token);
    const other = await newToken(world.api.deps, world.owner.id, ["write_meters"]);
    expect((await world.ask("GET", "/exports", undefined, other)).status).toBe(403);
  });
});

describe("PUT and POST /exports/{id}", () => {
  test.each(["PUT", "POST"])("%s changes what it names", async (method) => {
    const made = await world.done("POST", "/exports", body());
    const changed = await world.done(method, `/exports/${made._id}`, {
      name: "Night",
      frequency: "cron",
      cron: "30 6 * * 1-5",
      timezone: "Europe/Stockholm",
      format: { params: { header: true } },
    });
    expect(changed).toEqual({
      ...made,
      name: "Night",
      frequency: "cron",
      cron: "30 6 * * 1-5",
      timezone: "Europe/Stockholm",
      next_run: "2026-02-11T05:30:00+0000",
      format: { name: "ConsumptionCSV", params: { header: true } },
    });
    const back = await world.done(method, `/exports/${made._id}`, { frequency: "hourly" });
    expect(back).toMatchObject({ frequency: "hourly", cron: null, next_run: "2026-02-10T10:00:00+0000" });
  });

  test("keeps a secret behind its mask, and not for another place", async () => {
    const made = await world.done("POST", "/exports", body());
    const target = { ftp: { host: "ftp.example.com", username: "other", password: "********" } };
    expect(await world.done("PUT", `/exports/${made._id}`, { target })).toMatchObject({
      target: { ftp: { username: "other", password: "********" } },
    });
    // An answer can be sent back as it is.
    const read = await world.done("GET", `/exports/${made._id}`);
    expect(await world.done("PUT", `/exports/${made._id}`, { target: read.target })).toMatchObject({
      target: read.target,
    });
    const moved = { ftp: { ...target.ftp, host: "evil.example.com" } };
    const answer = await world.ask("PUT", `/exports/${made._id}`, { target: moved });
    expect(answer.json.errors["target.ftp.password"][0]).toMatch(/entered again/);
  });

  test("refuses another format, and another granularity", async () => {
    const made = await world.done("POST", "/exports", body());
    const put = async (format: object) => (await world.ask("PUT", `/exports/${made._id}`, { format })).json;
    expect((await put({ name: "CostCSV" })).errors["format.name"][0]).toMatch(/cannot be changed/);
    expect((await put({ params: { granularity: "day" } })).errors["format.params.granularity"][0]).toMatch(
      /make another export/,
    );
    expect((await put({ params: { header: "maybe" } })).code).toBe(400);
    expect(await world.done("GET", `/exports/${made._id}`)).toEqual(made);
  });

  test("pauses and resumes", async () => {
    const made = await world.done("POST", "/exports", body());
    const paused = await world.done("PUT", `/exports/${made._id}`, { paused: true });
    expect(paused).toMatchObject({ paused: true, paused_reason: "Paused on request.", next_run: null });
    expect(await world.done("PUT", `/exports/${made._id}`, { frequency: "hourly" })).toMatchObject({
      next_run: null,
    });
    expect(await world.done("PUT", `/exports/${made._id}`, { paused: false })).toMatchObject({
      paused: false,
      next_run: "2026-02-10T10:00:00+0000",
    });
  });
});

describe("DELETE /exports/{id}", () => {
  test("takes its stream along", async () => {
    const made = await world.done("POST", "/exports", body());
    const answer = await world.ask("DELETE", `/exports/${made._id}`);
    expect(answer.json).toMatchObject({ code: 200, message: "Deleted export." });
    expect((await world.ask("GET", `/exports/${made._id}`)).status).toBe(404);
    const left = await world.api.db.rows({
      name: "test-streams",
      text: "select id from stream where id = $1",
      values: [made.stream_id],
    });
    expect(left).toEqual([]);
  });
});

describe("POST /exports/{id}/test", () => {
  test("says in words whether the target would take a file", async () => {
    const good = await world.newExport();
    expect(await world.done("POST", `/exports/${good._id}/test`, {})).toEqual({
      ok: true,
      message: "The target was reached, and would take a file.",
    });
    expect(world.arrived()).toEqual([]);
    world.statuses.push(403);
    expect(await world.done("POST", `/exports/${good._id}/test`, {})).toEqual({
      ok: false,
      message: expect.stringContaining("did not allow it"),
    });
  });
});

describe("files of an export", () => {
  test("are listed with filters and pages", async () => {
    const meter = await world.newMeter();
    await world.store(meter, "2026-01-01T00:00:00+0100", [1]);
    const made = await world.newExport();
    await world.pass(hour);
    await world.store(meter, "2026-01-01T00:00:00+0100", [2]);
    await world.pass(hour);
    const runs = `/exports/${made._id}/runs`;
    const all = await world.ask("GET", runs);
    expect(all.json).toMatchObject({ count: 2, skip: 0, limit: 50 });
    const [first, second] = all.json.data;
    expect(await world.done("GET", `${runs}/${first._id}`)).toEqual(first);
    expect(await world.done("GET", `${runs}?skip=1`)).toEqual([second]);
    expect(await world.done("GET", `${runs}?sort=-created&limit=1`)).toEqual([second]);
    expect(await world.done("GET", `${runs}?status=failed`)).toEqual([]);
    expect(await world.done("GET", `${runs}?file=${first.file}`)).toEqual([first]);
    const other = await world.newExport();
    expect((await world.ask("GET", `/exports/${other._id}/runs/${first._id}`)).status).toBe(404);
  });

  test("cannot be sent again before they were delivered", async () => {
    const meter = await world.newMeter();
    await world.store(meter, "2026-01-01T00:00:00+0100", [1]);
    const made = await world.newExport();
    world.statuses.push(500);
    await world.pass(hour);
    const [run] = await world.done("GET", `/exports/${made._id}/runs`);
    const answer = await world.ask("POST", `/exports/${made._id}/runs/${run._id}/resend`, {});
    expect(answer.json).toMatchObject({ code: 409, message: expect.stringContaining("/run") });
  });
});

describe("a mail", () => {
  test("tells the people of the account that an export is paused", async () => {
    const mail = await mailServer();
    const mailing = await exportWorld({ smtpUrl: mail.url, smtpFrom: "metertree@example.com" });
    try {
      mailing.owner = await newAccount(mailing.api.deps, { username: "owner@example.com", name: "Houses" });
      const meter = await mailing.newMeter();
      await mailing.store(meter, "2026-01-01T00:00:00+0100", [1]);
      const made = await mailing.newExport({ name: "Night" });
      mailing.statuses.push(404);
      await mailing.pass(hour);
      expect(mail.mails).toHaveLength(1);
      expect(mail.mails[0]!.to).toEqual(["owner@example.com"]);
      const text = mail.mails[0]!.text.replaceAll("=\r\n", "");
      expect(text).toContain("An export of Houses is paused");
      expect(text).toContain(`/api/v2/exports/${made._id}/resume`);
    } finally {
      await mailing.close();
      await mail.close();
    }
  });
});

describe("the kinds of jobs", () => {
  test("have names of their own", () => {
    expect(new Set(exportJobs.map(({ name }) => name)).size).toBe(exportJobs.length);
  });
});
