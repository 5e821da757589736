import { receiveFile } from "../imports/imports.ts";
import { sql } from "../platform/db.ts";
import type { Deps } from "../platform/deps.ts";
import { stopwatch } from "../platform/pause.ts";
import { Problem } from "../platform/problem.ts";
import type { Claimed } from "./claim.ts";
import { type Connector, type FileFate, ProviderFailure, type SentFile, type Visit } from "./connector.ts";
import type { Settings } from "./credentials.ts";
import { readSentFile, refuse, wholeFile } from "./file-intake.ts";
import { foreign, guarded } from "./guarded.ts";
import { openIssue, settleFileIssues } from "./issue.ts";
import { fileAt, type KnownFile, keysLeftOut, noteFile, readAgain, unreadHash } from "./received-file.ts";
import { type Next, spread } from "./schedule.ts";
import { holds } from "./settle.ts";
import { sourcesToReceive } from "./source.ts";

/** Somebody looks for files so often; after files that may still grow, and after a look that was cut short, sooner. */
const lookMs = 900_000;
const growingMs = 60_000;
const againMs = 1_000;
/** A look takes no longer than this; the next one goes on. */
const lookMsMax = 2_400_000;
/** Issues about files that a connection has at once: a folder of something else is one thing to put right. */
const issuesMax = 20;

/** A look for files, and for whom. */
export interface Receiving {
  connector: Connector;
  claimed: Claimed;
  visit: Visit<Settings>;
  counts: Record<string, number>;
}

/**
 * Looks for files, reads what is new and stores it; returns when and why the next look begins. A file that cannot be
 * read is told, and keeps no other one from being read.
 */
export async function receive(deps: Deps, receiving: Receiving): Promise<Next> {
  const { connector, claimed, visit, counts } = receiving;
  await takeBackIn(deps, claimed.id);
  visit.step("look for files");
  const files = guarded(connector.receive!(visit), visit.signal);
  const refused = new Set<string>();
  const elapsed = stopwatch();
  let step = await files.next(undefined as never);
  while (step.done !== true && elapsed() < lookMsMax) {
    const { fate, id } = await take(deps, receiving, step.value);
    counts[fate] = (counts[fate] ?? 0) + 1;
    if (fate === "refused") refused.add(id);
    step = await files.next(fate);
  }
  const look = step.done === true ? step.value : { isWhole: false };
  if (step.done !== true) await files.return(look);
  await settleLook(deps, claimed, { refused: [...refused], isWhole: look.isWhole });
  visit.step("looked", { ...counts });
  const now = deps.clock.now();
  const usual = lookMs * (1 + spread(claimed.id) / 10);
  // A look that was cut short goes on, unless it would only see the same again.
  const goesOn = !look.isWhole && (counts.stored ?? 0) > 0;
  const afterMs = goesOn ? againMs : (counts.waiting ?? 0) > 0 ? growingMs : usual;
  return { at: Math.ceil(now + afterMs), reason: "schedule" };
}

/** Files that left out meters which are not put away any more are read again, where they still lie. */
async function takeBackIn({ db }: Pick<Deps, "db">, connectionId: string): Promise<void> {
  const keys = await keysLeftOut(db, connectionId);
  if (keys.length === 0) return;
  const back = await sourcesToReceive(db, connectionId, keys);
  await readAgain(
    db,
    connectionId,
    back.map(({ key }) => key),
  );
}

interface Taken {
  fate: FileFate;
  /** Of the content. */
  id: string;
}

async function take(deps: Deps, receiving: Receiving, file: SentFile): Promise<Taken> {
  const { claimed, visit } = receiving;
  const { db, clock } = deps;
  const seen = await fileAt(db, claimed.id, file);
  // What was to be put away and still lies there is either another one, or known by its content.
  const isSame = seen !== undefined && !(file.isPutAway === true && seen.status !== "refused");
  if (isSame && !isToRead(seen, claimed)) return fateOf(seen);
  if (file.mayGrow === true) return { fate: "waiting", id: "" };
  const note = (bytes: number, sha256: string) =>
    noteFile(db, claimed.id, { ...file, bytes, sha256, now: clock.now() });
  try {
    const { name } = file;
    return await receiveFile(
      deps,
      { name, content: file.content(), signal: visit.signal },
      async (content) => {
        const known = await note(content.bytes, content.sha256);
        if (!isToRead(known, claimed)) return fateOf(known);
        visit.step(`read ${name}`);
        const { connector } = receiving;
        const { fate, counts } = await readSentFile(deps, { connector, claimed, file, known, content });
        for (const [what, count] of Object.entries(counts)) {
          receiving.counts[what] = (receiving.counts[what] ?? 0) + count;
        }
        return { fate, id: known.id };
      },
    );
  } catch (error) {
    const isTooLarge = error instanceof Problem && error.code === "too_large";
    // A server that keeps back one file may hand out the others.
    const isKeptBack = error instanceof ProviderFailure && error.kind === "consent";
    if (!isTooLarge && !isKeptBack) throw foreign(error);
    const known = await note(0, unreadHash(file));
    await refuse(deps, { claimed, known }, [wholeFile(error.message)], isTooLarge ? "refused" : "unread");
    return { fate: "refused", id: known.id };
  }
}

/** What was refused is tried again when somebody asks for it: its mapping or the settings may have changed. */
function isToRead({ status }: KnownFile, { nextReason }: Claimed): boolean {
  if (status === "refused") return nextReason === "by_hand" || nextReason === "credentials";
  return status !== "stored";
}

const fateOf = ({ id, status }: KnownFile): Taken => ({
  id,
  fate: status === "refused" ? "refused" : "known",
});

/** Opens issues for what was refused; after a whole look those of files that are not there any more are over. */
async function settleLook(
  deps: Deps,
  claimed: Claimed,
  { refused, isWhole }: { refused: readonly string[]; isWhole: boolean },
): Promise<void> {
  const now = deps.clock.now();
  await deps.db.transaction(async (tx) => {
    if (!(await holds(tx, claimed))) return;
    if (isWhole) await settleFileIssues(tx, { connectionId: claimed.id, fileIds: refused, now });
    for (const fileId of refused.slice(0, issuesMax)) {
      await openIssue(tx, deps, { connection: claimed, kind: "file_refused", fileId, now });
    }
    // What was asked to be read again by period lies with the provider, not here.
    await tx.run(sql`
      update connection set discovered = ${new Date(now)}, backfill_from = null, backfill_to = null
      where id = ${claimed.id}`);
  });
}
