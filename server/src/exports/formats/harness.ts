import { mkdtempSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import yauzl from "yauzl";
import { type Granularity, minutesOf } from "../../platform/granularity.ts";
import { granuleStarts } from "../../platform/time/granule.ts";
import { metrics } from "../../series/series.ts";
import { SpoolFile } from "../spool-file.ts";
import type { ExportFormat, ExportMeter, ExportRun } from "./format.ts";

/** A meter whose texts hold all that formats must keep apart. */
export const oddMeter: ExportMeter = {
  id: "5d1c9f2a8b3e4c0017a6d2f1",
  ean: "735999100000012345",
  name: '=HYPERLINK("http://evil.test");x\r\n<b>&"\'',
  type: "electricity",
  providerId: "5d1c9f2a8b3e4c0017a6d2f0",
  providerName: "Ellevio; AB",
  address: "Storgatan 1,\n111 22 Ås",
  location: [18.0686, 59.3293],
  tags: ["a", '-1+2"', "å;ä"],
  timezone: "Europe/Stockholm",
  representation: null,
};

/** A meter that says nothing of itself. */
export const bareMeter: ExportMeter = {
  id: "5d1c9f2a8b3e4c0017a6d2f2",
  ean: null,
  name: null,
  type: "water",
  providerId: "",
  providerName: "",
  address: null,
  location: null,
  tags: [],
  timezone: "Etc/GMT-1",
  representation: null,
};

/** A run of values from the first granule at or after `from`, epoch milliseconds. */
export function runOf(
  values: readonly number[],
  about: Partial<ExportRun> & { from?: number } = {},
): ExportRun {
  const { from = Date.UTC(2026, 9, 24, 22), meter = oddMeter, metric = "energy", ...rest } = about;
  const granularity: Granularity = rest.granularity ?? "hour";
  const minutes = granularity === "month" ? 32 * 1440 : granularity === "day" ? 1500 : minutesOf[granularity];
  const to = from + values.length * minutes * 60_000 + 40 * 86_400_000;
  const starts = granuleStarts(granularity, meter.timezone, { from, to });
  return {
    meter,
    metric,
    unit: metrics.get(metric)?.unit ?? "",
    currency: metric.startsWith("cost_") ? "SEK" : null,
    granularity,
    starts: Float64Array.from(starts.slice(0, values.length)),
    values: Float64Array.from(values),
    updated: false,
    pushedAt: Date.UTC(2026, 9, 26),
    ...rest,
  };
}

/** A file as a format wrote it. */
export interface WrittenFile {
  folder: string;
  bytes: Buffer;
  rows: number;
  sha256: string;
}

/** Writes runs with a format, those that it accepts, and reads the files. */
export async function written(
  format: ExportFormat,
  runs: readonly ExportRun[],
  params: object = {},
): Promise<WrittenFile[]> {
  const root = mkdtempSync(join(tmpdir(), "metertree-format-"));
  try {
    const parsed = format.params.parse(params);
    const made: { folder: string; path: string; file: SpoolFile }[] = [];
    const writer = await format.open({
      params: parsed,
      now: Date.UTC(2026, 9, 26, 1),
      async create(folder) {
        const path = join(root, String(made.length));
        const file = await SpoolFile.create(path);
        made.push({ folder, path, file });
        return file;
      },
    });
    for (const run of runs) if (format.accepts(run.metric, parsed)) await writer.write(run);
    await writer.finish();
    const files: WrittenFile[] = [];
    for (const { folder, path, file } of made) {
      const { sha256 } = await file.close();
      files.push({ folder, bytes: readFileSync(path), rows: file.rows, sha256 });
    }
    return files;
  } finally {
    rmSync(root, { recursive: true, force: true });
  }
}

/** Cells of a CSV text by RFC 4180, so that what is tested is not read by what wrote it. */
export function cellsOf(text: string, delimiter = ";"): string[][] {
  const rows: string[][] = [];
  let row: string[] = [];
  let cell = "";
  let isQuoted = false;
  for (let at = 0; at < text.length; at++) {
    const char = text[at]!;
    if (isQuoted) {
      if (char !== '"') cell += char;
      else if (text[at + 1] === '"') cell += text[++at];
      else isQuoted = false;
    } else if (char === '"' && cell === "") isQuoted = true;
    else if (char === delimiter || char === "\n") {
      row.push(cell);
      cell = "";
      if (char === "\n") {
        rows.push(row);
        row = [];
      }
    } else cell += char;
  }
  if (cell !== "" || row.length > 0) throw new Error("the last row has no end");
  return rows;
}

/** Cells of the only sheet of a workbook as text, `""` where there is none; read without the library that wrote it. */
export async function sheetOf(book: Buffer): Promise<string[][]> {
  const texts = await entriesOf(book);
  const shared = [...(texts.get("xl/sharedStrings.xml") ?? "").matchAll(/<si>(.*?)<\/si>/gs)].map(
    ([, item]) => plain([...item!.matchAll(/<t[^>]*>(.*?)<\/t>/gs)].map(([, text]) => text).join("")),
  );
  const sheet = texts.get("xl/worksheets/sheet1.xml") ?? "";
  return [...sheet.matchAll(/<row[^>]*>(.*?)<\/row>/gs)].map(([, row]) => {
    const cells: string[] = [];
    for (const [, head, body] of row!.matchAll(/<c ([^>]*?)(?:\/>|>(.*?)<\/c>)/gs)) {
      const letters = /r="([A-Z]+)/.exec(head!)![1]!;
      const at = [...letters].reduce((sum, letter) => sum * 26 + letter.charCodeAt(0) - 64, 0) - 1;
      const value = /<v>(.*?)<\/v>/s.exec(body ?? "")?.[1] ?? "";
      if (/<f>/.test(body ?? "")) throw new Error(`a formula: ${body}`);
      cells[at] = /t="s"/.test(head!) ? shared[Number(value)]! : value;
      if (/t="inlineStr"/.test(head!)) cells[at] = plain(/<t[^>]*>(.*?)<\/t>/s.exec(body!)?.[1] ?? "");
    }
    return Array.from({ length: 17 }, (_, i) => cells[i] ?? "");
  });
}

const plain = (xml: string) =>
  xml
    .replaceAll(/&#x([0-9a-f]+);/gi, (_, hex) => String.fromCodePoint(Number.parseInt(hex, 16)))
    .replaceAll("&lt;", "<")
    .replaceAll("&gt;", ">")
    .replaceAll("&quot;", '"')
    .replaceAll("&apos;", "'")
    .replaceAll("&amp;", "&");

async function entriesOf(zipped: Buffer): Promise<Map<string, string>> {
  const zip = await yauzl.fromBufferPromise(zipped);
  const texts = new Map<string, string>();
  for await (const entry of zip.eachEntry()) {
    const chunks: Buffer[] = [];
    for await (const chunk of await zip.openReadStreamPromise(entry)) chunks.push(chunk as Buffer);
    texts.set(entry.fileName, Buffer.concat(chunks).toString());
  }
  return texts;
}
