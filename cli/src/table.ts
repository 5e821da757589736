/** Rows in columns as wide as their longest cell, under a heading. Numbers stand to the right. */
export function tableText(
  heading: readonly string[],
  rows: readonly (readonly (string | number | null)[])[],
): string {
  const cells = rows.map((row) => row.map((cell) => (cell === null ? "" : String(cell))));
  const widths = heading.map((title, i) => Math.max(title.length, ...cells.map((row) => row[i]!.length)));
  const isNumber = heading.map(
    (_, i) => rows.length > 0 && rows.every((row) => row[i] === null || typeof row[i] === "number"),
  );
  const line = (row: readonly string[]) =>
    row
      .map((cell, i) => (isNumber[i] ? cell.padStart(widths[i]!) : cell.padEnd(widths[i]!)))
      .join("  ")
      .trimEnd();
  return [line(heading), line(widths.map((width) => "-".repeat(width))), ...cells.map(line)].join("\n");
}

/** Text from somewhere else, safe to print: a terminal obeys control characters. */
export function plain(text: string): string {
  return text.replace(/\p{Cc}+/gu, " ");
}

/** `1 file`, `2 files`. */
export function counted(n: number, noun: string): string {
  return `${n.toLocaleString("en")} ${noun}${n === 1 ? "" : "s"}`;
}
