import { spawn, spawnSync } from "node:child_process";
import { once } from "node:events";
import { mkdtempSync, readFileSync, rmSync, symlinkSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { createInterface } from "node:readline";
import { fileURLToPath } from "node:url";
import { Webhook as Signer } from "standardwebhooks";
import { expect, onTestFinished, test } from "vitest";
import { eventData, eventTypes } from "./event.ts";

/** Docs/webhooks.md: its payloads fit the schemas, and its receivers accept what is signed and nothing else. */
const manual = readFileSync(new URL("../../../docs/webhooks.md", import.meta.url), "utf8");
const blocks = (language: string) =>
  [...manual.matchAll(new RegExp(`\`\`\`${language}\\n([^\`]*)\`\`\``, "g"))].map(([, text]) => text!);

test("every event is described, with a payload that fits its schema to the last member", () => {
  const events = blocks("json").map((text) => JSON.parse(text));
  expect(events.map(({ type }) => type)).toEqual(eventTypes);
  for (const { type, data } of events) {
    const schema = eventData[type as (typeof eventTypes)[number]];
    expect(schema.parse(data)).toEqual(data);
    expect(manual).toContain(`### \`${type}\``);
  }
});

const packages = fileURLToPath(new URL("../../../node_modules", import.meta.url));
const hasPython = spawnSync("python3", ["--version"]).status === 0;
const secret = `whsec_${Buffer.alloc(32, 7).toString("base64")}`;

test.for([
  ["ts", "receiver.mts", [process.execPath]],
  ["python", "receiver.py", ["python3"]],
] as const)(
  "the receiver in %s accepts what is signed, and refuses the rest",
  async ([language, name, [program]], { skip }) => {
    if (language === "python" && !hasPython) skip("there is no Python here");
    const folder = mkdtempSync(join(tmpdir(), "metertree-receiver-"));
    symlinkSync(packages, join(folder, "node_modules"));
    onTestFinished(() => rmSync(folder, { recursive: true }));
    const port = 20_000 + (process.pid % 20_000) + (language === "ts" ? 0 : 1);
    writeFileSync(`${folder}/${name}`, blocks(language)[0]!);
    const child = spawn(program, [`${folder}/${name}`], {
      env: { ...process.env, PORT: String(port), WEBHOOK_SECRET: secret },
      stdio: ["ignore", "pipe", "ignore"],
    });
    onTestFinished(async () => {
      const ended = once(child, "exit");
      if (child.kill()) await ended;
    });
    const lines = createInterface(child.stdout)[Symbol.asyncIterator]();
    const url = `http://127.0.0.1:${port}`;
    await expect.poll(() => statusOf(url, {}, "{}"), { timeout: 20_000 }).toBe(400);
    const body = JSON.stringify({
      type: "test.ping",
      timestamp: "2026-01-15T12:00:00+0000",
      data: { å: "ö" },
    });
    const at = new Date();
    const signed = (when: Date, by = secret) => ({
      "webhook-id": "msg1",
      "webhook-timestamp": String(Math.floor(when.getTime() / 1000)),
      "webhook-signature": `v1,AAAA ${new Signer(by).sign("msg1", when, body)}`,
    });
    expect(await statusOf(url, signed(at), body)).toBe(204);
    expect((await lines.next()).value).toBe("msg1 test.ping");
    expect(await statusOf(url, signed(at), `${body} `)).toBe(400);
    expect(await statusOf(url, { ...signed(at), "webhook-id": "msg2" }, body)).toBe(400);
    expect(await statusOf(url, signed(new Date(at.getTime() - 400_000)), body)).toBe(400);
    expect(await statusOf(url, signed(at, `whsec_${Buffer.alloc(32, 8).toString("base64")}`), body)).toBe(
      400,
    );
  },
);

async function statusOf(url: string, headers: Record<string, string>, body: string): Promise<number> {
  const answer = await fetch(url, { method: "POST", headers, body }).catch(() => undefined);
  return answer?.status ?? 0;
}
