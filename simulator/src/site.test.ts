import { readFileSync } from "node:fs";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { faultKinds } from "./faults.ts";
import { testUtility } from "./harness.ts";
import { situations } from "./situations.ts";

let t: Awaited<ReturnType<typeof testUtility>>;
beforeAll(async () => {
  t = await testUtility();
});
afterAll(() => t.close());

const inside = async (username: string, password = "demo") => {
  const visitor = t.visit();
  const answer = await visitor.login(username, password);
  expect([answer.status, answer.headers.get("location")]).toEqual([303, "/overview"]);
  return visitor;
};

/** Addresses that a page links to. */
const links = (html: string, begin: string) => [
  ...new Set(
    [...html.matchAll(/href="([^"]+)"/g)].map(([, path]) => path!).filter((path) => path.startsWith(begin)),
  ),
];

async function firstMeter(username: string) {
  const visitor = await inside(username);
  const [contract] = links(await visitor.text("/overview"), "/contracts/");
  const [meter] = links(await visitor.text(contract!), "/meters/");
  return { visitor, contract: contract!, meter: meter! };
}

const span = "from=2026-03-01&to=2026-03-31";

describe("login", () => {
  test("without a session every page leads to the login", async () => {
    for (const path of [
      "/",
      "/overview",
      "/contracts/1",
      "/meters/1",
      "/meters/1/values.csv",
      "/meters/1/months.json",
    ]) {
      const answer = await t.visit().ask(path === "/" ? "/overview" : path);
      expect([path, answer.status, answer.headers.get("location")]).toEqual([path, 303, "/login"]);
    }
  });

  test("a form without the token of its session is refused and counts no attempt", async () => {
    const visitor = t.visit();
    await visitor.text("/login");
    const answer = await visitor.ask("/login", { csrf: "x", username: "demo", password: "wrong" });
    expect(answer.status).toBe(403);
    expect((await t.order("GET", "/control/logins")).json.logins).not.toContainEqual(
      expect.objectContaining({ username: "demo", wrong: 1 }),
    );
  });

  test("three wrong passwords lock, the control unlocks, and says how often", async () => {
    const words: (string | undefined)[] = [];
    for (const _ of [1, 2, 3]) {
      words.push(/role="alert">([^<]+)/.exec(await (await t.visit().login("kund0001", "wrong")).text())?.[1]);
    }
    expect(words).toEqual([
      "Fel användarnamn eller lösenord.",
      "Fel användarnamn eller lösenord.",
      expect.stringContaining("spärrat"),
    ]);
    expect((await t.visit().login("kund0001", "sol-0001")).status).toBe(200);
    const { logins } = (await t.order("GET", "/control/logins")).json;
    expect(logins).toContainEqual({ username: "kund0001", attempts: 4, wrong: 3, lockouts: 1, locked: true });
    await t.order("POST", "/control/customers/kund0001", { unlock: true, password: "new" });
    expect((await t.visit().login("kund0001", "new")).status).toBe(303);
  });

  test("a code is asked for, and the third wrong one ends the login", async () => {
    const visitor = t.visit();
    expect((await visitor.login("code")).headers.get("location")).toBe("/code");
    expect((await visitor.ask("/overview")).status).toBe(303);
    const csrf = /value="([^"]+)"/.exec(await visitor.text("/code"))![1]!;
    const codes = [];
    for (const code of ["000000", "1", "000001"])
      codes.push((await visitor.ask("/code", { csrf, code })).status);
    expect(codes).toEqual([200, 200, 303]);
    await visitor.login("code");
    const again = /value="([^"]+)"/.exec(await visitor.text("/code"))![1]!;
    expect((await visitor.ask("/code", { csrf: again, code: "123456" })).headers.get("location")).toBe(
      "/overview",
    );
    expect((await visitor.ask("/overview")).status).toBe(200);
  });

  test("logging out ends the session", async () => {
    const visitor = await inside("demo");
    const csrf = /name="csrf" value="([^"]+)"/.exec(await visitor.text("/overview"))![1]!;
    await visitor.ask("/logout", { csrf });
    expect((await visitor.ask("/overview")).status).toBe(303);
  });
});

