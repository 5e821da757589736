import { type Queryable, sql } from "../platform/db.ts";
import type { Deps } from "../platform/deps.ts";
import { failureOf } from "../platform/egress/egress.ts";
import { newId } from "../platform/id.ts";
import type { Export, ExportRunRow } from "./export.ts";
import { fileOf } from "./spool.ts";
import {
  assertPossible,
  deliver,
  joinTarget,
  mergeSecrets,
  splitTarget,
  type Target,
  type TargetType,
  testTarget,
} from "./targets/all.ts";

export {
  shownTarget,
  type Target,
  type TargetType,
  targetSchema,
  targetTypes,
  targetView,
} from "./targets/all.ts";

/** A target as the table holds it. */
export interface SealedTarget {
  type: string;
  /** Settings with masks in the place of secrets. */
  settings: Record<string, unknown>;
  sealed: Buffer;
}

const placeOf = (exportId: string) => ({ table: "export", row: exportId, column: "target_sealed" });

async function openTarget({ db, keys }: Pick<Deps, "keys"> & { db: Queryable }, of: Export): Promise<Target> {
  const secrets = await keys.open(db, of.accountId, of.targetSealed, placeOf(of.id));
  return joinTarget({ open: { type: of.targetType as TargetType, settings: of.target }, secrets });
}

/**
 * Seals a target that was sent for an export; `before` is the export when it has one already.
 * @throws Problem that names the field when a mask has nothing behind it, or the server cannot do it
 */
export async function sealedTarget(
  tx: Queryable,
  { keys, settings }: Pick<Deps, "keys" | "settings">,
  { sent, before, ...of }: { id: string; accountId: string; sent: Target; before: Export | null },
): Promise<SealedTarget> {
  const old = before === null ? null : await openTarget({ db: tx, keys }, before);
  const target = mergeSecrets(old, sent);
  assertPossible(target, settings);
  const { open, secrets } = splitTarget(target);
  return { ...open, sealed: await keys.seal(tx, of.accountId, secrets, placeOf(of.id)) };
}

/** Delivers the file of a run. Throws an `EgressFailure` when the target did not confirm it. */
export async function deliverFile(
  deps: Deps,
  of: Export,
  { run, signal }: { run: ExportRunRow; signal: AbortSignal },
): Promise<void> {
  const { id, file: name, bytes, mediaType: type } = run;
  const file = { id, name, bytes, type, path: fileOf(deps.settings.dataDir, of.id, id) };
  await learn(deps, of, await deliver(await openTarget(deps, of), { deps, file, signal }));
}

/** Tries the target of an export; says in words what came of it. */
export async function testOf(deps: Deps, of: Export): Promise<{ ok: boolean; message: string }> {
  const { db, log, clock } = deps;
  const target = await openTarget({ db, keys: deps.keys }, of);
  try {
    await learn(deps, of, await testTarget(target, { deps, id: newId(clock.now()) }));
    return { ok: true, message: "The target was reached, and would take a file." };
  } catch (error) {
    const { message, reason, inner } = failureOf(error);
    log.info({ export: of.id, reason, inner }, "a target failed its test");
    return { ok: false, message };
  }
}

/** Keeps what was learnt on the way, such as the key of a server, unless the target was changed meanwhile. */
async function learn({ db }: Deps, of: Export, learnt: Record<string, unknown>): Promise<void> {
  if (Object.keys(learnt).length === 0) return;
  await db.run(sql`
    update export set target = target || ${JSON.stringify(learnt)}::jsonb
    where id = ${of.id} and target_type = ${of.targetType} and target = ${JSON.stringify(of.target)}::jsonb`);
}
