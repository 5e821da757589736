import { eloverblikCsv } from "./eloverblik/csv.ts";
import { eloverblikJson } from "./eloverblik/json.ts";
import { fingrid } from "./fingrid/fingrid.ts";
import { greenButton } from "./green-button/green-button.ts";
import type { Format } from "./item.ts";
import { mapper } from "./mapper/mapper.ts";
import { nem12 } from "./nem12/nem12.ts";

/** Every format, named by hand. A function, so that formats may import each other's shared parts in any order. */
export function formats(): Format[] {
  return [greenButton, nem12, fingrid, eloverblikCsv, eloverblikJson, mapper];
}
