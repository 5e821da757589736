import type { Settings } from "../platform/deps.ts";
import { metrics, qualities } from "../series/series.ts";
import type { ImportOptions } from "./import.ts";
import type { ReadingTask } from "./messages.ts";

/** How files are read, as far as somebody says so. */
export type ReadingOptions = Pick<
  ImportOptions,
  "timezone" | "unit" | "meter" | "format" | "mapping" | "account_timezone"
>;

/** Files to read. */
export interface FilesToRead {
  files: ReadingTask["files"];
  /** File for what was read, made by the thread. */
  spoolPath: string;
  options: ReadingOptions;
  /** When they came, epoch milliseconds: what lies in the future is told by it, so that every attempt reads them alike. */
  received: number;
}

/** Values may lie so far ahead: clocks of sources differ, and so do ideas of when a day ends. */
const futureMs = 86_400_000;

/** What the thread that reads these files is told. */
export function readingTask(
  settings: Pick<Settings, "expandedBytesMax">,
  { files, spoolPath, options, received }: FilesToRead,
): Omit<ReadingTask, "memory"> {
  const { timezone, unit, mapping, format, meter, account_timezone } = options;
  const units = [...metrics.values()].filter(({ cost }) => !cost).map(({ name, unit: base }) => [name, base]);
  return {
    files,
    spoolPath,
    meter,
    accountZone: account_timezone,
    reading: {
      defaultTimezone: account_timezone,
      ...(timezone === undefined ? {} : { timezone }),
      ...(unit === undefined ? {} : { unit }),
      ...(mapping === undefined ? {} : { mapping }),
      // A mapping is for tables alone.
      ...(mapping !== undefined ? { format: "mapper" } : format === undefined ? {} : { format }),
      expandedBytesMax: settings.expandedBytesMax,
      units: Object.fromEntries(units),
      qualities,
      futureFrom: received + futureMs,
    },
  };
}
