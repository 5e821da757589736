const delimiters = [";", "\t", "|", ","];

/**
 * The delimiter of a head of text: the one that cuts most lines into the same number of cells, more cells preferred. Lines with
 * another count (a preamble) do not matter. A decimal comma loses against the semicolon beside it, because it cuts numbers.
 */
export function headDelimiter(head: string): string {
  const named = /^sep=(.)\r?[\n\r]/.exec(head);
  if (named !== null) return named[1]!;
  const lines = head
    .slice(0, 65_536)
    .split(/\r\n|\n|\r/, 200)
    .filter((line) => line.trim() !== "");
  if (lines.length > 1) lines.pop();
  let best = ",";
  let bestScore = 0;
  for (const delimiter of delimiters) {
    const counts = new Map<number, number>();
    for (const line of lines) {
      const cells = cellCount(line, delimiter);
      if (cells > 1) counts.set(cells, (counts.get(cells) ?? 0) + 1);
    }
    // Most lines with one count; among equals the delimiter that comes first in the list, where the comma is last.
    const score = Math.max(0, ...counts.values());
    if (score > bestScore * 1.1) {
      best = delimiter;
      bestScore = score;
    }
  }
  return best;
}

/** Cells of a line, without looking into quoted ones. */
function cellCount(line: string, delimiter: string): number {
  let cells = 1;
  let quoted = false;
  for (const mark of line.slice(0, 20_000)) {
    if (mark === '"') quoted = !quoted;
    else if (mark === delimiter && !quoted) cells++;
  }
  return cells;
}
