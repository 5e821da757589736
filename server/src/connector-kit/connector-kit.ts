/**
 * The kit of a connector's author: recorded cases and what plays them, and what every connector is held against. Used
 * by `metertree connector` and by the tests of all connectors.
 */
import { join } from "node:path";
import { fileURLToPath } from "node:url";

export { type Check, checkConnector } from "./contract.ts";
export { newConnector } from "./new-connector.ts";
export { criteria, gradeOf, readQuality } from "./quality.ts";
export { recordCase } from "./record-case.ts";

/** The folder of all connectors. */
export const connectorsFolder = fileURLToPath(new URL("../connectors", import.meta.url));

/** The folder of a connector. */
export function folderOf(connectorName: string): string {
  return join(connectorsFolder, connectorName);
}
