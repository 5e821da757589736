import type { InvoiceRow, ParsedInvoice } from "../formats/format.ts";
import { costNames } from "../series/series.ts";
import {
  contractRules,
  type Goods,
  goodsRules,
  type Part,
  type PartRule,
  partRules,
  sellerRules,
  type WordList,
} from "./row-rules.ts";
import { type UnitKind, unitKind } from "./row-units.ts";
import { plainText, Words } from "./row-words.ts";

/** Whose cost a row is: of the network or of the supplier. */
type Contract = "grid" | "retail";

/** One of the eleven metrics of costs. */
type CostName = (typeof costNames)[number];

/** A row and what the rules make of it. */
export interface ClassifiedRow extends InvoiceRow {
  contractType: Contract | null;
  /** The metric that the row adds to, besides the total of its contract; null: a person decides. A total alone for fees. */
  metric: CostName | null;
  /** Names of the rules that say so, as in `fixed charge; grid by the seller`; null when none matches. */
  rule: string | null;
}

/**
 * What each row of an invoice is for: by its words and codes, else by its unit. Whether it belongs to the network or
 * the supplier is said by the document itself, else by its own words, else by `contractType` (of the person who hands the invoice in), else by what
 * is sold, else by all other rows and the seller as far as they agree. What rules contradict each other about is
 * null, never guessed.
 */
export function classify(invoice: ParsedInvoice, options: { contractType?: Contract } = {}): ClassifiedRow[] {
  const rows = invoice.rows.map((row) => seen(row));
  const about = documentOf(invoice, rows);
  return invoice.rows.map((row, at) => {
    const own = rows[at]!;
    const goods = own.goods ?? about.goods;
    const { part, name } = partOf(row, { ...own, goods });
    const contract =
      said(row.contract) ?? own.contract ?? stated(options.contractType) ?? byGoods(goods) ?? about.contract;
    const contractType = contract?.contract ?? null;
    const metric = part === null || contractType === null ? null : metricOf(part, contractType);
    return { ...row, contractType, metric, rule: name === null ? null : told(name, contract) };
  });
}

/** A row as rules see it. */
interface SeenRow {
  text: string;
  unit: UnitKind | undefined;
  /** By its own words alone. */
  contract: FoundContract | undefined;
  goods: Goods | undefined;
}

/** A contract, or null when what says it contradicts itself. */
interface FoundContract {
  contract: Contract | null;
  /** As in `grid by the seller`. */
  said: string;
}

interface CompiledPart extends Omit<PartRule, "words" | "codes"> {
  words: Words | undefined;
  codes: ReadonlySet<string>;
}

const listed = (text: string | undefined) => (text === undefined ? [] : text.split(", "));
const wordsIn = (list: WordList) => new Words(Object.values(list).flatMap((text: string) => listed(text)));

const parts: readonly CompiledPart[] = partRules.map((rule) => ({
  ...rule,
  words: rule.words === undefined ? undefined : wordsIn(rule.words),
  codes: new Set(listed(rule.codes)),
}));
const contracts = contractRules.map((rule) => ({ ...rule, words: wordsIn(rule.words) }));
const sellers = sellerRules.map((rule) => ({ ...rule, words: wordsIn(rule.words) }));
const goodsByWords = goodsRules.map(({ goods, words }) => ({ goods, words: wordsIn(words) }));

function seen(row: InvoiceRow): SeenRow {
  const text = plainText(row.description);
  const rules = contracts.filter(({ words }) => words.in(text));
  return {
    text,
    unit: unitKind(row.quantityUnit) ?? unitKind(row.priceUnit),
    contract: only(new Set(rules.map(({ contract }) => contract)), "its words"),
    goods: goodsIn(text),
  };
}

