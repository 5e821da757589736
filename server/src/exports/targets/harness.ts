import { mkdtempSync, readdirSync, readFileSync, rmSync, statSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { testClock, testSettings } from "../../../../test/harness/api.ts";
import { EgressFailure, type EgressReason, makeEgress, type Retry } from "../../platform/egress/egress.ts";
import { type DeliveryFile, deliver, type Target, type TargetDeps, targetSchema } from "./all.ts";

/** Files to deliver and what delivers them. */
export interface World {
  deps: TargetDeps;
  /** A file of `bytes` random-looking bytes, or with a text. */
  file(content: string | number, options?: Partial<DeliveryFile>): DeliveryFile;
  close(): Promise<void>;
}

/** The id of the deliveries of tests. */
export const deliveryId = "5d1c9f2a8b3e4c0017a6d2f1";

/** Deliveries to this machine; names below `.test` are this machine too. */
export function world(options: { ca?: string; smtpUrl?: string } = {}): World {
  const folder = mkdtempSync(join(tmpdir(), "metertree-targets-"));
  const egress = makeEgress({
    allow: ["127.0.0.1"],
    resolve: async (name) => [name === "inside.test" ? "127.0.0.2" : "127.0.0.1"],
    ...(options.ca === undefined ? {} : { ca: [options.ca] }),
  });
  let count = 0;
  return {
    deps: {
      egress,
      clock: testClock(),
      settings: { ...testSettings, smtpUrl: options.smtpUrl ?? null, smtpFrom: "Meters <meters@files.test>" },
    },
    file(content, given = {}) {
      const bytes = typeof content === "string" ? Buffer.from(content) : patterned(content);
      const path = join(folder, String(count++));
      writeFileSync(path, bytes);
      return { name: "values_1.csv", path, bytes: bytes.length, type: "text/csv", id: deliveryId, ...given };
    },
    async close() {
      await egress.close();
      rmSync(folder, { recursive: true, force: true });
    },
  };
}

function patterned(bytes: number): Buffer {
  const content = Buffer.alloc(bytes);
  for (let i = 0; i < bytes; i++) content[i] = (i * 31 + (i >> 8) * 7) & 255;
  return content;
}

/** A target as a client writes it. */
export function targetOf(body: object): Target {
  return targetSchema.parse(body);
}

/** The failure of a delivery, as `[reason, retry]`; fails the test when the delivery succeeds. */
export async function failureOfDelivery(work: Promise<unknown>): Promise<[EgressReason, Retry]> {
  const { reason, retry } = await thrown(work);
  return [reason, retry];
}

/** The `EgressFailure` that `work` ends with. */
export async function thrown(work: Promise<unknown>): Promise<EgressFailure> {
  const error = await work.then(
    () => new Error("it succeeded"),
    (reason: unknown) => reason,
  );
  if (error instanceof EgressFailure) return error;
  throw error;
}

/** Delivers to a target written as a body. */
export function send(
  { deps }: World,
  body: object,
  { file, signal }: { file: DeliveryFile; signal?: AbortSignal },
): Promise<object> {
  return deliver(targetOf(body), { deps, file, ...(signal === undefined ? {} : { signal }) });
}

/** Files below `root` by path, as text. */
export function filesIn(root: string): Record<string, string> {
  const names = readdirSync(root, { recursive: true, encoding: "utf8" });
  const files = names.filter((name) => statSync(join(root, name)).isFile()).sort();
  return Object.fromEntries(files.map((name) => [name, readFileSync(join(root, name), "latin1")]));
}
