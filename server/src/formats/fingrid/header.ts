import { resolutionOf } from "../resolution.ts";

/** What a column of the export holds. */
export type Role =
  | "meter"
  | "product"
  | "resolution"
  | "unit"
  | "readingType"
  | "start"
  | "quantity"
  | "quality";

/**
 * Column names of the export in Finnish and English. `Lukeman tyyppi` came in 2023; exports of 2022 lack it.
 * Other languages are recognised by the shape of the first row, see `columnsByShape`.
 */
const roles: Record<string, Role> = {
  "mittauspisteen tunnus": "meter",
  "tuotteen tyyppi": "product",
  resoluutio: "resolution",
  yksikkötyyppi: "unit",
  "lukeman tyyppi": "readingType",
  alkuaika: "start",
  määrä: "quantity",
  laatu: "quality",
  meteringpointgsrn: "meter",
  "product type": "product",
  resolution: "resolution",
  "unit type": "unit",
  "reading type": "readingType",
  "start time": "start",
  quantity: "quantity",
  quality: "quality",
};

const order: Role[] = [
  "meter",
  "product",
  "resolution",
  "unit",
  "readingType",
  "start",
  "quantity",
  "quality",
];
const needed: Role[] = order.filter((role) => role !== "readingType");

/** Position of each column; `readingType` is absent in the exports of 2022. */
export type Columns = Partial<Record<Role, number>> & Record<Exclude<Role, "readingType">, number>;

/** The columns by their names; undefined when this is not the header of the export. */
export function columnsByName(header: string[]): Columns | undefined {
  const columns: Partial<Record<Role, number>> = {};
  header.forEach((name, at) => {
    const role = roles[name.trim().toLowerCase()];
    if (role !== undefined) columns[role] ??= at;
  });
  return needed.every((role) => columns[role] !== undefined) ? (columns as Columns) : undefined;
}

/** The columns by their usual order when a row under an unknown header looks like a row of the export. */
export function columnsByShape(row: string[]): Columns | undefined {
  const present = row.length === 7 ? needed : row.length === 8 ? order : undefined;
  if (present === undefined) return undefined;
  const columns = Object.fromEntries(present.map((role, at) => [role, at])) as Columns;
  const starts = row[columns.start]!;
  const isRow =
    resolutionOf(row[columns.resolution]!) !== undefined &&
    starts.length === 20 &&
    starts.endsWith("Z") &&
    (columns.readingType === undefined || /^BN\d\d$/.test(row[columns.readingType]!.slice(0, 8)));
  return isRow ? columns : undefined;
}
