import { any, type Queryable, sql } from "../platform/db.ts";
import { type Connection, connectionColumns } from "./connection.ts";
import type { Connector } from "./connector.ts";
import { type Cursor, cursorsOf } from "./cursor.ts";
import { boundsOf, eventsOf, type MeterEvent } from "./meter-event.ts";
import { expectedAt } from "./schedule.ts";
import { instantsOf, type Source, sourceColumns } from "./source.ts";
import { gapsTried } from "./wanted.ts";

/** What is to be expected of the sources of meters: for those who say why values are missing, and when they come. */

/** What collection knows of one source of a meter. Instants are epoch ms. */
export interface Outlook {
  source: Pick<Source, "id" | "accountId" | "provider" | "found" | "lastFound" | "vanished">;
  /** Values belong to the meter's holder within `[from, to)`; null where there is no bound. */
  from: number | null;
  to: number | null;
  /** Null when it was deleted. */
  connection: Connection | null;
  /** How far each metric and granularity has come. */
  cursors: readonly Cursor[];
  /** Undefined when this server does not know the provider any more. */
  connector: Connector | undefined;
}

/** Sources of one root meter, and the bounds of its holder by events that are about no source. */
export interface MeterOutlook {
  outlooks: readonly Outlook[];
  from: number | null;
  to: number | null;
}

const noSource = "";

/** The outlooks of root meters, by id: four queries however many they are. */
export async function outlooksOf(
  db: Queryable,
  meters: readonly { id: string; timezone: string }[],
  connectors: readonly Connector[],
): Promise<Map<string, MeterOutlook>> {
  const ids = meters.map((meter) => meter.id);
  const sources = await db.rows<Source>(sql`
    select ${sourceColumns} from meter_source where meter_id = ${any(ids)} order by rank desc, id`);
  const events = Map.groupBy(await eventsOf(db, ids), (event) => event.meterId);
  const connections = await connectionsById(db, sources);
  const cursors = await cursorsOf(
    db,
    sources.map(({ id }) => id),
  );
  const cursorsBySource = Map.groupBy(cursors.values(), (cursor) => cursor.sourceId);
  const byMeter = Map.groupBy(sources, (source) => source.meterId);
  return new Map(
    meters.map(({ id, timezone }) => {
      const bounds = (sourceId: string) => boundsIn(timezone, events.get(id) ?? [], sourceId);
      const outlooks = (byMeter.get(id) ?? []).map(
        (source): Outlook => ({
          source,
          ...bounds(source.id),
          connection: connections.get(source.connectionId ?? "") ?? null,
          cursors: cursorsBySource.get(source.id) ?? [],
          connector: connectors.find(({ name }) => name === source.provider),
        }),
      );
      return [id, { outlooks, ...bounds(noSource) }];
    }),
  );
}

const boundsIn = (timezone: string, events: readonly MeterEvent[], sourceId: string) =>
  instantsOf(boundsOf(events, sourceId), timezone);

async function connectionsById(
  db: Queryable,
  sources: readonly Source[],
): Promise<ReadonlyMap<string, Connection>> {
  const ids = [...new Set(sources.flatMap(({ connectionId }) => connectionId ?? []))];
  const rows = await db.rows<Connection>(sql`
    select ${connectionColumns} from connection c where c.id = ${any(ids)} and c.deleting is null`);
  return new Map(rows.map((row) => [row.id, row]));
}

/** How connections are called, by id. */
export async function connectionNames(
  db: Queryable,
  ids: readonly string[],
): Promise<Map<string, Pick<Connection, "name" | "provider">>> {
  const rows = await db.rows<Pick<Connection, "id" | "name" | "provider">>(
    sql`select id, name, provider from connection where id = ${any(ids)}`,
  );
  return new Map(rows.map(({ id, name, provider }) => [id, { name, provider }]));
}

/** When the value of the granule that begins at `start` is usually there, epoch ms. */
export function usuallyAt(cursor: Pick<Cursor, "granularity" | "latenessMs">, zone: string, start: number) {
  return expectedAt({ ...cursor, zone, until: start });
}

/** When the next run of a connection begins, epoch ms: now when one is on or due, null when none begins by itself. */
export function nextRunOf({ runId, nextRun }: Connection, now: number): number | null {
  if (runId !== null) return now;
  return nextRun === null ? null : Math.max(nextRun, now);
}

/** From a gap at `from` on, epoch ms: when it is asked for again, null for never. */
export interface AskedAgain {
  from: number;
  at: number | null;
}

/**
 * When gaps of which the provider had nothing are asked for again, by where they lie: with the next run while the
 * provider still corrects that day, before that once a day, further back once a week, and in the end never.
 */
export function askedAgain(
  { connection, connector }: Pick<Outlook, "connection" | "connector">,
  cursor: Cursor,
  now: number,
): AskedAgain[] {
  const next = connection === null ? null : nextRunOf(connection, now);
  const corrected = cursor.until - (connector?.correctionDays ?? 0) * 86_400_000;
  return [
    ...gapsTried(cursor, now).map(({ from, at }) => ({
      from,
      at: at === null || next === null ? null : Math.max(at, next),
    })),
    { from: corrected, at: next },
  ];
}
