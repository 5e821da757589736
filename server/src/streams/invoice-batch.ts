import { firstParts, subaccountsOf } from "../accounts/accounts.ts";
import { headsOf } from "../changes/changes.ts";
import { changedInvoices } from "../invoices/invoices.ts";
import type { Db } from "../platform/db.ts";
import type { Content, Found } from "./piece.ts";
import type { Position } from "./position.ts";
import type { Batch, Stream } from "./stream.ts";

/** Invoices of one batch: a collective one may have thousands of rows. */
const invoicesMax = 200;

/** Invoices of the account and its subaccounts that changed behind a position; those of one part at a time. */
export async function newInvoices(
  db: Db,
  stream: Stream,
  { behind, limit }: { behind: Position; limit: number },
): Promise<Found> {
  const accounts = await accountsOf(db, stream);
  const start = structuredClone(behind);
  const found = { stream, start, runs: [], invoices: [], count: 0 };
  for (const { part, off } of await headsOf(db, [...accounts.keys()])) {
    const asked = { part, upTo: off, limit: Math.min(limit, invoicesMax) };
    start.log[part] ??= 0;
    if (off <= start.log[part]) continue;
    start.invoices = asked;
    const rows = await ask(db, stream, { accountIds: accounts.get(part)!, after: start.log[part], ...asked });
    const isWhole = rows.length < asked.limit;
    const log = { ...start.log, [part]: isWhole ? off : rows.at(-1)!.off };
    const content = contentOf(rows, start);
    return { ...found, ...content, position: { ...start, log }, more: true };
  }
  return { ...found, position: { ...start, phase: "log" }, more: false };
}

/** The invoices of a batch that was issued before. */
export async function sameInvoices(db: Db, stream: Stream, { start }: Batch): Promise<Content> {
  const asked = start.invoices!;
  const accountIds = (await accountsOf(db, stream)).get(asked.part) ?? [];
  return contentOf(await ask(db, stream, { accountIds, after: start.log[asked.part]!, ...asked }), start);
}

/** Who has not seen an invoice need not hear that it is gone. */
function contentOf(rows: Awaited<ReturnType<typeof changedInvoices>>, { phase }: Position): Content {
  const shown = rows
    .map((row) => row.invoice)
    .filter((invoice) => phase !== "first" || invoice.status !== "deleted");
  return { runs: [], invoices: shown, count: shown.length };
}

interface Asked {
  accountIds: readonly string[];
  after: number;
  upTo: number;
  limit: number;
}

function ask(db: Db, { accountId }: Stream, { accountIds, after, upTo, limit }: Asked) {
  return changedInvoices(db, { accountIds, after, upTo, limit, viewerId: accountId });
}

/** The account and its subaccounts, by the part whose head gives the offsets of their invoices. */
async function accountsOf(db: Db, { accountId }: Stream): Promise<Map<number, string[]>> {
  const ids = [accountId, ...(await subaccountsOf(db, accountId))];
  const parts = await firstParts(db, ids);
  return Map.groupBy(
    ids.filter((id) => parts.has(id)),
    (id) => parts.get(id)!,
  );
}

/** The time (epoch ms) of the oldest change behind a position, and how many there are, as many as a batch holds. */
export async function waitingInvoices(
  db: Db,
  stream: Stream,
  position: Position,
): Promise<{ oldest: number | null; count: number }> {
  let [oldest, count]: [number | null, number] = [null, 0];
  const accounts = await accountsOf(db, stream);
  for (const { part, off } of await headsOf(db, [...accounts.keys()])) {
    const after = position.log[part] ?? 0;
    if (off <= after) continue;
    const bounds = { after, upTo: off, limit: invoicesMax };
    const rows = await ask(db, stream, { accountIds: accounts.get(part)!, ...bounds });
    count += rows.length;
    if (rows.length > 0) oldest = Math.min(oldest ?? Number.POSITIVE_INFINITY, rows[0]!.off / 1000);
  }
  return { oldest, count };
}
