import { Money } from "./money.ts";

/** A bill among the others of its account: what decides whether it counts. */
export interface Bill {
  invoiceId: string;
  n: number;
  number: string;
  kind: "invoice" | "credit" | "correction";
  /** Numbers of earlier invoices that it refers to. */
  replaces: string[];
  /** Letters and digits alone. */
  sellerId: string | null;
  /** Folded. */
  sellerName: string;
  /** `YYYY-MM-DD`. */
  issued: string;
  currency: string;
  /** Decimal text without VAT, signed. */
  net: string;
  /** When the document came, epoch ms. */
  created: number;
}

/** Whether the rows of a bill are part of costs, and the invoice that took its place. */
export interface Standing {
  counts: boolean;
  replacedBy: string | null;
}

/**
 * How bills of one account stand to each other. It follows from the set of bills alone, never from the order in which
 * they came. Of the same seller and currency:
 *
 * 1. Of several with the same number and kind one counts: the latest issued, of equals the latest that came.
 * 2. A credit note whose amount and those of all invoices that it refers to sum to zero cancels them: neither counts.
 * 3. A correction takes the place of the invoices that it refers to, and of their credit notes up to its day.
 * 4. Every other credit note counts with its negative rows: it subtracts. An invoice that refers to others adds.
 */
export function standings(bills: readonly Bill[]): Map<Bill, Standing> {
  const found = new Map<Bill, Standing>(bills.map((bill) => [bill, { counts: true, replacedBy: null }]));
  const end = (bill: Bill, by: Bill | null) =>
    found.set(bill, { counts: false, replacedBy: by === null ? null : by.invoiceId });
  const live = latestOfEach(bills, end);
  const cancelled = new Map<Bill, Bill>();
  const full = new Set<Bill>();
  for (const credit of live.filter(({ kind }) => kind === "credit")) {
    const targets = targetsOf(credit, live);
    if (!cancels(credit, targets, cancelled)) continue;
    full.add(credit);
    end(credit, null);
    for (const target of targets) cancelled.set(target, credit);
  }
  for (const [target, credit] of cancelled) end(target, credit);
  const corrections = live.filter(({ kind }) => kind === "correction");
  const replaced = new Map<Bill, Bill>();
  for (const correction of corrections) {
    for (const target of targetsOf(correction, live)) {
      if (target.kind === "credit" || !isLater(correction, target)) continue;
      const other = replaced.get(target);
      if (other === undefined || isLater(correction, other)) replaced.set(target, correction);
    }
  }
  for (const [target, correction] of replaced) end(target, correction);
  for (const credit of live.filter((bill) => bill.kind === "credit" && !full.has(bill))) {
    const by = supersededBy(credit, targetsOf(credit, live), replaced);
    if (by !== undefined) end(credit, by);
  }
  return found;
}

/** Of bills with the same number the one that counts; the others end. */
function latestOfEach(bills: readonly Bill[], end: (bill: Bill, by: Bill) => void): Bill[] {
  // The latest first, so that the first of a number is the one that stays.
  const ordered = bills.toSorted((a, b) => (isLater(a, b) ? -1 : 1));
  const live: Bill[] = [];
  for (const bill of ordered) {
    const latest = live.find(
      (other) => other.number === bill.number && other.kind === bill.kind && sameSeller(other, bill),
    );
    if (latest === undefined) live.push(bill);
    else end(bill, latest);
  }
  return live;
}

function sameSeller(a: Bill, b: Bill): boolean {
  if (a.currency !== b.currency) return false;
  // One document prints the organisation number, another the VAT id made of it, a scan none of them.
  return a.sellerName === b.sellerName || (a.sellerId !== null && a.sellerId === b.sellerId);
}

/** The bills that one refers to, each number once. */
function targetsOf(bill: Bill, live: readonly Bill[]): Bill[] {
  return live.filter(
    (other) =>
      other !== bill &&
      other.kind !== "credit" &&
      bill.replaces.includes(other.number) &&
      sameSeller(bill, other),
  );
}

function cancels(credit: Bill, targets: readonly Bill[], taken: ReadonlyMap<Bill, Bill>): boolean {
  if (targets.length === 0 || targets.length < new Set(credit.replaces).size) return false;
  if (targets.some((target) => taken.has(target))) return false;
  const sum = targets.reduce((total, { net }) => total.plus(net), new Money(credit.net));
  return sum.isZero();
}

/** The correction that stands for everything a credit note is about, when it was issued after it. */
function supersededBy(
  credit: Bill,
  targets: readonly Bill[],
  replaced: ReadonlyMap<Bill, Bill>,
): Bill | undefined {
  if (targets.length === 0 || targets.length < new Set(credit.replaces).size) return undefined;
  const by = targets.map((target) => replaced.get(target));
  const isAll = by.every((each) => each !== undefined && each.issued >= credit.issued);
  return isAll ? by[0] : undefined;
}

/** A total order: by day of issue, then by arrival, then by id. */
function isLater(a: Bill, b: Bill): boolean {
  if (a.issued !== b.issued) return a.issued > b.issued;
  if (a.created !== b.created) return a.created > b.created;
  if (a.invoiceId !== b.invoiceId) return a.invoiceId > b.invoiceId;
  return a.n > b.n;
}
