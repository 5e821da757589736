import { findInflux } from "./peers/influx.ts";
import { type Figure, measure, type PeerRow } from "./peers/measure.ts";
import { findVictoria } from "./peers/victoria.ts";
import type { Row } from "./store.ts";

/** The figures of one peer. */
export interface PeerTable {
  title: string;
  notes: readonly string[];
  rows: PeerRow[];
}

/** Which of our rows (by how its name starts) stands beside which figure, and how many times better it shall be. */
interface Pair {
  ours: string;
  figure: Figure;
  influx?: number;
  victoria?: number;
}

/**
 * The store's own rows are asked without HTTP, which the peers have no way around; the rows over HTTP are like
 * for like. Months of the peers come from hours, ours are stored.
 */
const pairs: readonly Pair[] = [
  { ours: "R1: ", figure: "year", influx: 40, victoria: 8 },
  { ours: "R1 over HTTP: 200 meters", figure: "year requests", victoria: 3 },
  { ours: "R3: ", figure: "hour sums", influx: 150, victoria: 3 },
  { ours: "R3 over HTTP", figure: "hour sums" },
  { ours: "R2: ", figure: "month sums", victoria: 30 },
  { ours: "R2 from hours", figure: "year of hour sums", victoria: 1 },
  { ours: "bulk store write", figure: "bulk", victoria: 14 },
  { ours: "bulk over HTTP", figure: "bulk", victoria: 1.4 },
  { ours: "deliveries, own transaction", figure: "delivery, 8 clients", influx: 1 },
  { ours: "deliveries over HTTP, 64 clients", figure: "delivery, 64 clients" },
  { ours: "deliveries, 64 meters a batch", figure: "delivery, batches", influx: 1 },
  { ours: "correction", figure: "correction" },
  { ours: "disk", figure: "disk", victoria: 0.9 },
];

/**
 * Starts each peer that is installed, one after another, loads the same years and asks the same questions; says
 * which are not installed. Every answer is compared with the years; one that differs ends the bench.
 */
export async function* peers(
  years: readonly Float64Array[],
  ours: readonly Row[],
): AsyncGenerator<PeerTable> {
  const found = [findInflux(), findVictoria()];
  if (found[0] === undefined) console.log("\nInfluxDB 1.x is not installed (Debian: influxdb): left out");
  if (found[1] === undefined)
    console.log("\nVictoriaMetrics is not installed (Debian: victoria-metrics): left out");
  for (const peer of found) {
    if (peer === undefined) continue;
    const server = await peer.start();
    try {
      const rows = await measure({ peer, server, years });
      yield { title: peer.title, notes: peer.notes, rows: rows.map((row) => besideOurs(row, ours)) };
    } finally {
      await server.stop();
    }
  }
}

/** One line for each of our rows that has a counterpart, with the factor by which ours is better. */
export function comparison(tables: readonly PeerTable[], ours: readonly Row[]): string[] {
  const lines = [["factor > 1: ours is better", "ours", ...tables.map((table) => table.title)]];
  for (const pair of pairs) {
    const own = ours.find((row) => row.name.startsWith(pair.ours));
    if (own === undefined) continue;
    const cells = tables.map((table) => cellOf(own, pair, table));
    lines.push([own.name, `${short(own.value)} ${own.unit}`, ...cells]);
  }
  lines.push(...syncsOf(tables, ours));
  return lines.map((cells) =>
    cells
      .map((cell, i) => cell.padEnd(i === 0 ? 58 : 26))
      .join(" ")
      .trimEnd(),
  );
}

/** The disk as each found it: durable writes of two columns compare only when it took about as many syncs. */
function syncsOf(tables: readonly PeerTable[], ours: readonly Row[]): string[][] {
  const own = ours.find((row) => row.boundName?.startsWith("write + fdatasync"))?.bound;
  if (own === undefined) return [];
  const theirs = tables.map((table) => table.rows.find((row) => row.figure === "syncs")!.value);
  const cells = theirs.map((syncs) => `${short(syncs)}${differs(syncs, own) ? " (do not compare)" : ""}`);
  return [["syncs of the disk at that time", `${short(own)} writes/s`, ...cells]];
}

function differs(a: number, b: number): boolean {
  return Math.max(a, b) > 1.5 * Math.min(a, b);
}

function cellOf(own: Row, pair: Pair, table: PeerTable): string {
  const rows = table.rows.filter((row) => row.figure === pair.figure);
  const values = rows.map((row) => row.value);
  const best = own.more ? Math.max(...values) : Math.min(...values);
  const factor = own.more ? own.value / best : best / own.value;
  const target = table.title.startsWith("InfluxDB") ? pair.influx : pair.victoria;
  return `${short(best)} = ${short(factor)} x${target === undefined ? "" : ` (target ${target})`}`;
}

function short(value: number): string {
  return value >= 100 ? value.toFixed(0) : value.toPrecision(3);
}

function besideOurs(row: PeerRow, ours: readonly Row[]): PeerRow {
  const pair = pairs.find(({ figure }) => figure === row.figure);
  const own = pair && ours.find(({ name }) => name.startsWith(pair.ours));
  return own === undefined ? row : { ...row, bound: own.value, boundName: "ours" };
}
