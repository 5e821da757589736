import { readFileSync } from "node:fs";
import { BlobServiceClient, StorageSharedKeyCredential } from "@azure/storage-blob";
import { afterAll, afterEach, beforeAll, describe, expect, test } from "vitest";
import { type AzureServer, azureLogin, azureServer } from "../../../../test/harness/servers/azure.ts";
import { type Answer, type HttpServer, httpServer } from "../../../../test/harness/servers/http.ts";
import { type S3Server, s3Login, s3Server } from "../../../../test/harness/servers/s3.ts";
import { listener } from "../../platform/egress/harness.ts";
import { testTarget } from "./all.ts";
import { failureOfDelivery, filesIn, send, targetOf, thrown, type World, world } from "./harness.ts";

let place: World;
const faulty: HttpServer[] = [];
const failing = async (answer: Answer) => {
  const server = await httpServer({ answer });
  faulty.push(server);
  return { server, endpoint: `http://127.0.0.1:${server.port}` };
};
beforeAll(() => {
  place = world();
});
afterEach(async () => {
  for (const server of faulty.splice(0)) await server.close();
});
afterAll(() => place.close());

describe("S3", () => {
  let server: S3Server;
  const s3 = (more: object = {}) => ({
    aws_s3: { bucket: server.bucket, endpoint: server.endpoint, ...s3Login, ...more },
  });
  beforeAll(async () => {
    server = await s3Server();
  });
  afterAll(() => server.close());

  test("a file becomes an object, again and again the same one", async () => {
    const file = place.file(300_000, {
      name: "year=2026/a b.parquet",
      type: "application/vnd.apache.parquet",
    });
    await send(place, s3({ path: "/meters/daily" }), { file });
    await send(place, s3({ path: "/meters/daily" }), { file });
    const objects = Object.entries(filesIn(server.root)).filter(([name]) => name.endsWith("_object"));
    expect(objects.map(([name]) => name)).toEqual([
      expect.stringMatching(/^meter-files\/meters\/daily\/year=2026\/a b\.parquet.*_object$/),
    ]);
    expect(objects[0]![1]).toBe(readFileSync(file.path, "latin1"));
  });

  test("a test makes no object", async () => {
    const before = Object.keys(filesIn(server.root)).filter((name) => name.endsWith("_object"));
    await testTarget(targetOf(s3()), { deps: place.deps, id: "1", stepMs: 1 });
    expect(Object.keys(filesIn(server.root)).filter((name) => name.endsWith("_object"))).toEqual(before);
  });

  test.each([
    [{ access_key_id: "stranger" }, "login", "stop"],
    [{ bucket: "not-there" }, "permission", "stop"],
  ])("with %o the reason is told", async (more, reason, retry) => {
    const file = place.file("x");
    expect(await failureOfDelivery(send(place, s3(more), { file }))).toEqual([reason, retry]);
    const tested = testTarget(targetOf(s3(more)), { deps: place.deps, id: "1", stepMs: 1 });
    expect((await thrown(tested)).reason).toBe(reason);
  });

  const xml = (code: string) =>
    `<?xml version="1.0"?><Error><Code>${code}</Code><Message>m</Message></Error>`;
  test.each([
    [503, "SlowDown", "server", "again"],
    [500, "InternalError", "server", "again"],
    [403, "AccessDenied", "permission", "stop"],
    // s3rver does not check signatures.
    [403, "SignatureDoesNotMatch", "login", "stop"],
    [507, "XMinioStorageFull", "full", "again"],
    [400, "EntityTooLarge", "too_large", "stop"],
  ])("HTTP %i %s is told, after one attempt", async (status, code, reason, retry) => {
    const { server, endpoint } = await failing((_, response) => response.writeHead(status).end(xml(code)));
    const failure = failureOfDelivery(send(place, s3({ endpoint }), { file: place.file("x") }));
    expect(await failure).toEqual([reason, retry]);
    expect(server.received).toHaveLength(1);
  });

  test("no answer after storing is a failure to repeat", async () => {
    const controller = new AbortController();
    const { signal } = controller;
    const { server, endpoint } = await failing(() => controller.abort());
    const failure = failureOfDelivery(send(place, s3({ endpoint }), { file: place.file("x"), signal }));
    expect(await failure).toEqual(["no_connection", "again"]);
    expect(server.received).toHaveLength(1);
  });

  test("an answer without end is not read to it", async () => {
    const { endpoint } = await failing((_, response) => {
      response.writeHead(500);
      const more = () => void (response.writable && response.write(Buffer.alloc(500_000, "x"), more));
      more();
    });
    const failure = failureOfDelivery(send(place, s3({ endpoint }), { file: place.file("x") }));
    expect(await failure).toEqual(["too_large", "stop"]);
  });

  test("the region of the bucket is learnt", async () => {
    const { server, endpoint } = await failing((request, response) => {
      const isRight = request.headers.authorization?.includes("/eu-north-1/s3/") === true;
      const region = { "x-amz-bucket-region": "eu-north-1" };
      if (isRight) response.end();
      else response.writeHead(301, region).end(xml("PermanentRedirect"));
    });
    const file = place.file("whole");
    expect(await send(place, s3({ endpoint }), { file })).toEqual({ region: "eu-north-1" });
    expect(await send(place, s3({ endpoint, region: "eu-north-1" }), { file })).toEqual({});
    expect(server.received.map(({ body }) => body.toString())).toEqual(["whole", "whole", "whole"]);
  });

  test("an endpoint with a private address is not reached", async () => {
    const inside = await listener("127.0.0.2");
    const file = place.file("x");
    for (const host of ["127.0.0.2", "inside.test", "0x7f.0.0.2"]) {
      const endpoint = `http://${host}:${inside.port}`;
      expect((await failureOfDelivery(send(place, s3({ endpoint }), { file })))[0]).toBe("address_refused");
    }
    expect(inside.count()).toBe(0);
    await inside.close();
  });
});

