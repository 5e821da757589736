import { once } from "node:events";
import { type AddressInfo, connect } from "node:net";
import { buffer, text } from "node:stream/consumers";
import { afterAll, beforeAll, expect, test } from "vitest";
import { z } from "zod";
import { type TestApi, testApi } from "../../../../test/harness/api.ts";
import { endpoint } from "./endpoint.ts";

const seen: string[] = [];
let api: TestApi;

beforeAll(async () => {
  const upload = { access: "public", bodyKind: "multipart", reply: z.any(), summary: "Takes files" } as const;
  api = await testApi({
    withoutDatabase: true,
    settings: { uploadBytesMax: 100_000 },
    endpoints: [
      endpoint({
        ...upload,
        method: "POST",
        path: "/uploads",
        async handle({ parts }) {
          const list: unknown[] = [];
          for await (const part of parts) {
            seen.push(part.name);
            if (part.kind === "field") list.push([part.name, part.value]);
            else list.push([part.name, part.fileName, (await buffer(part.stream)).length]);
          }
          return list;
        },
      }),
      endpoint({
        ...upload,
        method: "POST",
        path: "/first",
        async handle({ parts }) {
          for await (const part of parts) {
            if (part.kind !== "file") continue;
            // Whoever reads only one file and trusts its stream must see that it was cut off.
            return await text(part.stream).then(
              (all) => `whole ${all.length}`,
              (error: Error) => `broken: ${error.message}`,
            );
          }
          return "none";
        },
      }),
      endpoint({ ...upload, method: "POST", path: "/unread", handle: () => "not looked at" }),
      endpoint({
        ...upload,
        method: "POST",
        path: "/abort",
        async handle({ parts }) {
          for await (const part of parts) {
            if (part.kind === "file")
              await text(part.stream).catch((error: Error) => seen.push(`abort: ${error.message}`));
          }
        },
      }),
    ],
  });
});
afterAll(() => api.close());

interface Field {
  name: string;
  value: string;
  fileName?: string;
}

function form(fields: Field[]): { body: Buffer; headers: Record<string, string> } {
  const parts = fields.map(({ name, value, fileName }) => {
    const file =
      fileName === undefined ? "" : `; filename="${fileName}"\r\nContent-Type: application/octet-stream`;
    return `--xyz\r\nContent-Disposition: form-data; name="${name}"${file}\r\n\r\n${value}\r\n`;
  });
  return {
    body: Buffer.from(`${parts.join("")}--xyz--\r\n`),
    headers: { "content-type": "multipart/form-data; boundary=xyz" },
  };
}

const send = (path: string, fields: Field[]) => api.call("POST", path, form(fields));

test("fields and files come in order", async () => {
  const answer = await send("/uploads", [
    { name: "dry_run", value: "true" },
    { name: "file", value: "a;b\r\n1;2", fileName: "values.csv" },
    { name: "mapping", value: "ä" },
    { name: "file", value: "", fileName: "empty.csv" },
  ]);
  expect(answer.json.data).toEqual([
    ["dry_run", "true"],
    ["file", "values.csv", 8],
    ["mapping", "ä"],
    ["file", "empty.csv", 0],
  ]);
});

test("an empty form is a form without parts", async () => {
  expect((await send("/uploads", [])).json.data).toEqual([]);
});

test("a file of the largest size passes, one byte more does not", async () => {
  const file = (size: number) => [{ name: "file", value: "x".repeat(size), fileName: "f" }];
  expect((await send("/uploads", file(99_999))).json.data).toEqual([["file", "f", 99_999]]);
  const large = await send("/uploads", file(100_001));
  expect(large.json).toMatchObject({ code: 413, message: "The file is larger than this server takes" });
});

test("a file that is too large never looks whole to its reader", async () => {
  const answer = await send("/first", [{ name: "file", value: "x".repeat(300_000), fileName: "f" }]);
  expect(answer.json.data).toBe("broken: The file is larger than this server takes");
});

test.each([
  ["fields", Array.from({ length: 101 }, (_, i) => ({ name: `f${i}`, value: "" })), 413],
  ["files", Array.from({ length: 101 }, (_, i) => ({ name: `f${i}`, value: "", fileName: "f" })), 413],
  ["a field", [{ name: "f", value: "x".repeat(70_000) }], 413],
  ["a prototype", [{ name: "__proto__", value: "x" }], 400],
])("limits: %s", async (_name, fields, status) => {
  const answer = await send("/uploads", fields);
  expect(answer.json.code).toBe(status);
});

test.each([
  ["no boundary", "multipart/form-data", 400],
  ["another boundary", "multipart/form-data; boundary=other", 400],
  ["JSON", "application/json", 415],
])("a body that is no form: %s", async (_name, type, status) => {
  const { body } = form([{ name: "a", value: "b" }]);
  const answer = await api.call("POST", "/uploads", { body, headers: { "content-type": type } });
  expect(answer.json.code).toBe(status);
});

test("a form that is cut off is refused", async () => {
  const { body, headers } = form([{ name: "file", value: "x".repeat(1_000), fileName: "f" }]);
  const answer = await api.call("POST", "/uploads", { body: body.subarray(0, 500), headers });
  expect(answer.json).toMatchObject({ code: 400, message: "The form is cut off or malformed" });
});

test("an upload that nobody reads is answered", async () => {
  expect(
    (await send("/unread", [{ name: "file", value: "x".repeat(90_000), fileName: "f" }])).json.data,
  ).toBe("not looked at");
});

test("an upload that is given up ends with an error at its reader", async () => {
  await api.server.listen({ host: "127.0.0.1", port: 0 });
  const { port } = api.server.server.address() as AddressInfo;
  const { body } = form([{ name: "gone", value: "x".repeat(50_000), fileName: "f" }]);
  const socket = connect(port, "127.0.0.1");
  socket.write(
    `POST /api/v2/abort HTTP/1.1\r\nHost: x\r\nContent-Type: multipart/form-data; boundary=xyz\r\nContent-Length: ${body.length}\r\n\r\n`,
  );
  socket.write(body.subarray(0, 40_000));
  const [connection] = await Promise.all([once(api.server.server, "request")]);
  expect(connection).toBeDefined();
  socket.destroy();
  await expect.poll(() => seen.filter((entry) => entry.startsWith("abort: "))).toHaveLength(1);
});
