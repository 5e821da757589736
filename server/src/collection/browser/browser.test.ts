import { execFileSync, fork } from "node:child_process";
import { chmodSync, existsSync, mkdirSync, mkdtempSync, readdirSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, afterEach, beforeAll, describe, expect, test } from "vitest";
import { testSettings } from "../../../../test/harness/api.ts";
import { tryBrowser } from "./attempt.ts";
import { freeAccount } from "./browsers.ts";
import { makeFolder, removeFolder, sweepFolders } from "./folder.ts";
import { heldBrowsers, noBrowser, serve, type TestVisit, testVisit } from "./harness.ts";
import { hostRule } from "./hosts.ts";
import { busyUsers, processTree } from "./process-tree.ts";

const own = () =>
  readdirSync(tmpdir()).filter((name) => name.startsWith(`metertree-browser-${process.pid}-`));
const failure = (kind: string, message?: string) =>
  expect.objectContaining({
    kind,
    ...(message === undefined ? {} : { message: expect.stringContaining(message) }),
  });
describe.skipIf(noBrowser !== undefined)("a browser", () => {
  let site: Awaited<ReturnType<typeof serve>>;
  let secret: Awaited<ReturnType<typeof serve>>;
  let secretAsked = 0;
  let visit: TestVisit;
  const agents: string[] = [];
  beforeAll(async () => {
    secret = await serve({
      "/": (_, response) => {
        secretAsked++;
        response.end("<p>inside</p>");
      },
    });
    site = await serve({
      "/": (request, response) => {
        agents.push(String(request.headers["user-agent"]));
        response.setHeader("set-cookie", "session=a-session-of-mine; Path=/; HttpOnly");
        response.end(`<h1>A &amp; B</h1><form method="get" action="/next"><input name="word"><button>Go</button></form>
          <a id="file" href="/file.csv">file</a><a id="away" href="${secret.url}/">away</a>
          <a id="made" download="made.csv">made</a><button id="later" onclick="setTimeout(() => { document.body.append(
            Object.assign(document.createElement('p'), { id: 'shown', textContent: 'later' })) }, 50)">later</button>
          <button id="nothing">nothing</button>
          <script>document.getElementById("made").href = URL.createObjectURL(new Blob(["x;y"]))</script>`);
      },
      "/next": (request, response) => response.end(`<p id="query">${request.url}</p>`),
      "/file.csv": (_, response) => {
        response.setHeader("content-type", "text/csv; charset=iso-8859-1");
        response.setHeader("content-disposition", 'attachment; filename="f.csv"');
        response.end(Buffer.from("\xe5;1", "latin1"));
      },
      "/months.json": (_, response) => {
        response.setHeader("content-type", "application/json");
        response.end('{"a":1}');
      },
      "/invoice.xml": (_, response) => {
        response.setHeader("content-type", "application/xml");
        response.end("<?xml version='1.0'?><Invoice/>");
      },
      "/error": (_, response) => response.writeHead(503, { "retry-after": "7" }).end("<p>no</p>"),
      "/empty-error": (_, response) => response.writeHead(500).end(),
      "/moved": (_, response) => response.writeHead(302, { location: `${secret.url}/` }).end(),
      "/picture": (_, response) =>
        response.end(`<p>p</p><img src="${secret.url}/"><script>
        fetch("${secret.url}/").catch(() => { document.body.append(Object.assign(document.createElement("i"), { id: "no", textContent: "no" })) })
        </script>`),
      "/hungry": (_, response) =>
        response.end(`<p>h</p><script>
        const kept = []; setInterval(() => kept.push(new Uint8Array(20_000_000).fill(7)), 10)</script>`),
      "/hang": () => undefined,
      "/loop": (_, response) => response.end("<p>l</p><script>for (;;);</script>"),
      "/big": (_, response) => response.end(`<p>${"x".repeat(3_000_000)}</p>`),
    });
  });
  afterAll(async () => {
    await site.close();
    await secret.close();
  });
  afterEach(async () => {
    await visit.close();
    expect(own()).toEqual([]);
    expect(heldBrowsers()).toEqual([]);
  });

  test("shows pages, fills in forms, presses, and takes files", async () => {
    visit = testVisit([site.host]);
    const { browser } = visit;
    const page = await browser.open(`${site.url}/`);
    expect([page.status, page.url, page.text().includes("A &amp; B")]).toEqual([200, `${site.url}/`, true]);
    expect(agents.at(-1)).toMatch(/HeadlessChrome\/.* Metertree \(meter data/);
    const file = await browser.press("#file");
    expect([file.status, file.text(), file.headers["content-type"]]).toEqual([
      200,
      "å;1",
      "text/csv; charset=iso-8859-1",
    ]);
    const made = await browser.press("#made");
    expect(made.text()).toBe("x;y");
    expect((await browser.press("#later", { until: "#shown" })).text()).toContain(">later</p>");
    await browser.fill("input[name=word]", "ord & å");
    const next = await browser.press("form button");
    expect(next.url).toBe(`${site.url}/next?word=ord+%26+%C3%A5`);
    expect((await browser.open(`${site.url}/file.csv`)).text()).toBe("å;1");
    expect((await browser.open(`${site.url}/months.json`)).json()).toEqual({ a: 1 });
    expect((await browser.open(`${site.url}/invoice.xml`)).text()).toBe("<?xml version='1.0'?><Invoice/>");
    expect((await browser.open(`${site.url}/nowhere`)).status).toBe(404);
    const traced = visit.trace.map(
      ({ method, status, url }) => `${method} ${status} ${url.replace(site.url, "")}`,
    );
    expect(traced).toContain("GET 200 /file.csv");
    expect(traced).toContain("GET 404 /nowhere");
  });

  test("keeps cookies for the visit, tells the scrubber of them, and takes one that is set", async () => {
    visit = testVisit([site.host]);
    const { browser, scrubber } = visit;
    await browser.open(`${site.url}/`);
    expect(await browser.cookie("session", site.url)).toBe("a-session-of-mine");
    expect(scrubber.scrub("cookie: a-session-of-mine")).toBe("cookie: ********");
    await browser.setCookie("session", "of-before", site.url);
    expect(await browser.cookie("session", site.url)).toBe("of-before");
  });

  test("says what kind of failure it met", async () => {
    visit = testVisit([site.host]);
    const { browser } = visit;
    await expect(browser.open(`${site.url}/error`)).rejects.toEqual(failure("busy"));
    expect(visit.waited).toEqual([7, 7, 7, 7]);
    expect((await browser.open(`${site.url}/error`, { anyStatus: true })).status).toBe(503);
    await expect(browser.open(`${site.url}/empty-error`)).rejects.toEqual(failure("unreachable", "500"));
    await expect(browser.open(`${site.url}/hang`, { timeoutMs: 300 })).rejects.toEqual(
      failure("unreachable"),
    );
    await expect(browser.open(`${site.url}/big`, { bytesMax: 1_000_000 })).rejects.toEqual(
      failure("unreachable"),
    );
    await browser.open(`${site.url}/`);
    await expect(browser.press("#nothing", { timeoutMs: 300 })).rejects.toEqual(
      failure("changed", "nothing follows"),
    );
    await expect(browser.press("#later", { timeoutMs: 300, until: "#never" })).rejects.toEqual(
      failure("changed"),
    );
    await expect(browser.press("#missing")).rejects.toMatchObject({
      kind: "changed",
      page: expect.stringContaining("A &amp; B"),
    });
    expect(() => browser.open("file:///etc/passwd")).toThrow("no http");
    const both = await Promise.allSettled([browser.open(`${site.url}/`), browser.open(`${site.url}/next`)]);
    expect(both.map(({ status }) => status).sort()).toEqual(["fulfilled", "rejected"]);
  });

  test("goes nowhere but to the hosts of its connector", async () => {
    visit = testVisit([site.host]);
    const { browser } = visit;
    for (const way of [() => browser.open(`${secret.url}/`), () => browser.open(`${site.url}/moved`)]) {
      await expect(way()).rejects.toEqual(failure("changed", "none of the connector's hosts"));
    }
    await browser.open(`${site.url}/`);
    await expect(browser.press("#away")).rejects.toEqual(failure("changed", "none of the connector's hosts"));
    await browser.open(`${site.url}/picture`, { until: "#no" });
    expect(secretAsked).toBe(0);
  });

  test("reaches no address that this server may not reach, though its connector names it", async () => {
    visit = testVisit([site.host], { allow: [] });
    await expect(visit.browser.open(`${site.url}/`)).rejects.toMatchObject({
      kind: expect.stringMatching(/unreachable|changed/),
    });
    expect(agents).toHaveLength(agents.length);
  });

  test.skipIf(process.geteuid?.() !== 0)(
    "runs as a user that owns nothing when the server is root's",
    async () => {
      visit = testVisit([site.host]);
      await visit.browser.open(`${site.url}/`);
      const { host } = heldBrowsers()[0]!;
      const users = processTree(host).map(({ pid }) =>
        execFileSync("ps", ["-o", "uid=", "-p", String(pid)], { encoding: "utf8" }).trim(),
      );
      expect(users.length).toBeGreaterThan(3);
      expect(users.every((uid) => Number(uid) >= 61_184 && Number(uid) < 65_520)).toBe(true);
    },
  );

  test("that takes too much memory is ended", async () => {
    visit = testVisit([site.host], { memoryBytesMax: 400_000_000 });
    await visit.browser.open(`${site.url}/hungry`);
    await expect(visit.browser.open(`${site.url}/hang`)).rejects.toEqual(failure("unreachable", "memory"));
  });

  test("is ended with its run, also when a page never ends", async () => {
    visit = testVisit([site.host]);
    const opening = visit.browser.open(`${site.url}/loop`);
    await expect.poll(() => heldBrowsers().length, { timeout: 20_000 }).toBe(1);
    visit.end.abort(new Error("the run is over"));
    await expect(opening).rejects.toThrow("the run is over");
  });
});

describe("a browser that does not start", () => {
  const folder = mkdtempSync(join(tmpdir(), "metertree-no-browser-"));
  afterAll(() => rmSync(folder, { recursive: true }));
  const program = (name: string, script: string) => {
    const path = join(folder, name);
    writeFileSync(path, `#!/bin/sh\n${script}\n`, { mode: 0o755 });
    return path;
  };
  chmodSync(folder, 0o755);

  test.each([
    ["is not there", "/nowhere/chromium", "METERTREE_CHROMIUM_PATH"],
    ["ends at once", program("ends", "exit 3"), "does not start"],
    [
      "has no sandbox",
      program("sandbox", 'echo "FATAL:zygote_host_impl_linux.cc(132)] No usable sandbox!" >&2; exit 1'),
      "METERTREE_CHROMIUM_SANDBOX=false",
    ],
  ])("because it %s is told with the remedy", async (_, path, remedy) => {
    const visit = testVisit(["utility.example"], { path });
    const opening = visit.browser.open("http://utility.example/");
    await expect(opening).rejects.toEqual(failure("unreachable", remedy));
    await expect(opening).rejects.toMatchObject({ isOwn: true });
    await visit.close();
    const { trouble } = await tryBrowser({ ...testSettings.browser, path });
    expect(trouble).toContain(remedy);
    expect(own()).toEqual([]);
  });
});

describe("what a killed server left", () => {
  const stale = `metertree-browser-${process.pid}-1-left`;
  const lives = (pid: number) => {
    try {
      return process.kill(pid, 0);
    } catch {
      return false;
    }
  };

  test.skipIf(noBrowser !== undefined)(
    "ends by itself, and its folder is removed by the next one",
    async () => {
      const server = fork(new URL("./harness.ts", import.meta.url), [], { execArgv: [] });
      await new Promise((resolve) => server.once("message", resolve));
      const pids = processTree(server.pid!).map(({ pid }) => pid);
      expect(pids.length).toBeGreaterThan(4);
      const folders = () =>
        readdirSync(tmpdir()).filter((each) => each.startsWith(`metertree-browser-${server.pid}-`));
      expect(folders()).toHaveLength(1);
      server.kill("SIGKILL");
      await expect.poll(() => pids.filter(lives), { timeout: 20_000 }).toEqual([]);
      await sweepFolders();
      expect(folders()).toEqual([]);
    },
  );

  test("is removed by the next one, and what is in use stays", async () => {
    const inUse = await makeFolder(null);
    mkdirSync(join(tmpdir(), stale, "profile"), { recursive: true });
    expect(await sweepFolders()).toBeGreaterThanOrEqual(1);
    expect(existsSync(join(tmpdir(), stale))).toBe(false);
    expect(existsSync(inUse)).toBe(true);
    await removeFolder(inUse);
    expect(existsSync(inUse)).toBe(false);
  });
});

test("two browsers of one machine are never the same user, whichever servers they are of", () => {
  const busy = new Set<number>();
  for (let n = 0; n < 4_000; n++) {
    const account = freeAccount(n % 7, busy);
    expect([account >= 61_184, account < 65_184, busy.has(account)]).toEqual([true, true, false]);
    busy.add(account);
  }
  expect(() => freeAccount(5, busy)).toThrow("every user");
  expect(busyUsers()).toContain(process.geteuid?.());
});

test("hosts are named with their ports, or all below a name", () => {
  const rule = hostRule(["utility.example", "api.example:8443", "*.cdn.example", "[::1]:80"]);
  const asked: [string, number, boolean][] = [
    ["utility.example", 443, true],
    ["utility.example", 80, true],
    ["utility.example", 8443, false],
    ["api.example", 8443, true],
    ["api.example", 443, false],
    ["a.cdn.example", 443, true],
    ["cdn.example", 443, false],
    ["evilcdn.example", 443, false],
    ["www.utility.example", 443, false],
    ["::1", 80, true],
  ];
  for (const [host, port, allowed] of asked)
    expect([host, port, rule(host, port)]).toEqual([host, port, allowed]);
});
