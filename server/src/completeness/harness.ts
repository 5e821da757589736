import type { Connection, Cursor, MeterOutlook, Outlook } from "../collection/collection.ts";
import { scriptedConnector } from "../collection/harness.ts";
import type { Granularity } from "../platform/granularity.ts";

/** A connection that works, unless told otherwise. */
export function connectionOf(more: Partial<Connection> = {}): Connection {
  return {
    id: "c".repeat(24),
    accountId: "a".repeat(24),
    provider: "scripted",
    name: null,
    settings: {},
    sealed: Buffer.alloc(0),
    memory: null,
    state: "collecting",
    stateSince: 0,
    failure: null,
    failures: 0,
    failingSince: null,
    nextRun: null,
    nextReason: "schedule",
    runId: null,
    version: 0,
    codePrompt: null,
    codeUntil: null,
    discovered: null,
    collected: null,
    invoiced: null,
    backfillFrom: null,
    backfillTo: null,
    deleting: null,
    created: 0,
    updated: 0,
    ...more,
  };
}

/** What a source brings and how far it has come. */
export interface OutlookParts extends Partial<Omit<Outlook, "source" | "cursors">> {
  granularities?: readonly Granularity[];
  cursor?: Partial<Cursor> | null;
  lastFound?: number;
  vanished?: number | null;
}

/** The outlook of a source of energy that works, unless told otherwise. */
export function outlookOf({
  granularities = ["hour"],
  cursor = {},
  lastFound = 0,
  vanished = null,
  ...more
}: OutlookParts = {}): Outlook {
  const sourceId = "5".repeat(24);
  return {
    source: {
      id: sourceId,
      accountId: "a".repeat(24),
      provider: "scripted",
      found: { key: "1", ean: null, type: "electricity", metrics: [{ metric: "energy", granularities }] },
      lastFound,
      vanished,
    },
    from: null,
    to: null,
    connection: connectionOf(),
    cursors:
      cursor === null
        ? []
        : [
            {
              sourceId,
              metric: "energy",
              granularity: granularities[0]!,
              firstAsked: 0,
              until: 0,
              latenessMs: 0,
              gapsAsked: null,
              oldGapsAsked: null,
              ...cursor,
            },
          ],
    connector: scriptedConnector(),
    ...more,
  };
}

/** A meter with these sources. */
export const meterOutlook = (...outlooks: Outlook[]): MeterOutlook => ({ outlooks, from: null, to: null });