/** What is said of all rows that say nothing themselves. */
function documentOf(
  { seller }: ParsedInvoice,
  rows: readonly SeenRow[],
): { contract: FoundContract | undefined; goods: Goods | undefined } {
  const name = plainText(seller.name);
  const bySeller = new Set(sellers.filter(({ words }) => words.in(name)).map(({ contract }) => contract));
  const byRows = new Set(rows.flatMap(({ contract }) => contract?.contract ?? []));
  const goods = new Set(
    [...rows.map((row) => row.goods), goodsIn(name)].filter((each) => each !== undefined),
  );
  const [first] = goods;
  return {
    // A seller whose name says both says neither.
    contract: only(new Set([...byRows, ...(bySeller.size === 1 ? bySeller : [])]), source(byRows, bySeller)),
    goods: goods.size === 1 ? first : undefined,
  };
}

function source(byRows: ReadonlySet<string>, bySeller: ReadonlySet<string>): string {
  if (byRows.size === 0) return "the seller";
  return bySeller.size === 1 ? "the seller and other rows" : "other rows";
}

function only(found: ReadonlySet<Contract | "open">, by: string): FoundContract | undefined {
  const [first] = found;
  if (first === undefined) return undefined;
  if (found.size > 1 || first === "open") return { contract: null, said: `grid or retail is open by ${by}` };
  return { contract: first, said: `${first} by ${by}` };
}

function stated(contract: Contract | undefined): FoundContract | undefined {
  return contract === undefined ? undefined : { contract, said: `${contract} as stated` };
}

function said(contract: Contract | undefined): FoundContract | undefined {
  return contract === undefined ? undefined : { contract, said: `${contract} by the document` };
}

/** Who sells heat, cooling or water owns its network; their costs have names under `grid` alone. */
function byGoods(goods: Goods | undefined): FoundContract | undefined {
  return goods === undefined || goods === "gas" ? undefined : { contract: "grid", said: `grid by ${goods}` };
}

function goodsIn(text: string): Goods | undefined {
  const found = goodsByWords.filter(({ words }) => words.in(text));
  return found.length === 1 ? found[0]!.goods : undefined;
}

/** Null without a part: no rule matches, or the highest ones say different things, or they leave it open. */
function partOf(
  row: InvoiceRow,
  { text, unit, goods }: SeenRow,
): { part: Exclude<Part, "open"> | null; name: string | null } {
  const matching = parts.filter((rule) => matches(rule, { text, unit, goods, code: row.code }));
  if (matching.length === 0) {
    return row.kind === "allowance" ? { part: "undefined", name: "allowance" } : { part: null, name: null };
  }
  const rank = Math.max(...matching.map((rule) => rule.rank));
  const highest = matching.filter((rule) => rule.rank === rank);
  const said = new Set(highest.map(({ part }) => part));
  const [part] = said;
  const name = highest.map((rule) => rule.name).join(" / ");
  return { part: said.size > 1 || part === undefined || part === "open" ? null : part, name };
}

function matches(
  rule: CompiledPart,
  row: { text: string; unit: UnitKind | undefined; goods: Goods | undefined; code: string | null },
): boolean {
  if (rule.units !== undefined && (row.unit === undefined || !rule.units.includes(row.unit))) return false;
  if (row.unit !== undefined && rule.notUnits?.includes(row.unit)) return false;
  if (rule.goods !== undefined && (row.goods === undefined || !rule.goods.includes(row.goods))) return false;
  if (rule.words === undefined && rule.codes.size === 0) return true;
  return (rule.words?.in(row.text) ?? false) || (row.code !== null && rule.codes.has(row.code));
}

/** Null for what a contract has no metric for, as power of a supplier. */
function metricOf(part: Exclude<Part, "open">, contract: Contract): CostName | null {
  const name = {
    subscription: "subscription",
    power: "subscription_power",
    flow: "subscription_flow",
    return_temperature: "subscription_return_temperature",
    usage: "usage",
    undefined: "undefined",
    fee: "total",
  }[part];
  return costNames.find((each) => each === `${contract}_${name}`) ?? null;
}

function told(name: string, contract: FoundContract | undefined): string {
  return `${name}; ${contract?.said ?? "grid or retail is not said"}`;
}