describe("pages and files", () => {
  test("the list has pages, and leads to all metering points", async () => {
    const { visitor, contract } = await firstMeter("demo");
    const found: string[] = [];
    for (let path: string | undefined = contract; path !== undefined; ) {
      const html = await visitor.text(path);
      found.push(...links(html, "/meters/"));
      path = /rel="next" href="([^"]+)"/.exec(html)?.[1];
    }
    expect(found).toHaveLength(12);
  });

  test("what belongs to another customer is not there", async () => {
    const { meter, contract } = await firstMeter("demo");
    const other = await inside("quarter");
    for (const path of [
      meter,
      contract,
      `${meter}/values.csv?resolution=hour&${span}`,
      `${meter}/months.json`,
    ]) {
      expect([path, (await other.ask(path)).status]).toEqual([path, 404]);
    }
  });

  test("a file holds what the truth says, with the hour that is missing in March", async () => {
    const { visitor, meter } = await firstMeter("demo");
    const csv = await visitor.text(`${meter}/values.csv?resolution=hour&${span}`);
    const [truth] = await t.truth(`meter=${meter.slice(8)}&granularity=hour&${span}`);
    const values = [...csv.matchAll(/^\d{4}-\d\d-\d\d \d\d:\d\d;[^;]+;([\d,]+);/gm)].map(([, text]) =>
      Number(text!.replace(",", ".")),
    );
    expect(values).toHaveLength(743);
    expect(values).toEqual(truth.values);
    expect(csv).toContain("2026-03-29 01:00;2026-03-29 03:00;");
  });

  test("a workbook is a packed file, months are JSON, bad periods are refused", async () => {
    const { visitor, meter } = await firstMeter("demo");
    const book = await visitor.ask(`${meter}/values.xlsx?resolution=hour&${span}`);
    expect(
      Buffer.from(await book.arrayBuffer())
        .subarray(0, 2)
        .toString(),
    ).toBe("PK");
    const months = JSON.parse(await visitor.text(`${meter}/months.json`));
    const [truth] = await t.truth(`meter=${meter.slice(8)}&granularity=month`);
    expect(months.months.map(({ usage }: { usage: number }) => usage)).toEqual(truth.values);
    for (const query of [
      "resolution=hour&from=2026-02-30&to=2026-03-01",
      "resolution=hour&from=2020-01-01&to=2026-01-01",
    ]) {
      expect((await visitor.ask(`${meter}/values.csv?${query}`)).status).toBe(400);
    }
    expect((await visitor.ask(`${meter}/values.csv?resolution=15min&${span}`)).status).toBe(404);
  });

  test("an invoice bills what was published when it was issued, and stays as it is", async () => {
    const visitor = await inside("kund0003", "sol-0003");
    const list = await visitor.text("/invoices");
    const [path] = links(list, "/invoices/").filter((each) => each.endsWith(".xml"));
    const before = await visitor.text(path!);
    const { invoices } = (await t.order("GET", "/control/invoices?customer=kund0003")).json;
    expect(path).toBe(`/invoices/${invoices[0].number}.xml`);
    expect(before).toContain(`<cbc:PayableAmount currencyID="SEK">${invoices[0].payable}<`);
    await t.order("POST", "/control/faults", { kind: "rewritten", username: "kund0003", days: 90 });
    expect(await visitor.text(path!)).toBe(before);
    expect((await visitor.ask(path!.replace(".xml", ".pdf"))).headers.get("content-type")).toBe(
      "application/pdf",
    );
    const stranger = await inside("demo");
    for (const wrong of [path!, "/invoices/202601-1.pdf", "/invoices/x", "/invoices/209912-1.xml"]) {
      expect([wrong, (await stranger.ask(wrong)).status]).toEqual([wrong, 404]);
    }
  });

  test("English is spoken to those who want it", async () => {
    const { visitor, meter } = await firstMeter("demo");
    await visitor.text("/overview?lang=en");
    expect(await visitor.text("/overview")).toContain('<html lang="en">');
    expect(await visitor.text(`${meter}/values.csv?resolution=hour&${span}`)).toMatch(
      /From;To;Usage \(kWh\);Status\r\n[^;]+;[^;]+;\d+\.\d{3};/,
    );
  });
});

