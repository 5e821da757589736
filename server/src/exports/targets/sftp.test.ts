import { readFileSync } from "node:fs";
import { join } from "node:path";
import { afterAll, afterEach, beforeAll, describe, expect, test } from "vitest";
import { login } from "../../../../test/harness/servers/ftp.ts";
import { type OpenSsh, openSsh } from "../../../../test/harness/servers/openssh.ts";
import {
  makeSshKey,
  type SftpFaults,
  type SftpServer,
  sftpServer,
} from "../../../../test/harness/servers/sftp.ts";
import { testTarget } from "./all.ts";
import { failureOfDelivery, filesIn, send, targetOf, thrown, type World, world } from "./harness.ts";

const real = await openSsh();
afterAll(() => real?.close());

describe.skipIf(real === null)("SFTP against OpenSSH", () => {
  const { port, username, privateKey, lockedKey, passphrase, fingerprint, folder } = real ?? ({} as OpenSsh);
  const sftp = (more: object = {}) => ({
    sftp: { host: "files.test", port, username, private_key: privateKey, path: folder, ...more },
  });
  let place: World;
  beforeAll(() => {
    place = world();
  });
  afterAll(() => place.close());

  test("a file arrives whole, and the host key is learnt as OpenSSH prints it", async () => {
    const file = place.file(300_000, { name: "day=1/values.csv" });
    expect(await send(place, sftp(), { file })).toEqual({ host_key: fingerprint });
    expect(Object.keys(filesIn(folder))).toEqual(["day=1/values.csv"]);
    expect(readFileSync(join(folder, "day=1/values.csv")).equals(readFileSync(file.path))).toBe(true);
    expect(await send(place, sftp({ host_key: fingerprint }), { file })).toEqual({});
  });

  test("the next attempt replaces what is there", async () => {
    await send(place, sftp(), { file: place.file("old and longer", { name: "again.csv" }) });
    await send(place, sftp(), { file: place.file("new", { name: "again.csv" }) });
    const files = filesIn(folder);
    expect(files["again.csv"]).toBe("new");
    expect(Object.keys(files).filter((name) => name.includes(".part"))).toEqual([]);
  });

  test("a key behind a passphrase opens with it, and not without", async () => {
    const file = place.file("x", { name: "key.csv" });
    await send(place, sftp({ private_key: lockedKey, passphrase }), { file });
    const wrong = sftp({ private_key: lockedKey, passphrase: "wrong passphrase" });
    expect(await failureOfDelivery(send(place, wrong, { file }))).toEqual(["login", "stop"]);
    const stranger = sftp({ private_key: makeSshKey().private });
    expect(await failureOfDelivery(send(place, stranger, { file }))).toEqual(["login", "stop"]);
  });

  test("another host key than before stops before the login", async () => {
    const changed = sftp({ host_key: `SHA256:${"A".repeat(43)}` });
    const failure = await thrown(send(place, changed, { file: place.file("x") }));
    expect([failure.reason, failure.retry]).toEqual(["certificate", "stop"]);
    expect(failure.inner).toContain(fingerprint);
  });

  test("folders that are not there, and a test that leaves nothing behind", async () => {
    const nowhere = sftp({ path: `${folder}/nowhere` });
    expect(await failureOfDelivery(send(place, nowhere, { file: place.file("x") }))).toEqual([
      "permission",
      "stop",
    ]);
    const before = Object.keys(filesIn(folder));
    const options = { deps: place.deps, id: "1", stepMs: 1 };
    expect(await testTarget(targetOf(sftp()), options)).toEqual({ host_key: fingerprint });
    expect((await thrown(testTarget(targetOf(nowhere), options))).reason).toBe("permission");
    expect(Object.keys(filesIn(folder))).toEqual(before);
  });
});

describe("SFTP with faults", () => {
  let place: World;
  const servers: SftpServer[] = [];
  const start = async (faults: SftpFaults = {}) => {
    const server = await sftpServer(faults);
    servers.push(server);
    const sftp = { host: "files.test", port: server.port, ...login };
    return {
      server,
      deliver: (content: string | number = "value", signal?: AbortSignal) =>
        send(place, { sftp }, { file: place.file(content), ...(signal === undefined ? {} : { signal }) }),
    };
  };
  beforeAll(() => {
    place = world();
  });
  afterEach(async () => {
    for (const server of servers.splice(0)) await server.close();
  });
  afterAll(() => place.close());

  test("a password lets in, and a server without extensions is enough", async () => {
    const { server, deliver } = await start();
    await deliver("first");
    await deliver("second");
    expect(filesIn(server.root)).toEqual({ "values_1.csv": "second" });
  });

  test("a wrong password is told", async () => {
    const { server } = await start();
    const sftp = { host: "files.test", port: server.port, ...login, password: "wrong" };
    expect(await failureOfDelivery(send(place, { sftp }, { file: place.file("x") }))).toEqual([
      "login",
      "stop",
    ]);
  });

  test.each<[string, SftpFaults, string, string]>([
    ["the disk is full", { write: { status: 4, text: "No space left on device" } }, "full", "again"],
    ["writing fails", { write: { status: 4, text: "Failure" } }, "server", "again"],
    ["writing is not allowed", { write: { status: 3, text: "Permission denied" } }, "permission", "stop"],
    ["the connection is cut", { dropAfter: 100_000 }, "no_connection", "again"],
    ["renaming fails", { rename: "never" }, "server", "again"],
  ])("when %s nothing is left behind", async (_, faults, reason, retry) => {
    const { server, deliver } = await start(faults);
    expect(await failureOfDelivery(deliver(300_000))).toEqual([reason, retry]);
    expect(filesIn(server.root)).toEqual({});
  });

  test("servers that do not replace are helped", async () => {
    const { server, deliver } = await start({ rename: "no-replace" });
    await deliver("first");
    await deliver("second");
    expect(filesIn(server.root)).toEqual({ "values_1.csv": "second" });
  });

  test("a server that confirms nothing is given up", async () => {
    const { server, deliver } = await start({ mute: true });
    const failure = failureOfDelivery(deliver(300_000, AbortSignal.timeout(300)));
    expect(await failure).toEqual(["no_connection", "again"]);
    expect(filesIn(server.root)).toEqual({});
  });

  test("the key of a host is held until somebody lets it go", async () => {
    const key = makeSshKey().private;
    const { server } = await start({ hostKey: key });
    const body = (port: number, host_key: string | null) => ({
      sftp: { host: "files.test", port, ...login, host_key },
    });
    const file = place.file("x");
    const learnt = (await send(place, body(server.port, null), { file })) as { host_key: string };
    const { server: same } = await start({ hostKey: key });
    expect(await send(place, body(same.port, learnt.host_key), { file })).toEqual({});
    const { server: other } = await start();
    expect(await failureOfDelivery(send(place, body(other.port, learnt.host_key), { file }))).toEqual([
      "certificate",
      "stop",
    ]);
    expect(filesIn(other.root)).toEqual({});
    const anew = (await send(place, body(other.port, null), { file })) as { host_key: string };
    expect(anew.host_key).not.toBe(learnt.host_key);
  });
});
