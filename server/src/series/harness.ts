import { type Db, sql } from "../platform/db.ts";
import type { Granularity } from "../platform/granularity.ts";
import type { RootMeter } from "./series.ts";

let meterNumber = 0;

/** A root meter of an account that tests share. */
export async function newMeter(
  db: Db,
  { timezone = "Europe/Stockholm", part = 7 }: { timezone?: string; part?: number } = {},
): Promise<RootMeter> {
  meterNumber++;
  const id = meterNumber.toString(16).padStart(24, "0");
  const holder = "a00000000000000000000000";
  await db.run(sql`insert into account (id, name, name_folded, part, created)
    values (${holder}, 'A', 'a', ${part}, now()) on conflict do nothing`);
  await db.run(sql`insert into meter (id, root_id, holder_id, root_holder_id, control_level, created, updated, part, type, timezone)
    values (${id}, ${id}, ${holder}, ${holder}, 'owned', now(), now(), ${part}, 'electricity', ${timezone})`);
  return { id, part, timezone };
}

/** Statistics of the energy of a meter as they are stored, the finest granularity first. */
export async function storedStats(db: Db, meter: RootMeter) {
  const rows = await db.rows<{
    gran: Granularity;
    first: number;
    last: number;
    min: number;
    max: number;
    sum: number;
    count: number;
  }>(
    sql`select gran, first, last, min, max, sum::float8 as sum, count from meter_stat
        where part = ${meter.part} and meter_id = ${meter.id} and metric = 'energy'`,
  );
  const order = ["5min", "10min", "15min", "30min", "hour", "day", "month"];
  return rows.sort((a, b) => order.indexOf(a.gran) - order.indexOf(b.gran));
}
