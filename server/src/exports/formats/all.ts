import { consumptionCsv } from "./consumption-csv.ts";
import { costCsv } from "./cost-csv.ts";
import type { ExportFormat } from "./format.ts";
import { greenButtonXml } from "./green-button.ts";
import { jsonLines } from "./json-lines.ts";
import { parquet } from "./parquet.ts";
import { xlsx } from "./xlsx.ts";

/** Every format of files that go out. */
export const exportFormats: readonly ExportFormat[] = [
  consumptionCsv,
  costCsv,
  jsonLines,
  xlsx,
  parquet,
  greenButtonXml,
];

/** The format of that name, `undefined` when there is none. */
export function exportFormatNamed(name: string): ExportFormat | undefined {
  return exportFormats.find((format) => format.name === name);
}
