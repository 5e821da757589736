import { mkdtempSync, readdirSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import fc from "fast-check";
import { afterAll, describe, expect, test } from "vitest";
import { z } from "zod";
import { type Connector, connector, line, secret, titled } from "../collection/connector.ts";
import type { Egress, EgressAnswer, EgressRequest } from "../platform/egress/egress.ts";
import { readCase } from "./case-file.ts";
import { playCase } from "./play.ts";
import { recordCase } from "./record-case.ts";

const folder = mkdtempSync(join(tmpdir(), "metertree-cases-"));
afterAll(() => rmSync(folder, { recursive: true }));

const title = { en: "x", sv: "x" };
const day = 86_400_000;

/** Logs in in every way that there is, then reads one meter from JSON and its values from HTML. */
const chatty: Connector = connector({
  name: "chatty",
  title: "Chatty",
  countries: [],
  types: ["electricity"],
  granularities: ["day"],
  historyDays: 10,
  latenessHours: 0,
  correctionDays: 0,
  help: title,
  settings: z.object({
    username: titled(line(200), title),
    password: titled(secret(), title),
  }),
  limits: { perMinute: 1_000_000, atOnce: 1 },
  async *discover({ http, settings, memory }) {
    const { username, password } = settings as { username: string; password: string };
    const basic = Buffer.from(`${username}:${password}`).toString("base64");
    const login = await http.send("https://provider.example/login", {
      query: { user: username, basic, password },
      headers: { authorization: `Basic ${basic}` },
      form: { username, password },
    });
    const { access_token: token } = login.json() as { access_token: string };
    await memory.set("token", token);
    const meters = await http.send("https://provider.example/meters", {
      headers: { authorization: `Bearer ${token}` },
      json: { token, nested: JSON.stringify({ password }) },
    });
    for (const meter of meters.json() as { id: string; owner: string; address: string }[]) {
      yield {
        key: meter.id,
        ean: meter.id,
        type: "electricity",
        address: meter.address,
        customer: { name: meter.owner, number: "7001234" },
        metrics: [{ metric: "energy", granularities: ["day"] }],
      };
    }
  },
  async *collect({ http }, wanted) {
    for (const { key, metric, granularity, from } of wanted) {
      const page = (await http.send(`https://provider.example/meters/${key}/values`)).text();
      const values = [...page.matchAll(/<td>([\d.]+)<\/td>/g)].map(([, value]) => Number(value));
      yield {
        key,
        metric,
        granularity,
        starts: values.map((_, i) => from + i * day),
        values,
        document: { id: key },
      };
    }
  },
});

interface Played {
  username?: string;
  password?: string;
  token?: string;
  owner?: string;
  /** Stands on the page of values. */
  page?: string;
  hide?: string[];
}

const meterId = "735999260731001230";

/** A provider that says everything back, as careless ones do. */
function provider({
  token = "tok-1234567890",
  owner = "Anna Svensson",
  page = "",
}: Played): Pick<Egress, "request"> {
  const answers = (url: URL, { body = "" }: EgressRequest): { type: string; text: string } => {
    if (url.pathname === "/login") {
      const echo = {
        sent: String(body),
        back: url.search,
        access_token: token,
        token_type: "Bearer",
        expires_in: 3600,
      };
      return { type: "application/json", text: JSON.stringify(echo) };
    }
    if (url.pathname === "/meters") {
      const meters = [{ id: meterId, owner, address: "Storgatan 1", sent: String(body) }];
      return { type: "application/json", text: JSON.stringify(meters) };
    }
    return { type: "text/html", text: `<p>${page}</p><table><td>1.25</td><td>2.5</td></table>` };
  };
  return {
    async request(address, request = {}): Promise<EgressAnswer> {
      const { type, text } = answers(new URL(String(address)), request);
      const headers = { "content-type": type, "set-cookie": `session=${token}; Path=/; HttpOnly` };
      return { status: 200, headers, body: Buffer.from(text) };
    },
  };
}

let count = 0;
async function recorded(played: Played) {
  const name = `case-${++count}`;
  const result = await recordCase({
    connector: chatty,
    settings: {
      username: played.username ?? "anna.svensson@mail.example",
      password: played.password ?? "right-password",
    },
    egress: provider(played),
    now: Date.parse("2026-11-01T12:00:00Z"),
    signal: new AbortController().signal,
    days: 2,
    metersMax: 1,
    invoicesMax: 0,
    zone: "UTC",
    connectorFolder: folder,
    name,
    about: "x",
    hide: played.hide ?? [],
    keepsBinary: false,
    askCode: async () => "",
    show: () => undefined,
  });
  return { name, result };
}

/** Every text of a case: files, and the strings and names inside of JSON, to any depth. */
function textsOf(name: string): string[] {
  const caseFolder = join(folder, "cases", name);
  return readdirSync(caseFolder).flatMap((file) => {
    const text = readFileSync(join(caseFolder, file), "utf8");
    return [text, ...stringsIn(text)];
  });
}

function stringsIn(text: string): string[] {
  if (!/^\s*[[{"]/.test(text)) return [];
  try {
    const strings: string[] = [];
    JSON.parse(text, (name, value) => {
      strings.push(name);
      if (typeof value === "string") strings.push(value, ...stringsIn(value));
      return value;
    });
    return strings;
  } catch {
    return [];
  }
}

const html = (text: string) => text.replace(/[&<>"']/g, (char) => `&#${char.charCodeAt(0)};`);
const encodings: ((text: string) => string)[] = [
  (text) => text,
  encodeURIComponent,
  (text) => new URLSearchParams({ v: text }).toString().slice(2),
  (text) => JSON.stringify(text).slice(1, -1),
  html,
  (text) => Buffer.from(text).toString("base64"),
  (text) => Buffer.from(text).toString("base64url"),
  (text) => Buffer.from(text).toString("hex"),
  (text) => Buffer.from(text).toString("hex").toUpperCase(),
  (text) => Buffer.from(`user:${text}`).toString("base64"),
];

const anySecret = fc
  .oneof(
    fc.string({ minLength: 8, maxLength: 30, unit: "grapheme" }),
    fc.string({ minLength: 8, maxLength: 30, unit: fc.constantFrom(..."aB3+/=&?%\"'<>\\ å€😀") }),
  )
  .filter((text) => text.trim() === text && text.isWellFormed() && !/\p{Cc}|[\u2028\u2029]/u.test(text));

describe("a recording", () => {
  test("has no secret in it, in whatever way it is written", async () => {
    const { name: plain } = await recorded({});
    const usual = textsOf(plain).join("\n");
    await fc.assert(
      fc.asyncProperty(anySecret, fc.nat(), async (password, at) => {
        fc.pre(encodings.every((encode) => !usual.includes(encode(password))));
        const encode = encodings[at % encodings.length]!;
        const again = encodings[at % 7]!;
        const { name, result } = await recorded({
          password,
          page: `${encode(password)} ${again(encode(password))}`,
        });
        expect(result.problems).toEqual([]);
        const texts = textsOf(name);
        for (const encodeOne of encodings) {
          for (const text of texts) expect(text).not.toContain(encodeOne(password));
        }
      }),
      { numRuns: 60 },
    );
  });

  test("plays back, with stable words in the place of secrets", async () => {
    const { name, result } = await recorded({});
    expect(result).toMatchObject({ meters: 1, values: 2, requests: 3, problems: [] });
    const played = readCase(folder, name);
    expect(played.settings.password).toBe("hidden-password");
    expect(played.expected.deliveries).toEqual([
      {
        key: played.wanted[0]!.key,
        metric: "energy",
        granularity: "day",
        document: { id: played.wanted[0]!.key },
        values: ["2026-10-30T00:00Z | 1.25 | measured", "2026-10-31T00:00Z | 2.5 | measured"],
      },
    ]);
    expect((await playCase(chatty, played)).problems).toEqual([]);
    const { name: second } = await recorded({});
    expect(textsOf(second)).toEqual(textsOf(name));
  });

  test("has no token of an answer in it, whatever it looks like", async () => {
    const claims = Buffer.from(JSON.stringify({ sub: "19800101-1232", exp: 1_800_000_000 })).toString(
      "base64url",
    );
    const header = Buffer.from(JSON.stringify({ alg: "HS256" })).toString("base64url");
    for (const token of ["0123-4567-89ab-cdef", `${header}.${claims}.c2lnbmF0dXJl`]) {
      const { name, result } = await recorded({ token });
      expect(result.problems).toEqual([]);
      for (const text of textsOf(name)) expect(text).not.toContain(token);
    }
  });

  test.each([
    ["e-mail", "erik@utility.example"],
    ["telephone", "+46 70 123 45 67"],
    ["telephone", "070-123 45 67"],
    ["personal number (SE)", "19811218-9876"],
    ["personal number (SE)", "198112189876"],
    ["personal number (DK)", "211062-5629"],
    ["personal number (NO)", "01129955232"],
    ["personal number (FI)", "131052-308T"],
    ["personal number (ES)", "12345678Z"],
    ["metering point", "571313174112923291"],
    ["metering point (ES)", "ES0021000000000001JN"],
  ])("has no %s in it", async (_, value) => {
    const { name, result } = await recorded({ page: `Kund ${value}, mätare` });
    expect(result.problems).toEqual([]);
    for (const text of textsOf(name)) expect(text).not.toContain(value);
  });

  test("has no meter, name and address of the customer in it, and what else was asked to be hidden", async () => {
    const { name } = await recorded({ page: "Familjen Ek", hide: ["Familjen Ek"] });
    for (const text of textsOf(name)) {
      expect(text).not.toMatch(/Familjen Ek|Anna Svensson|Storgatan|anna\.svensson/);
      expect(text).not.toContain(meterId);
    }
  });

  test("keeps times, values and what looks like a number of something else", async () => {
    const page = "2026-10-25 02:00 202610250200 1793000000 20261101-1200 1234.5678 12,345";
    const { name } = await recorded({ page });
    expect(textsOf(name).some((text) => text.includes(page))).toBe(true);
  });

  test("that came to something else without its secrets is not written", async () => {
    // The value itself is the password.
    const { name, result } = await recorded({ password: "1.25", hide: [] });
    expect(result.problems.join()).toContain("comes to something else");
    expect(readdirSync(join(folder, "cases"))).not.toContain(name);
  });
});
