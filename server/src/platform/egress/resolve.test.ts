import { createSocket, type Socket } from "node:dgram";
import { readFile } from "node:fs/promises";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { EgressFailure } from "./failure.ts";
import { dnsResolver } from "./resolve.ts";

const ipv4 = (text: string) => Buffer.from(text.split(".").map(Number));
const ipv6 = Buffer.from("20014860486000000000000000008888", "hex");
const [typeA, typeAaaa] = [1, 28];

/** What the name server knows; names that begin with `slow` get no answer. */
const records: Readonly<Record<string, { type: number; bytes: Buffer }[]>> = {
  "both.test": [
    { type: typeA, bytes: ipv4("192.0.2.1") },
    { type: typeA, bytes: ipv4("192.0.2.2") },
    { type: typeAaaa, bytes: ipv6 },
  ],
  "six.test": [{ type: typeAaaa, bytes: ipv6 }],
};

/** Answers one question of the DNS (RFC 1035 section 4). */
function answerTo(question: Buffer): Buffer | undefined {
  const labels: string[] = [];
  let at = 12;
  for (let length = question[at]!; length > 0; length = question[at]!) {
    labels.push(question.toString("latin1", at + 1, at + 1 + length));
    at += length + 1;
  }
  const name = labels.join(".").toLowerCase();
  if (name.startsWith("slow")) return undefined;
  const type = question.readUInt16BE(at + 1);
  const known = records[name];
  const found = known?.filter((record) => record.type === type) ?? [];
  const head = Buffer.alloc(12);
  question.copy(head, 0, 0, 2);
  head.writeUInt16BE(known === undefined ? 0x8183 : 0x8180, 2);
  head.writeUInt16BE(1, 4);
  head.writeUInt16BE(found.length, 6);
  const answers = found.map(({ bytes }) => {
    const start = Buffer.alloc(12);
    start.writeUInt16BE(0xc00c, 0);
    start.writeUInt16BE(type, 2);
    start.writeUInt16BE(1, 4);
    start.writeUInt16BE(bytes.length, 10);
    return Buffer.concat([start, bytes]);
  });
  return Buffer.concat([head, question.subarray(12, at + 5), ...answers]);
}

describe("names", () => {
  let server: Socket;
  let asked = 0;
  let servers: string[];

  beforeAll(async () => {
    server = createSocket("udp4");
    server.on("message", (message, from) => {
      asked++;
      const answer = answerTo(message);
      if (answer !== undefined) server.send(answer, from.port, from.address);
    });
    await new Promise<void>((resolve) => server.bind(0, "127.0.0.1", resolve));
    servers = [`127.0.0.1:${server.address().port}`];
  });
  afterAll(() => new Promise<void>((resolve) => server.close(resolve)));

  test("have all their addresses, also those with IPv6 alone", async () => {
    const resolve = dnsResolver({ hasLocalNames: false, servers });
    expect(await resolve("both.test")).toEqual(["192.0.2.1", "192.0.2.2", "2001:4860:4860::8888"]);
    expect(await resolve("six.test")).toEqual(["2001:4860:4860::8888"]);
  });

  test("that nobody knows are told, and local ones are found only when they may be", async () => {
    const resolve = dnsResolver({ hasLocalNames: false, servers });
    for (const name of ["nowhere.test", "localhost"]) {
      const error = await resolve(name).catch((reason: unknown) => reason);
      expect(error).toMatchObject({ reason: "name_not_found" });
    }
    const local = dnsResolver({ hasLocalNames: true, servers });
    expect(["127.0.0.1", "::1"]).toContain((await local("localhost"))[0]);
    await expect(local("nowhere.test")).rejects.toBeInstanceOf(EgressFailure);
  });

  test("that are slow hold no thread, and are given up", async () => {
    const resolve = dnsResolver({ hasLocalNames: true, servers, timeoutMs: 250 });
    const before = asked;
    const done: string[] = [];
    // Node has four threads for files and for getaddrinfo.
    const slow = Array.from({ length: 40 }, (_, i) =>
      resolve(`slow${i}.test`).catch((error: EgressFailure) => done.push(error.reason)),
    );
    await readFile(new URL(import.meta.url));
    done.push("read");
    await Promise.all(slow);
    expect(done).toEqual(["read", ...Array(40).fill("name_not_found")]);
    expect(asked).toBeGreaterThan(before);
  });
});
