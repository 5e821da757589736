import { expect, test } from "vitest";
import { makeLog, namesSecret, scrub } from "./log.ts";
import { Problem } from "./problem.ts";

function logged(write: (log: ReturnType<typeof makeLog>) => void): string {
  let text = "";
  write(makeLog({ level: "debug", destination: { write: (line: string) => void (text += line) } }));
  return text;
}

const canary = "c4n4ry5ecret";

test("a line is one line of JSON with level, time, message and members", () => {
  const text = logged((log) => log.info({ route: "/meters", status: 200 }, "two\nlines"));
  expect(text.trimEnd()).not.toContain("\n");
  const { time, ...line } = JSON.parse(text);
  expect(line).toEqual({ level: "info", route: "/meters", status: 200, msg: "two\nlines" });
  expect(time).toMatch(/^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z$/);
});

test.each([
  [
    "header members",
    { headers: { authorization: `Bearer ${canary}`, cookie: canary, "set-cookie": [canary] } },
  ],
  [
    "members named like secrets",
    { body: { new_password: canary, clientSecret: canary, access_token: canary } },
  ],
  ["keys of targets", { target: { access_key_secret: canary, account_key: canary, api_key: canary } }],
  ["secrets deep inside", { a: { b: { c: [{ password: canary }] } } }],
  ["an address", { url: `/api/v2/meters?name=x&access_token=${canary}&skip=1` }],
  ["an encoded name", { url: `/meters?access%5Ftoken=${canary}` }],
  ["an address with a password", { target: `ftp://me:${canary}@example.com/in` }],
  ["an error's message", { err: new Error(`GET /x?token=${canary} failed`) }],
  ["an error's cause", { err: new Error("outer", { cause: new Error(`Bearer ${canary}`) }) }],
  [
    "what an error keeps for the log",
    { err: new Problem("invalid", "no", { inner: `client_secret=${canary}` }) },
  ],
  ["rows of the database", { err: Object.assign(new Error("dup"), { detail: `Key (x)=(${canary})` }) }],
])("masks %s", (_name, members) => {
  const text = logged((log) => log.error(members, "failed"));
  expect(text).not.toContain(canary);
  expect(JSON.parse(text).msg).toBe("failed");
});

test("masks in messages, their parameters, and what a child logger is bound to", () => {
  const text = logged((log) => {
    log.info(`asked with Authorization: Bearer ${canary}`);
    log.info("asked %s", `https://x:${canary}@example.com`);
    log.child({ token: canary }).info("bound");
    log.error(new Error(`password=${canary}`));
  });
  expect(text).not.toContain(canary);
  expect(text.trimEnd().split("\n")).toHaveLength(4);
});

test("keeps what is no secret", () => {
  for (const name of ["token_id", "credentialId", "account", "route", "key", "name"]) {
    expect(namesSecret(name)).toBe(false);
  }
  expect(scrub("/meters?name=north&skip=50")).toBe("/meters?name=north&skip=50");
});

test("an object without end or bottom makes a short line", () => {
  const loop: Record<string, unknown> = { name: "loop" };
  loop.self = loop;
  const wide = Object.fromEntries(Array.from({ length: 10_000 }, (_, i) => [`m${i}`, { a: i }]));
  const text = logged((log) =>
    log.info({ loop, wide, list: Array(100_000).fill("x"), socket: new Map() }, "big"),
  );
  expect(text.length).toBeLessThan(30_000);
  expect(JSON.parse(text).socket).toBe("[Map]");
});

test("a megabyte of text is masked in no time", () => {
  const started = performance.now();
  const text = logged((log) =>
    log.info({ text: `token=${"a".repeat(1_000_000)}`, more: "token".repeat(200_000) }),
  );
  expect(text.length).toBeLessThan(5_000);
  expect(performance.now() - started).toBeLessThan(1_000);
});

test("an error shows its type, code, message, stack and cause", () => {
  const cause = Object.assign(new Error("no route"), { code: "ECONNREFUSED" });
  const text = logged((log) =>
    log.error({ err: new Problem("internal", "failed", { inner: "why", cause }) }),
  );
  const { err } = JSON.parse(text);
  expect(err).toMatchObject({ type: "Problem", message: "failed", code: "internal", inner: "why" });
  expect(err.cause).toMatchObject({ message: "no route", code: "ECONNREFUSED" });
  expect(err.stack).toContain("log.test.ts");
});
