import { createMeters, type MadeMeter, type NewMeter } from "../../server/src/meters/meters.ts";
import type { TestAccount } from "./accounts.ts";
import type { TestApi } from "./api.ts";

/** Makes root meters of an account, as an import does: active, with running external ids, unless told otherwise. */
export async function newMeters(
  { db, clock }: Pick<TestApi, "db" | "clock">,
  holder: Pick<TestAccount, "id">,
  specs: readonly Partial<NewMeter>[],
): Promise<MadeMeter[]> {
  const whole = specs.map(
    (spec): NewMeter => ({ type: "electricity", box: "active", ean: `735${++count}`, ...spec }),
  );
  return db.transaction((tx) =>
    createMeters(tx, { holderId: holder.id, now: clock.now(), actorId: holder.id }, whole),
  );
}

let count = 1_000_000;

/** One root meter. */
export async function newMeter(
  api: Pick<TestApi, "db" | "clock">,
  holder: Pick<TestAccount, "id">,
  spec: Partial<NewMeter> = {},
): Promise<MadeMeter> {
  return (await newMeters(api, holder, [spec]))[0]!;
}