describe("situations", () => {
  const heads = async (username: string) => {
    const { visitor, meter } = await firstMeter(username);
    const lines = (await visitor.text(`${meter}/values.csv?resolution=hour&${span}`)).split("\r\n");
    return `${lines[5]} | ${lines[6]}`;
  };

  test.for([
    ["columns", /^Status;Från;Till;Förbrukning \(kWh\) \| Uppmätt;2026/],
    ["labels", /^Starttid;Sluttid;Energi \[kWh\];Kvalitet/],
    ["translated", /^Fra;Til;Forbruk \(kWh\);Status \| .*;Målt$/],
    ["units", /^Från;Till;Förbrukning \(MWh\);Status \| .*;0,\d{6};/],
    ["decimals", /^Från;Till;Förbrukning \(kWh\);Status \| .*;\d+\.\d{3};/],
  ] as const)("%s: another layout", async ([username, pattern]) => {
    expect(await heads(username)).toMatch(pattern);
  });

  test.for([
    ["changed", /Fel användarnamn/],
    ["locked", /spärrat/],
    ["captcha", /form id="captcha"/],
    ["consent", /name="consent"/],
  ] as const)("%s: not let in", async ([username, pattern]) => {
    const answer = await t.visit().login(username);
    expect(answer.status).toBe(200);
    expect(await answer.text()).toMatch(pattern);
  });

  test("maintenance answers 200, error 500, busy 429 every fourth time", async () => {
    expect(await (await inside("maintenance")).text("/overview")).toContain("Underhåll");
    expect((await (await inside("error")).ask("/overview")).status).toBe(500);
    const busy = await inside("busy");
    const answers = [];
    for (const _ of [1, 2, 3, 4, 5]) answers.push(await busy.ask("/overview"));
    expect(answers.map(({ status }) => status)).toEqual([200, 200, 200, 429, 200]);
    expect(answers[3]!.headers.get("retry-after")).toBe("1");
  });

  test("the session is lost after eight requests", async () => {
    const visitor = await inside("session");
    const statuses = [];
    for (let i = 0; i < 9; i++) statuses.push((await visitor.ask("/overview")).status);
    expect(statuses).toEqual([...Array(8).fill(200), 303]);
  });

  test("empty, half and ended lists", async () => {
    const empty = await inside("empty");
    expect(await empty.text(links(await empty.text("/overview"), "/contracts/")[0]!)).toContain('id="none"');
    expect(await (await inside("ended")).text("/overview")).toContain("inga aktiva avtal");
    const half = await inside("half");
    const list = await half.text(links(await half.text("/overview"), "/contracts/")[0]!);
    expect(links(list, "/meters/").every((path) => Number(path.slice(-2)) % 2 === 0)).toBe(true);
  });

  test("rows stand twice", async () => {
    const { visitor, meter } = await firstMeter("duplicates");
    const csv = await visitor.text(`${meter}/values.csv?resolution=hour&from=2026-05-01&to=2026-05-01`);
    expect(csv.match(/^2026-05-01 12:00;/gm)).toHaveLength(2);
  });

  test("the manual names every situation and every fault", () => {
    const manual = readFileSync(new URL("../README.md", import.meta.url), "utf8");
    for (const { username, about } of situations) expect(manual).toContain(`| \`${username}\` | ${about} |`);
    for (const kind of faultKinds) expect(manual).toContain(`\`${kind}\``);
  });
});

