/** A cell of a workbook; texts are made by `textCell`. */
export type Cell = string | number | { value: string; type: StringConstructor; fontWeight?: "bold" } | null;

/** Text as a text cell, which a spreadsheet never takes for a formula. XML has no word for control characters, so they become blanks. */
export function textCell(value: string | null): Cell {
  if (value === null || value === "") return null;
  return { value: value.replace(/[\u0000-\u0008\u000b\u000c\u000e-\u001f\ufffe\uffff]/g, " "), type: String };
}

/** A row of heads. */
export const headRow = (heads: readonly string[]): Cell[] =>
  heads.map((value) => ({ value, type: String, fontWeight: "bold" }));

/** The bytes of a workbook with one sheet; it is put together in memory. */
export async function workbookOf(sheet: string, rows: readonly Cell[][]): Promise<Buffer> {
  const { default: writeExcelFile } = await import("write-excel-file/node");
  // biome-ignore lint/suspicious/noExplicitAny: the types of the library do not know that a cell may be null
  return writeExcelFile(rows as any, { sheet }).toBuffer();
}
