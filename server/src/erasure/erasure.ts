import { removeAccount } from "../accounts/accounts.ts";
import { heldRoots, removeMeters } from "../meters/meters.ts";
import type { Db, Tx } from "../platform/db.ts";
import type { Deps } from "../platform/deps.ts";
import type { JobKind } from "../platform/jobs.ts";
import { eraseMeters } from "../series/series.ts";

/** Meters erased in one transaction: bounds its locks and its work. */
const metersAtOnce = 50;

/** Takes root meters of one part away for good: values, replaced values, statistics, copies and the meters. */
export async function eraseRoots(tx: Tx, part: number, rootIds: readonly string[]): Promise<void> {
  await eraseMeters(tx, part, rootIds);
  await removeMeters(tx, rootIds);
}

/** Erases everything that a deleted account held. Safe to repeat; what is left of a killed run is done by the next. */
async function eraseAccount(data: object, deps: Deps): Promise<void> {
  const { accountId } = data as { accountId: string };
  await eraseHeld(deps.db, accountId);
  await deps.db.transaction((tx) => removeAccount(tx, accountId));
}

async function eraseHeld(db: Db, accountId: string): Promise<void> {
  for (let roots = await heldRoots(db, accountId); roots.length > 0; roots = await heldRoots(db, accountId)) {
    const part = roots[0]!.part;
    const some = roots.filter((root) => root.part === part).slice(0, metersAtOnce);
    await db.transaction((tx) =>
      eraseRoots(
        tx,
        part,
        some.map((root) => root.id),
      ),
    );
  }
}

/** The job that follows the deletion of an account. */
export const eraseAccountJob: JobKind = {
  name: "erase-account",
  retries: 10,
  secondsMax: 3600,
  atOnce: 1,
  run: eraseAccount,
};
