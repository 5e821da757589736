import { newAccount, type TestAccount } from "../../../test/harness/accounts.ts";
import type { Answer, TestApi } from "../../../test/harness/api.ts";
import { newMeter } from "../../../test/harness/meters.ts";
import type { Granularity } from "../platform/granularity.ts";
import { ingest, type RootMeter } from "../series/series.ts";

/** An account whose streams a test consumes, and who it is to the API. */
export async function newConsumer(t: TestApi, name: string): Promise<TestAccount> {
  const account = await newAccount(t.deps, { name });
  t.addCaller(name, { accountId: account.id, scopes: new Set(["basic", "write_meters"]) });
  return account;
}

/** A root meter as the store wants it. */
export async function newRoot(
  t: TestApi,
  holder: Pick<TestAccount, "id">,
  timezone = "Etc/GMT-1",
): Promise<RootMeter> {
  const { id, part } = await newMeter(t, holder, { timezone });
  return { id, part, timezone };
}

let documents = 0;

/** Stores values of a meter; NaN removes. */
export async function store(
  t: TestApi,
  meter: RootMeter,
  values: {
    starts: readonly number[];
    values: readonly number[];
    metric?: string;
    granularity?: Granularity;
    currency?: string;
  },
): Promise<void> {
  const { metric = "energy", granularity = "hour", currency = "", starts } = values;
  const run = { meter, metric, granularity, currency, starts, values: values.values };
  await ingest(t.db, [{ document: { source: `document ${++documents}` }, runs: [run] }], t.clock.now());
}

/** A value as a stream gives it. */
export interface Value {
  value: number | null;
  granularity: string;
  metric: string;
  updated: boolean;
  period: string;
  pushed_at: string;
  start: string;
  currency?: string;
}

/** One answer of `consume`. */
export interface Batch {
  offset: number | null;
  resource: string;
  records: {
    meter: { _id: string; ean: string | null; timezone: string; root_id: string };
    values: Value[];
  }[];
}

/** Consumes once. */
export async function consume(t: TestApi, token: string, stream: string, body: object = {}): Promise<Batch> {
  const answer = await t.call("POST", `/streams/${stream}/consume`, { token, body });
  if (answer.status !== 200) throw new Error(`${answer.status}: ${answer.text}`);
  return answer.json.data;
}

/** Everything that a consumer gets until nothing is left, from an offset on. */
export async function drain(
  t: TestApi,
  token: string,
  stream: string,
  { offset = null, limit = 1000 }: { offset?: number | null; limit?: number } = {},
): Promise<{ offset: number | null; batches: Batch[]; values: Value[] }> {
  const batches: Batch[] = [];
  let after = offset;
  for (;;) {
    const batch = await consume(t, token, stream, { offset: after, limit });
    if (batch.records.length === 0) break;
    batches.push(batch);
    after = batch.offset;
  }
  return { offset: after, batches, values: batches.flatMap(valuesOf) };
}

/** All values of a batch. */
export function valuesOf(batch: Batch): Value[] {
  return batch.records.flatMap((record) => record.values);
}

/** Makes a stream; returns its id. */
export async function newStream(t: TestApi, token: string, body: object = {}): Promise<string> {
  const answer: Answer = await t.call("POST", "/streams", {
    token,
    body: { resource: "consumption", ...body },
  });
  if (answer.status !== 200) throw new Error(answer.text);
  return answer.json.data._id;
}

/** Starts of so many hours, epoch ms. */
export function hoursFrom(start: number, count: number): number[] {
  return Array.from({ length: count }, (_, i) => start + i * 3_600_000);
}
