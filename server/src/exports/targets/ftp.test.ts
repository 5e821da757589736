import { mkdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { afterAll, afterEach, beforeAll, describe, expect, test } from "vitest";
import { type Certificates, makeCertificates } from "../../../../test/harness/servers/certificates.ts";
import { type FtpServer, ftpServer, login } from "../../../../test/harness/servers/ftp.ts";
import {
  type FtpFaults,
  type ScriptedFtp,
  scriptedFtp,
} from "../../../../test/harness/servers/scripted-ftp.ts";
import { listener } from "../../platform/egress/harness.ts";
import { testTarget } from "./all.ts";
import {
  deliveryId,
  failureOfDelivery,
  filesIn,
  send,
  targetOf,
  thrown,
  type World,
  world,
} from "./harness.ts";

const hidden = `.${deliveryId}.part`;

describe("FTP against a real server", () => {
  let place: World;
  let server: FtpServer;
  const ftp = (more: object = {}) => ({ ftp: { host: "files.test", port: server.port, ...login, ...more } });

  beforeAll(async () => {
    place = world();
    server = await ftpServer();
  });
  afterAll(async () => {
    await server.close();
    await place.close();
  });

  test("a file arrives whole, under its name and no other", async () => {
    mkdirSync(join(server.root, "in box"));
    const file = place.file(300_000);
    expect(await send(place, ftp({ path: "/in box" }), { file })).toEqual({});
    expect(Object.keys(filesIn(server.root))).toEqual(["in box/values_1.csv"]);
    expect(readFileSync(join(server.root, "in box/values_1.csv")).equals(readFileSync(file.path))).toBe(true);
  });

  test("the next attempt replaces what is there", async () => {
    await send(place, ftp(), { file: place.file("old", { name: "again.csv" }) });
    await send(place, ftp(), { file: place.file("new and longer", { name: "again.csv" }) });
    const files = filesIn(server.root);
    expect(files["again.csv"]).toBe("new and longer");
    expect(Object.keys(files).filter((name) => name.includes(".part"))).toEqual([]);
  });

  test("folders of a name are made", async () => {
    await send(place, ftp(), { file: place.file("x", { name: "year=2026/month=01/a.parquet" }) });
    await send(place, ftp(), { file: place.file("y", { name: "year=2026/month=01/b.parquet" }) });
    expect(filesIn(server.root)["year=2026/month=01/b.parquet"]).toBe("y");
  });

  test("wrong logins and folders that are not there are told apart", async () => {
    const file = place.file("x");
    expect(await failureOfDelivery(send(place, ftp({ password: "wrong" }), { file }))).toEqual([
      "login",
      "stop",
    ]);
    expect(await failureOfDelivery(send(place, ftp({ path: "nowhere" }), { file }))).toEqual([
      "permission",
      "stop",
    ]);
  });

  test("a test of the target leaves nothing behind", async () => {
    const before = Object.keys(filesIn(server.root));
    const options = { deps: place.deps, id: "1", stepMs: 1 };
    await testTarget(targetOf(ftp()), options);
    expect(Object.keys(filesIn(server.root))).toEqual(before);
    const wrong = testTarget(targetOf(ftp({ path: "nowhere" })), options);
    expect((await thrown(wrong)).reason).toBe("permission");
  });
});

const certificates = makeCertificates();

describe.skipIf(certificates === null)("FTPS", () => {
  const { ca, good, expired, other, unknown } = certificates ?? ({} as Certificates);
  let place: World;
  const servers: FtpServer[] = [];
  const start = async (options: Parameters<typeof ftpServer>[0]) => {
    const server = await ftpServer(options);
    servers.push(server);
    return server;
  };

  beforeAll(() => {
    place = world({ ca });
  });
  afterEach(async () => {
    for (const server of servers.splice(0)) await server.close();
  });
  afterAll(() => place.close());

  test.each(["explicit", "implicit"] as const)("%s TLS delivers, with data encrypted too", async (kind) => {
    const server = await start({ tls: good, implicit: kind === "implicit" });
    const ftp = { host: "files.test", port: server.port, ...login, tls: kind };
    await send(place, { ftp }, { file: place.file(100_000) });
    expect(Object.values(filesIn(server.root))[0]).toHaveLength(100_000);
  });

  test.each([
    ["ended", expired],
    ["of another host", other],
    ["of nobody we know", unknown],
  ])("a certificate that is %s is refused before the login", async (_, tls) => {
    const server = await start({ tls });
    const ftp = { host: "files.test", port: server.port, ...login, tls: "explicit" };
    expect(await failureOfDelivery(send(place, { ftp }, { file: place.file("x") }))).toEqual([
      "certificate",
      "again",
    ]);
    expect(filesIn(server.root)).toEqual({});
  });

  test("a server without TLS gets no password", async () => {
    const server = await scriptedFtp();
    const ftp = { host: "files.test", port: server.port, ...login, tls: "explicit" };
    expect(await failureOfDelivery(send(place, { ftp }, { file: place.file("x") }))).toEqual([
      "certificate",
      "stop",
    ]);
    expect(server.commands.filter((line) => /^(USER|PASS)/.test(line))).toEqual([]);
    await server.close();
  });
});

describe("FTP with faults", () => {
  let place: World;
  const servers: ScriptedFtp[] = [];
  const start = async (faults: FtpFaults) => {
    const server = await scriptedFtp(faults);
    servers.push(server);
    const ftp = { host: "files.test", port: server.port, ...login };
    return {
      server,
      deliver: (content: string | number = "value", signal?: AbortSignal) =>
        send(place, { ftp }, { file: place.file(content), ...(signal === undefined ? {} : { signal }) }),
    };
  };

  beforeAll(() => {
    place = world();
  });
  afterEach(async () => {
    for (const server of servers.splice(0)) await server.close();
  });
  afterAll(() => place.close());

  test("commands are exactly these", async () => {
    const { server, deliver } = await start({});
    await deliver();
    const sent = [
      "OPTS UTF8 ON",
      "USER meter",
      `PASS ${login.password}`,
      "FEAT",
      "TYPE I",
      "STRU F",
      "OPTS UTF8 ON",
    ];
    const stored = ["EPSV", `STOR ${hidden}`, `SIZE ${hidden}`, `RNFR ${hidden}`, "RNTO values_1.csv"];
    expect(server.commands.filter((each) => each !== "QUIT")).toEqual([...sent, ...stored]);
    expect([...server.files]).toEqual([["values_1.csv", Buffer.from("value")]]);
  });

  test.each<[string, FtpFaults, string, string]>([
    ["the disk is full", { replies: { STOR: "452 Insufficient storage space" } }, "full", "again"],
    ["the quota is used up", { replies: { STOR: "552 Quota exceeded" } }, "full", "again"],
    [
      "the folder may not be written to",
      { replies: { STOR: "550 Permission denied" } },
      "permission",
      "stop",
    ],
    ["renaming fails", { replies: { RNTO: "550 Rename failed" } }, "permission", "stop"],
    ["renaming fails for now", { replies: { RNTO: "450 File busy" } }, "server", "again"],
    ["the server is busy", { replies: { CONNECT: "421 Too many users" } }, "server", "again"],
    ["logging in fails for now", { replies: { USER: "421 Closing" } }, "server", "again"],
    ["the data connection is refused", { replies: { STOR: "425 Cannot open" } }, "no_connection", "again"],
    ["the data connection is cut", { cutAfter: 100 }, "no_connection", "again"],
    ["everything is cut", { dropAfter: 100 }, "no_connection", "again"],
    ["the reply names no port", { passive: () => "(no)", noEpsv: true }, "server", "again"],
    ["the reply is no FTP", { replies: { CONNECT: "500 what" } }, "other", "again"],
  ])("when %s nothing is left behind", async (_, faults, reason, retry) => {
    const { server, deliver } = await start(faults);
    expect(await failureOfDelivery(deliver(200_000))).toEqual([reason, retry]);
    expect([...server.files.keys()]).toEqual([]);
  });

  test("the address that EPSV or PASV names is not used", async () => {
    const elsewhere = await listener("127.0.0.2");
    for (const noEpsv of [true, false]) {
      const passive = (port: number) =>
        noEpsv ? `(127,0,0,2,${port >> 8},${port & 255})` : `(|1|127.0.0.2|${port}|)`;
      const { server, deliver } = await start({ noEpsv, passive });
      // PASV's port is used at the machine that we are connected to; EPSV with an address is no reply that exists.
      if (noEpsv) await deliver();
      else expect((await failureOfDelivery(deliver()))[0]).toBe("server");
      expect(server.files.has("values_1.csv")).toBe(noEpsv);
    }
    expect(elsewhere.count()).toBe(0);
    await elsewhere.close();
  });

  test("servers that do not replace are helped, and a retry makes no second file", async () => {
    const { server, deliver } = await start({ noReplace: true });
    await deliver("first");
    await deliver("second");
    expect([...server.files].map(([name, content]) => [name, content.toString()])).toEqual([
      ["values_1.csv", "second"],
    ]);
  });

  test("a reply that is lost after renaming leads to the same file again", async () => {
    let isLost = false;
    const { server, deliver } = await start({
      replies: {
        RNTO: (to) => {
          if (isLost) return undefined;
          isLost = true;
          server.files.set(to, server.files.get(hidden)!);
          server.files.delete(hidden);
          return "421 Closing";
        },
      },
    });
    expect(await failureOfDelivery(deliver())).toEqual(["server", "again"]);
    await deliver();
    expect([...server.files.keys()]).toEqual(["values_1.csv"]);
  });

  test.each([
    ["550 Rename failed", "it was made", "permission"],
    ["450 File busy", "it was not made", "server"],
  ])("after %s a file that is there stays, when %s", async (reply, made, reason) => {
    const { server, deliver } = await start({
      replies: {
        RNTO: (to) => {
          if (made === "it was made") {
            server.files.set(to, server.files.get(hidden)!);
            server.files.delete(hidden);
          }
          return reply;
        },
      },
    });
    server.files.set("values_1.csv", Buffer.from("before"));
    expect((await failureOfDelivery(deliver("after")))[0]).toBe(reason);
    const left = made === "it was made" ? "after" : "before";
    expect([...server.files]).toEqual([["values_1.csv", Buffer.from(left)]]);
  });

  test("a server that reads nothing is given up", async () => {
    const { server, deliver } = await start({ mute: true });
    const failure = failureOfDelivery(deliver(8_000_000, AbortSignal.timeout(200)));
    expect(await failure).toEqual(["no_connection", "again"]);
    expect([...server.files.keys()]).toEqual([]);
  });

  test("what a server repeats of the password is not told", async () => {
    const { deliver } = await start({ replies: { PASS: (password) => `530 wrong password ${password}` } });
    const failure = await thrown(deliver());
    expect(failure.inner).toBe("530 wrong password ********");
    expect(JSON.stringify([failure.message, failure.stack, failure.cause])).not.toContain(login.password);
  });

  test("a data connection to an own service is not opened", async () => {
    const { deliver } = await start({ passive: () => "(|||0|)" });
    expect((await failureOfDelivery(deliver()))[0]).toBe("no_connection");
  });
});