describe("control", () => {
  test("customers do not reach it", async () => {
    expect((await t.visit().ask("/control/truth")).status).toBe(404);
  });

  test("the clock goes forward only", async () => {
    const back = await t.order("POST", "/control/clock", { now: "2020-01-01T00:00:00Z" });
    expect([back.status, back.json.message]).toEqual([400, expect.stringMatching(/^now/)]);
    const moved = await t.order("POST", "/control/clock", { advance_seconds: 3600 });
    expect(moved.json).toEqual({ now: "2026-11-01T13:00:00.000Z", speed: 0 });
  });

  test.for([
    [{ kind: "unheard" }, /kind/],
    [{ kind: "late", username: "nobody" }, /^username/],
    [{ kind: "late", from: "2020-01-01T00:00:00Z" }, /^from/],
    [{ kind: "late", until: "2020-01-01T00:00:00Z" }, /^until/],
    [{ kind: "layout" }, /^variant/],
    [{ kind: "gone", username: "demo" }, /^kind/],
  ] as const)("refuses the fault %o", async ([order, message]) => {
    const answer = await t.order("POST", "/control/faults", order);
    expect([answer.status, answer.json.message]).toEqual([400, expect.stringMatching(message)]);
  });

  test("a fault of all hits so many requests, or until it is ended", async () => {
    await t.order("POST", "/control/faults", { kind: "error", times: 1 });
    expect((await t.visit().ask("/login")).status).toBe(500);
    expect((await t.visit().ask("/login")).status).toBe(200);
    const { json } = await t.order("POST", "/control/faults", { kind: "maintenance", username: "kund0002" });
    const visitor = t.visit();
    await visitor.login("kund0002", "sol-0002");
    expect(await visitor.text("/overview")).toContain("Underhåll");
    expect((await t.order("DELETE", `/control/faults/${json.id}`)).status).toBe(204);
    expect(await visitor.text("/overview")).toContain('id="contracts"');
    expect((await t.order("DELETE", "/control/faults/reserved-busy")).status).toBe(404);
  });

  test("a new layout for everybody renames the fields of the login form", async () => {
    const { json } = await t.order("POST", "/control/faults", { kind: "layout", variant: "labels" });
    const visitor = t.visit();
    expect((await visitor.login("demo")).status).toBe(200);
    const csrf = /name="csrf" value="([^"]+)"/.exec(await visitor.text("/login"))![1]!;
    const answer = await visitor.ask("/login", { csrf, account: "demo", secret: "demo" });
    expect(answer.headers.get("location")).toBe("/overview");
    await t.order("DELETE", `/control/faults/${json.id}`);
  });

  test("faults are drawn from a seed", async () => {
    const order = { seed: 4, from: "2026-12-01T00:00:00Z", until: "2026-12-31T00:00:00Z", count: 20 };
    const kinds = async () => {
      const { faults } = (await t.order("POST", "/control/faults/draw", order)).json;
      return faults.map(({ kind, from, username }: Record<string, unknown>) => [kind, from, username]);
    };
    const drawn = await kinds();
    expect(drawn).toHaveLength(20);
    expect(await kinds()).toEqual(drawn);
    const named = await t.order("POST", "/control/faults/draw", { ...order, kinds: ["captcha", "consent"] });
    expect(new Set(named.json.faults.map(({ kind }: { kind: string }) => kind))).toEqual(
      new Set(["captcha", "consent"]),
    );
    expect((await t.order("POST", "/control/faults/draw", { ...order, kinds: ["gone"] })).status).toBe(400);
  });

  test("a utility that is gone refuses connections, and returns", async () => {
    const other = await testUtility();
    try {
      await other.order("POST", "/control/faults", { kind: "gone", seconds: 0.2 });
      await expect(other.visit().ask("/login")).rejects.toThrow();
      await expect
        .poll(() =>
          other
            .visit()
            .ask("/login")
            .then(
              ({ status }) => status,
              () => 0,
            ),
        )
        .toBe(200);
    } finally {
      await other.close();
    }
  });
});

test("the API tells the same values", async () => {
  const ask = (path: string, init: RequestInit = {}) => fetch(t.url + path, init);
  const post = (body: unknown) =>
    ask("/api/token", {
      method: "POST",
      headers: { "content-type": "application/json" },
      body: JSON.stringify(body),
    });
  expect((await post({ username: "code", password: "demo" })).status).toBe(401);
  expect((await post({ username: "consent", password: "demo" })).status).toBe(403);
  expect((await post({})).status).toBe(400);
  expect((await ask("/api/meters")).status).toBe(401);
  const { access_token } = (await (await post({ username: "quarter", password: "demo" })).json()) as {
    access_token: string;
  };
  const headers = { authorization: `Bearer ${access_token}` };
  const { meters } = (await (await ask("/api/meters", { headers })).json()) as { meters: { id: string }[] };
  const { id } = meters[0]!;
  for (const granularity of ["15min", "hour", "month"]) {
    const answer = await ask(`/api/meters/${id}/values?resolution=${granularity}&${span}`, { headers });
    const { values } = (await answer.json()) as { values: { value: number; start: string }[] };
    const [truth] = await t.truth(`meter=${id}&granularity=${granularity}&${span}`);
    expect(values.map(({ value }) => value)).toEqual(truth.values);
    expect(values.map(({ start }) => Date.parse(start))).toEqual(truth.starts);
  }
  expect((await ask(`/api/meters/${id}/values?resolution=hour&from=x&${span}`, { headers })).status).toBe(
    400,
  );
  expect((await ask("/api/meters/1/values", { headers })).status).toBe(404);
});
