import { get } from "node:http";
import type { Socket } from "node:net";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import {
  type Egress,
  type EgressFailure,
  egressReasons,
  failureOf,
  failureOfStatus,
  makeEgress,
} from "./egress.ts";
import { type Listener, listener, refusedAddresses, spellings } from "./harness.ts";

/** Every way out, as `what a protocol does` with a host and a port. */
const ways: Readonly<Record<string, (egress: Egress, host: string, port: number) => Promise<unknown>>> = {
  connect: (egress, host, port) => egress.connect({ host, port, timeoutMs: 2_000 }),
  connectTls: (egress, host, port) => egress.connectTls({ host, port, timeoutMs: 2_000 }),
  request: (egress, host, port) => egress.request(`http://${inUrl(host)}:${port}/`, { timeoutMs: 2_000 }),
  agent: (egress, host, port) =>
    new Promise((resolve, reject) => {
      const agents = egress.agents();
      get({ host, port, agent: agents.http, timeout: 2_000 }, resolve)
        .on("error", reject)
        .on("close", () => agents.close());
    }),
};
const inUrl = (host: string) => (host.includes(":") && !host.startsWith("[") ? `[${host}]` : host);

async function failure(work: Promise<unknown>): Promise<EgressFailure> {
  const error = await work.then(
    () => undefined,
    (reason: unknown) => reason,
  );
  expect(error).toBeInstanceOf(Error);
  return failureOf(error);
}

const hello = (socket: Socket) =>
  void socket.once("data", () => socket.end("HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nhi"));

describe("the way out", () => {
  let allowed: Listener;
  let forbidden: Listener;
  let ipv6: Listener | undefined;

  beforeAll(async () => {
    allowed = await listener("127.0.0.1", { talk: hello });
    forbidden = await listener("127.0.0.2", { port: allowed.port, talk: hello });
    ipv6 = await listener("::1", { port: allowed.port, talk: hello }).catch(() => undefined);
  });
  afterAll(async () => {
    await Promise.all([allowed.close(), forbidden.close(), ipv6?.close()]);
  });

  test("no way reaches an address that is not public, however its name resolves to it", async () => {
    const before = [allowed.count(), forbidden.count(), ipv6?.count()];
    for (const address of refusedAddresses) {
      const egress = makeEgress({ allow: [], resolve: async () => [address] });
      for (const [name, way] of Object.entries(ways)) {
        const { reason, retry } = await failure(way(egress, "files.example", allowed.port));
        expect([name, address, reason, retry]).toEqual([name, address, "address_refused", "stop"]);
      }
    }
    expect([allowed.count(), forbidden.count(), ipv6?.count()]).toEqual(before);
  });

  test("nor when the address itself is typed, in any spelling", async () => {
    const before = [allowed.count(), forbidden.count(), ipv6?.count()];
    const asked: string[] = [];
    const egress = makeEgress({
      allow: [],
      resolve: async (name) => {
        asked.push(name);
        return ["127.0.0.1"];
      },
    });
    const bracketed = refusedAddresses.filter((each) => each.includes(":")).map((each) => `[${each}]`);
    const names = ["localhost", "localhost.", "LOCALHOST", "ip6-localhost"];
    const typed = [...spellings, ...refusedAddresses, ...bracketed, ...names];
    expect(typed.length).toBeGreaterThan(200);
    for (const host of typed) {
      for (const [name, way] of Object.entries(ways)) {
        const { reason } = await failure(way(egress, host, allowed.port));
        // Node itself refuses to send some as a header, which is "other".
        const isGood = ["address_refused", "name_not_found", "other"].includes(reason);
        expect([name, host, isGood ? "not reached" : reason]).toEqual([name, host, "not reached"]);
      }
    }
    expect([allowed.count(), forbidden.count(), ipv6?.count()]).toEqual(before);
    // Only names are looked up: an address in disguise is seen through before.
    expect([...new Set(asked)].sort()).toEqual(["ip6-localhost", "localhost"]);
  });

  test("reaches what the operator allows, and only that", async () => {
    const egress = makeEgress({ allow: ["127.0.0.1"] });
    const socket = await egress.connect({ host: "127.0.0.1", port: allowed.port });
    expect(socket.remoteAddress).toBe("127.0.0.1");
    socket.destroy();
    expect((await egress.request(`http://127.0.0.1:${allowed.port}/`)).body.toString()).toBe("hi");
    const before = forbidden.count();
    const { reason } = await failure(egress.connect({ host: "127.0.0.2", port: allowed.port }));
    expect([reason, forbidden.count()]).toEqual(["address_refused", before]);
    await egress.close();
  });

  test("a name that changes its address between question and connection changes nothing", async () => {
    const before = forbidden.count();
    for (const [name, way] of Object.entries(ways)) {
      if (name === "connectTls") continue;
      let asked = 0;
      const resolve = async () => (asked++ === 0 ? ["127.0.0.1"] : ["127.0.0.2"]);
      const egress = makeEgress({ allow: ["127.0.0.1"], resolve });
      const came = await way(egress, "rebind.example", allowed.port);
      if (name === "connect") (came as Socket).destroy();
      expect([name, asked]).toEqual([name, 1]);
      // The name leads to the forbidden address now, and is judged anew.
      expect((await failure(egress.connect({ host: "rebind.example", port: allowed.port }))).reason).toBe(
        "address_refused",
      );
      await egress.close();
    }
    expect(forbidden.count()).toBe(before);
  });

  test("of a name with good and bad addresses only the good ones are tried", async () => {
    const before = forbidden.count();
    const egress = makeEgress({
      allow: ["127.0.0.1"],
      resolve: async () => ["127.0.0.2", "127.0.0.1", "::1"],
    });
    const socket = await egress.connect({ host: "both.example", port: allowed.port });
    expect([socket.remoteAddress, forbidden.count()]).toEqual(["127.0.0.1", before]);
    socket.destroy();
  });

  test("the next address is tried when the first does not answer", async () => {
    const egress = makeEgress({
      allow: ["127.0.0.0/8"],
      resolve: async () => ["127.0.0.3", "127.0.0.4", "127.0.0.1"],
    });
    const socket = await egress.connect({ host: "many.example", port: allowed.port });
    expect(socket.remoteAddress).toBe("127.0.0.1");
    socket.destroy();
  });

  test("the port of our own database is never reached", async () => {
    const egress = makeEgress({ allow: ["127.0.0.0/8"], portsNever: [allowed.port] });
    const before = allowed.count();
    for (const way of Object.values(ways)) {
      expect((await failure(way(egress, "127.0.0.1", allowed.port))).reason).toBe("address_refused");
    }
    expect(allowed.count()).toBe(before);
  });

  test("what the operator configured is reached anywhere", async () => {
    const egress = makeEgress({ allow: [] });
    const socket = await egress.connect({ host: "127.0.0.1", port: allowed.port, isOperators: true });
    expect(socket.remoteAddress).toBe("127.0.0.1");
    socket.destroy();
  });

  test("a closed port and one that never answers look the same", async () => {
    const [free, mute] = await Promise.all([listener("127.0.0.1"), listener("127.0.0.1")]);
    await free.close();
    const egress = makeEgress({ allow: ["127.0.0.0/8"], resolve: () => new Promise(() => undefined) });
    const closed = await failure(egress.connect({ host: "127.0.0.1", port: free.port }));
    const silent = await failure(egress.connectTls({ host: "127.0.0.1", port: mute.port, timeoutMs: 50 }));
    const slowName = await failure(egress.connect({ host: "slow.example", port: 80, timeoutMs: 50 }));
    for (const each of [closed, silent, slowName]) {
      expect([each.message, each.retry]).toEqual([egressReasons.no_connection, "again"]);
    }
    await mute.close();
    for (const port of [0, -1, 65_536, 1.5, Number.NaN]) {
      expect((await failure(egress.connect({ host: "127.0.0.1", port }))).retry).toBe("stop");
    }
  });

  test("a caller that gives up ends the attempt", async () => {
    const egress = makeEgress({ allow: ["127.0.0.1"], resolve: () => new Promise(() => undefined) });
    const controller = new AbortController();
    const attempt = failure(egress.connect({ host: "slow.example", port: 80, signal: controller.signal }));
    controller.abort();
    expect((await attempt).reason).toBe("no_connection");
    const late = failure(
      egress.connect({ host: "127.0.0.1", port: allowed.port, signal: controller.signal }),
    );
    expect((await late).reason).toBe("no_connection");
  });

  test("a name that nobody knows says so", async () => {
    const unknown = async () => {
      throw Object.assign(new Error("queryA ENOTFOUND nowhere.example"), { code: "ENOTFOUND" });
    };
    const egress = makeEgress({ allow: [], resolve: unknown });
    for (const way of Object.values(ways)) {
      expect((await failure(way(egress, "nowhere.example", 80))).reason).toBe("name_not_found");
    }
  });

  test("names of this machine are found when private addresses are allowed", async () => {
    const egress = makeEgress({ allow: ["127.0.0.0/8", "::1/128"] });
    const socket = await egress.connect({ host: "localhost", port: allowed.port });
    expect(["127.0.0.1", "::1"]).toContain(socket.remoteAddress);
    socket.destroy();
  });
});

