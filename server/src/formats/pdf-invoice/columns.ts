import { wordsOn } from "./labels.ts";
import type { ColumnRole, TemplateColumns } from "./template.ts";
import type { Chunk, Line, Word } from "./text.ts";

/** A column as it stands on a page, in points from the left edge. */
export interface ColumnPlace {
  role: ColumnRole;
  x0: number;
  x1: number;
  align: "left" | "right";
  /** The template states its place: what stands in it belongs to it. */
  fixed: boolean;
}

/** What stands in the columns of one line. */
export type Cells = Partial<Record<ColumnRole, string>>;

const numeric = new Set<ColumnRole>(["quantity", "price", "vatRate", "amount"]);
/** Roles whose texts may go on in the next line. */
export const wrapping: ReadonlySet<ColumnRole> = new Set<ColumnRole>([
  "description",
  "code",
  "period",
  "quantityUnit",
  "priceUnit",
]);

/** The columns under a header line, from left to right; `undefined` when the line is no header of the table. */
export function columnsUnder(line: Line, columns: TemplateColumns): ColumnPlace[] | undefined {
  const told = Object.entries(columns).flatMap(([role, column]) =>
    column === undefined ? [] : [{ role: role as ColumnRole, align: undefined, x: undefined, ...column }],
  );
  const places: ColumnPlace[] = [];
  const taken: { x0: number; x1: number }[] = [];
  // Longer headers first: "Price" must not take the first word of "Price per kWh".
  for (const { role, header } of told.toSorted((a, b) => (b.header ?? "").length - (a.header ?? "").length)) {
    if (header === undefined) continue;
    const place = wordsOn(line, header, taken);
    if (place === undefined) return undefined;
    taken.push(place);
    places.push({ role, ...place, align: numeric.has(role) ? "right" : "left", fixed: false });
  }
  for (const { role, align, x } of told) {
    const found = places.find((place) => place.role === role);
    const [x0, x1] = x ?? [0, 0];
    if (found === undefined) {
      places.push({ role, x0, x1, align: align ?? (numeric.has(role) ? "right" : "left"), fixed: true });
      continue;
    }
    if (align !== undefined) found.align = align;
    if (x !== undefined) Object.assign(found, { x0, x1, fixed: true });
  }
  return places.sort((a, b) => a.x0 - b.x0);
}

/** A line whose texts cannot be laid into columns; the message names the text. */
export class ColumnError extends Error {}

/**
 * Lays the texts of a line into columns. A text belongs where its edge stands as the header's does, or where it lies
 * whole; one that reaches over a border is cut between words where the border is certain.
 * @throws ColumnError
 */
export function cellsOf(line: Line, places: readonly ColumnPlace[]): Cells {
  const territories = territoriesOf(places);
  const cells: Cells = {};
  const put = (role: ColumnRole, text: string): void => {
    const before = cells[role];
    if (before !== undefined && numeric.has(role) && /^[\d+\-\u2212.,]/.test(text)) {
      throw new ColumnError(`"${before}" and "${text}" both stand in the column "${role}"`);
    }
    cells[role] = before === undefined ? text : `${before} ${text}`;
  };
  for (const chunk of line.chunks) {
    const role = roleOf(chunk, territories, line.size);
    if (role !== undefined) put(role, chunk.text);
    else for (const [of, text] of cut(chunk, territories)) put(of, text);
  }
  return cells;
}

interface Territory extends ColumnPlace {
  from: number;
  to: number;
  /** Texts may reach over this border: it is only the middle between the headers. */
  openLeft: boolean;
  openRight: boolean;
}

/** Borders between neighbours: where texts stand to the right, at the right edge of the header, and so on. */
function territoriesOf(places: readonly ColumnPlace[]): Territory[] {
  const slack = 2;
  const borders = places.slice(1).map((right, i) => {
    const left = places[i]!;
    if (left.fixed) return { at: left.x1, open: false };
    if (right.fixed || right.align === "left") {
      return { at: left.align === "left" ? right.x0 - slack : (left.x1 + right.x0) / 2, open: false };
    }
    if (left.align === "right") return { at: left.x1 + slack, open: false };
    return { at: (left.x1 + right.x0) / 2, open: true };
  });
  return places.map((place, i) => ({
    ...place,
    from: borders[i - 1]?.at ?? Number.NEGATIVE_INFINITY,
    to: borders[i]?.at ?? Number.POSITIVE_INFINITY,
    openLeft: borders[i - 1]?.open ?? false,
    openRight: borders[i]?.open ?? false,
  }));
}

function roleOf(chunk: Chunk, territories: readonly Territory[], size: number): ColumnRole | undefined {
  const near = 0.5 * size;
  const fixed = territories.find((one) => one.fixed && chunk.x0 >= one.x0 - 1 && chunk.x1 <= one.x1 + 1);
  if (fixed !== undefined) return fixed.role;
  const byEdge = territories.filter((one) => {
    if (one.fixed) return false;
    return Math.abs(one.align === "right" ? chunk.x1 - one.x1 : chunk.x0 - one.x0) <= near;
  });
  if (byEdge.length === 1) return byEdge[0]!.role;
  // It fills two columns: their texts stand too close to be told apart by the gap.
  if (byEdge.length > 1) return undefined;
  return territories.find((one) => chunk.x0 >= one.from - 1 && chunk.x1 <= one.to + 1)?.role;
}

function cut({ text, words }: Chunk, territories: readonly Territory[]): [ColumnRole, string][] {
  const parts: [ColumnRole, string][] = [];
  for (const word of words) {
    const middle = (word.x0 + word.x1) / 2;
    const home = territories.find((one) => middle >= one.from && middle < one.to);
    const last = parts.at(-1);
    const isOther = last !== undefined && last[0] !== home?.role;
    // Over an open border nothing says which of the words belong to the text and which to the number.
    if (home === undefined || isAcross(word, home) || (isOther && home.openLeft)) {
      throw new ColumnError(
        `"${text}" runs over the border of columns: give the columns beside it a place, as in "x": [300, 360]`,
      );
    }
    if (last?.[0] === home.role) last[1] += ` ${word.text}`;
    else parts.push([home.role, word.text]);
  }
  return parts;
}

function isAcross({ x0, x1 }: Word, home: Territory): boolean {
  return (x0 < home.from - 3 && home.openLeft) || (x1 > home.to + 3 && home.openRight);
}