describe("Azure Blob Storage", () => {
  let server: AzureServer;
  let service: BlobServiceClient;
  const azure = (more: object = {}) => ({
    azure_blob_storage: { container: "meters", endpoint: server.endpoint, ...azureLogin, ...more },
  });
  beforeAll(async () => {
    server = await azureServer();
    const key = new StorageSharedKeyCredential(azureLogin.account_name, azureLogin.account_key);
    service = new BlobServiceClient(server.endpoint, key);
    await service.createContainer("meters");
  });
  afterAll(() => server.close());

  const names = async () => {
    const found: string[] = [];
    const container = service.getContainerClient("meters");
    for await (const blob of container.listBlobsFlat({ includeUncommitedBlobs: true })) found.push(blob.name);
    return found;
  };

  test("a file becomes a blob below the container, again and again the same one", async () => {
    const file = place.file(9_000_000, { name: "a b.csv" });
    await send(place, azure({ container: "meters/daily/raw" }), { file });
    await send(place, azure({ container: "/meters/daily/raw/" }), { file });
    expect(await names()).toEqual(["daily/raw/a b.csv"]);
    const blob = service.getContainerClient("meters").getBlobClient("daily/raw/a b.csv");
    expect((await blob.downloadToBuffer()).equals(readFileSync(file.path))).toBe(true);
    expect((await blob.getProperties()).contentType).toBe("text/csv");
  });

  test("a test makes no blob", async () => {
    const before = await names();
    await testTarget(targetOf(azure()), { deps: place.deps, id: "1", stepMs: 1 });
    expect(await names()).toEqual(before);
  });

  test.each([
    // The word of Azurite; Azure says AuthenticationFailed.
    [{ account_key: Buffer.alloc(64, 1).toString("base64") }, "permission", "stop"],
    [{ container: "not-there" }, "permission", "stop"],
  ])("with %o the reason is told", async (more, reason, retry) => {
    const file = place.file("x");
    expect(await failureOfDelivery(send(place, azure(more), { file }))).toEqual([reason, retry]);
    const tested = testTarget(targetOf(azure(more)), { deps: place.deps, id: "1", stepMs: 1 });
    expect((await thrown(tested)).reason).toBe(reason);
  });

  test("a blob that somebody leased is tried again", async () => {
    const blob = service.getContainerClient("meters").getBlockBlobClient("leased.csv");
    await blob.upload("old", 3);
    await blob.getBlobLeaseClient().acquireLease(-1);
    const failure = failureOfDelivery(
      send(place, azure(), { file: place.file("x", { name: "leased.csv" }) }),
    );
    expect(await failure).toEqual(["server", "again"]);
  });

  test.each([
    [500, "InternalError", "server", "again"],
    [503, "ServerBusy", "server", "again"],
    [403, "AuthenticationFailed", "login", "stop"],
    [403, "AccountIsDisabled", "permission", "stop"],
    [413, "RequestBodyTooLarge", "too_large", "stop"],
  ])("HTTP %i %s is told, after one attempt", async (status, code, reason, retry) => {
    const { server, endpoint } = await failing((_, response) =>
      response.writeHead(status, { "x-ms-error-code": code }).end(),
    );
    const failure = failureOfDelivery(send(place, azure({ endpoint }), { file: place.file("x") }));
    expect(await failure).toEqual([reason, retry]);
    expect(server.received).toHaveLength(1);
  });

  test("no answer after storing is a failure to repeat", async () => {
    const controller = new AbortController();
    const { signal } = controller;
    const { endpoint } = await failing(() => controller.abort());
    const failure = failureOfDelivery(send(place, azure({ endpoint }), { file: place.file("x"), signal }));
    expect(await failure).toEqual(["no_connection", "again"]);
  });

  test("an answer without end is not read to it", async () => {
    const { endpoint } = await failing((_, response) => {
      response.writeHead(500);
      const more = () => void (response.writable && response.write(Buffer.alloc(500_000, "x"), more));
      more();
    });
    const failure = failureOfDelivery(send(place, azure({ endpoint }), { file: place.file("x") }));
    expect(await failure).toEqual(["too_large", "stop"]);
  });

  test("neither an endpoint nor a redirect leads to a private address", async () => {
    const inside = await listener("127.0.0.2");
    const location = `http://127.0.0.2:${inside.port}/`;
    const { endpoint: redirecting } = await failing((_, response) =>
      response.writeHead(307, { location }).end(),
    );
    for (const endpoint of [`http://127.0.0.2:${inside.port}`, redirecting]) {
      const failure = await thrown(send(place, azure({ endpoint }), { file: place.file("x") }));
      expect(["address_refused", "other"]).toContain(failure.reason);
    }
    expect(inside.count()).toBe(0);
    await inside.close();
  });
});