describe("failures", () => {
  test("are told in ten fixed texts", () => {
    expect(Object.keys(egressReasons).length).toBeLessThanOrEqual(10);
    const secret = failureOf(new Error("530 Login incorrect for user:hunter2"));
    expect(secret.message).toBe(egressReasons.other);
    expect(secret.inner).toContain("hunter2");
  });

  test.each([
    ["ENOTFOUND", "name_not_found"],
    ["ECONNREFUSED", "no_connection"],
    ["ETIMEDOUT", "no_connection"],
    ["CERT_HAS_EXPIRED", "certificate"],
    ["DEPTH_ZERO_SELF_SIGNED_CERT", "certificate"],
    ["ERR_TLS_CERT_ALTNAME_INVALID", "certificate"],
    ["ERR_SSL_WRONG_VERSION_NUMBER", "certificate"],
    ["SOMETHING_ELSE", "server"],
  ])("%s is %s, also inside of other errors", (code, reason) => {
    const error = Object.assign(new Error("x"), { code });
    const wrapped = new Error("outer", { cause: new AggregateError([new Error("first"), error]) });
    expect([failureOf(error, "server").reason, failureOf(wrapped, "server").reason]).toEqual([
      reason,
      reason,
    ]);
  });

  test.each([
    [204, undefined, undefined],
    [301, "other", "again"],
    [401, "login", "stop"],
    [403, "permission", "stop"],
    [404, "permission", "stop"],
    [413, "too_large", "stop"],
    [429, "server", "again"],
    [503, "server", "again"],
    [507, "full", "again"],
  ])("HTTP %i is %s", (status, reason, retry) => {
    const told = failureOfStatus(status, { retryAfter: "7" });
    expect([told?.reason, told?.retry]).toEqual([reason, retry]);
    if (told !== undefined) expect(told.retryAfterSeconds).toBe(7);
    expect(failureOfStatus(status, { retryAfter: "Wed" })?.retryAfterSeconds).toBeUndefined();
  });
});
