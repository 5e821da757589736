/** Files of what changes, delivered on a schedule: what other slices may use. */

export { spreadsheetSafe } from "./formats/cells.ts";
export { headRow, textCell, workbookOf } from "./formats/workbook.ts";
export { exportJobs } from "./jobs.ts";
