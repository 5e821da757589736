import { createServer, type Server } from "node:http";
import type { AddressInfo } from "node:net";
import { afterAll, beforeAll, expect, test } from "vitest";
import { raw, sql } from "../platform/db.ts";
import { ProviderFailure, type Visit } from "./connector.ts";
import { type CollectionWorld, collectionWorld } from "./harness.ts";
import { writings } from "./scrub.ts";

// A provider that says every secret again, in every place that it has, to a connector that tells all it hears: nothing of
// it may be kept or shown.

/** One secret of every kind, each with signs that protocols write in their own way. */
const secrets = {
  password: 'pass"word & <åäö>/+ canary',
  session: "c4n4ry-session-8f2e",
  csrf: "c4n4ry+csrf/77",
  code: "c4n4ry-314159",
  accessToken: "c4n4ry.access~token_1",
  refreshToken: "c4n4ry.refresh~token_2",
};
const all = Object.values(secrets);

let world: CollectionWorld;
let server: Server;
let at: string;
/** What happens at the end of a run. */
let ending: "complete" | "changed" | "credentials" | "unreachable" | "stumbles" | "unused token";

/** Everything that a page, a header and an address can say. */
const echo = () =>
  [
    ...all,
    ...all.map(encodeURIComponent),
    ...all.map((each) => Buffer.from(`x:${each}`).toString("base64")),
  ].join("\n");

async function visitAll(visit: Visit<unknown>): Promise<void> {
  const { http, memory, step } = visit;
  const { password } = visit.settings as { password: string };
  step(`log in with ${password}`);
  await http.send(`${at}/form`, { form: { username: "anna", password, csrf: secrets.csrf } });
  const code = await visit.askCode({ en: "Code?", sv: "Kod?" });
  await http.send(`${at}/form`, { json: { code } });
  const answer = await http.send(`${at}/token`, { query: { code } });
  if (ending === "unused token") throw new ProviderFailure("changed", answer.text(), { page: answer.text() });
  const token = answer.json() as { access_token: string; refresh_token: string };
  await memory.set("refresh", token.refresh_token);
  const headers = { authorization: `Bearer ${token.access_token}` };
  const page = await http.send(`${at}/away`, { headers, query: { session: secrets.session } });
  step(page.text());
  if (ending === "changed") throw new ProviderFailure("changed", page.text(), { page: page.text() });
  if (ending === "credentials") throw new ProviderFailure("credentials", page.text());
  if (ending === "stumbles") throw new Error(page.text());
  if (ending === "unreachable") await http.send(`${at}/broken?token=${secrets.accessToken}`, { headers });
}

beforeAll(async () => {
  server = createServer((request, response) => {
    const path = request.url ?? "";
    response.setHeader("set-cookie", `sid=${secrets.session}; Path=/`);
    response.setHeader("x-echo", encodeURIComponent(echo()));
    if (path.startsWith("/token")) {
      const { accessToken: access_token, refreshToken: refresh_token } = secrets;
      response.setHeader("content-type", "application/json");
      response.end(JSON.stringify({ access_token, refresh_token, expires_in: 60 }));
    } else if (path.startsWith("/away")) {
      response.writeHead(303, { location: `/page?sid=${secrets.session}#${secrets.accessToken}` }).end();
    } else if (path.startsWith("/broken")) response.writeHead(500).end(echo());
    else response.end(echo());
  });
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  at = `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
  world = await collectionWorld({
    async *discover(visit) {
      await visitAll(visit);
      yield* world.script.meters;
    },
  });
});
afterAll(async () => {
  await world.close();
  await new Promise((resolve) => server.close(resolve));
});

test.each(["complete", "changed", "credentials", "unreachable", "stumbles", "unused token"] as const)(
  "no secret of a run that ends as %s is in a table, log line, answer, event, trace or page",
  async (end) => {
    const { api, ask, owner, collector } = world;
    ending = end;
    await api.db.run(sql`delete from connection`);
    await api.db.run(sql`delete from refused_credentials`);
    const { _id } = await ask("POST", "/connections", {
      provider: "scripted",
      credentials: { username: "anna", password: secrets.password },
    });
    await collector.step();
    const call = async (path: string) =>
      (await api.call("GET", `/connections/${_id}${path}`, { token: owner.token })).text;
    await expect
      .poll(async () => (await ask("GET", `/connections/${_id}`)).code, { timeout: 10_000 })
      .not.toBeNull();
    const texts = [await call("/events?wait=0")];
    await ask("POST", `/connections/${_id}/code`, { code: secrets.code });
    await collector.idle();

    const [{ _id: runId, failure, steps }] = await ask("GET", `/connections/${_id}/runs?sort=-began`);
    const kind = { complete: null, stumbles: "changed", "unused token": "changed" }[end as string];
    expect(failure).toBe(kind === undefined ? end : kind);
    expect(steps.length).toBeGreaterThan(2);
    const paths = ["", "/runs", `/runs/${runId}`, `/runs/${runId}/page`, "/events?wait=0"];
    texts.push(...(await Promise.all(paths.map(call))), JSON.stringify(await ask("GET", "/issues")));
    texts.push(...(await everyRow()), ...api.logLines);
    const text = texts.join("\n");
    for (const [name, secret] of Object.entries(secrets)) {
      for (const write of writings) {
        const form = write(secret);
        if (text.includes(form)) expect.unreachable(`${name} as ${form}: …${around(text, form)}…`);
      }
      for (const lead of ["", "x", "xy"]) {
        const form = Buffer.from(lead + secret)
          .toString("base64")
          .slice(4, -4);
        if (text.includes(form)) expect.unreachable(`${name} in base64: …${around(text, form)}…`);
      }
    }
  },
);

function around(text: string, form: string): string {
  const from = text.indexOf(form);
  return text.slice(Math.max(0, from - 150), from + form.length + 50);
}

/** Every row of every table as text: sealed columns in hexadecimal digits. */
async function everyRow(): Promise<string[]> {
  const { db } = world.api;
  const tables = await db.rows<{ name: string }>(sql`
    select format('%I.%I', table_schema, table_name) as name from information_schema.tables
    where table_type = 'BASE TABLE' and table_schema not in ('pg_catalog', 'information_schema')`);
  expect(tables.length).toBeGreaterThan(40);
  const rows = await Promise.all(
    tables.map(({ name }) =>
      db.rows<{ text: string }>(raw(`select to_jsonb(t)::text as text from ${name} t`)),
    ),
  );
  return rows.flat().map(({ text }) => text);
}
