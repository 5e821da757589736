import { afterAll, expect, test } from "vitest";
import { openReceiver } from "../../server/src/webhooks/harness.ts";
import { metertreeJson, type ServerProcess, scratch, server } from "../harness/process.ts";

const folder = scratch();
afterAll(() => folder.remove());
const dataDir = `${folder.path}/data`;
const serve = [
  "serve",
  "--data-dir",
  dataDir,
  "--port",
  "0",
  "--log-level",
  "warn",
  "--egress-allow",
  "127.0.0.1",
];

let token = "";
async function ask(running: ServerProcess, method: string, path: string, body?: object) {
  const answer = await fetch(`${running.url}/api/v2${path}`, {
    method,
    headers: { authorization: `Bearer ${token}`, "content-type": "application/json" },
    ...(body === undefined ? {} : { body: JSON.stringify(body) }),
  });
  // biome-ignore lint/suspicious/noExplicitAny: tests look at whatever came back
  const json = (await answer.json()) as any;
  expect(answer.status, JSON.stringify(json)).toBe(200);
  return json.data;
}

test("a server that is killed while a receiver thinks sends the same delivery again; each event arrives", async () => {
  const receiver = await openReceiver();
  const first = await server(serve);
  const made = await metertreeJson(["account", "create", "--name", "Hooked", "--data-dir", dataDir]);
  const where = ["--account", made._id, "--scopes", "basic,write_meters", "--data-dir", dataDir];
  token = (await metertreeJson(["token", "create", ...where])).token;
  const webhook = await ask(first, "POST", "/webhooks", {
    url: receiver.url,
    events: ["meter.found", "data.new"],
  });
  // It gets the request, and never answers.
  receiver.answers(() => undefined);
  const meter = await ask(first, "POST", "/meters", { type: "electricity", box: "active" });
  await expect.poll(() => receiver.received.length, { timeout: 30_000 }).toBe(1);
  await first.stop("SIGKILL");
  receiver.answers(200);
  const second = await server(serve);
  await expect.poll(() => receiver.received.length, { timeout: 60_000 }).toBe(2);
  const [before, after] = receiver.received;
  expect(after!.headers["webhook-id"]).toBe(before!.headers["webhook-id"]);
  expect(after!.body).toBe(before!.body);
  expect(JSON.parse(after!.body).data.meters).toMatchObject([{ _id: meter._id }]);
  await ask(second, "POST", "/batches", {
    document: { source: "test" },
    runs: [
      {
        meter: meter._id,
        metric: "energy",
        granularity: "hour",
        start: "2026-01-01T00:00:00+0100",
        values: [1, 2],
      },
    ],
  });
  await expect.poll(() => receiver.received.length, { timeout: 30_000 }).toBe(3);
  expect(JSON.parse(receiver.received[2]!.body)).toMatchObject({
    type: "data.new",
    data: { meters: [{ _id: meter._id, series: [{ granularity: "hour", count: 2 }] }] },
  });
  const deliveries = await ask(second, "GET", `/webhooks/${webhook._id}/deliveries?status=delivered`);
  expect(deliveries).toHaveLength(2);
  const metrics = await (await fetch(`${second.url}/metrics`)).text();
  expect(metrics).toMatch(/^metertree_webhook_deliveries\{status="waiting"\} 0$/m);
  expect(metrics).toMatch(/^metertree_webhook_deliveries\{status="failed"\} 0$/m);
  expect(metrics).toMatch(/^metertree_webhook_oldest_seconds 0$/m);
  // Work that goes on all the time holds up no stop, and leaves no error behind.
  const { code, stderr } = await second.stop("SIGTERM");
  expect(code).toBe(0);
  expect(stderr).not.toContain('"level":"error"');
  await receiver.close();
}, 180_000);
