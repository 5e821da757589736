/**
 * `npm run bench`: 2,000 meters, a year of hours, on a database of its own with durable settings. Prints each
 * figure beside a bound that was measured in the same run; only the ratio travels between machines.
 *
 * `--meters N` for a smaller run, `--store`, `--http` or `--streams` for one part. `--lists` measures pages of meters instead, at
 * 100,000 meters and 10,000 tree nodes: `--rounds N` each, on the server of `--url` when given. `--codec` measures
 * packing alone, `--collection` the way from a connection to its first values, `--schedule` that of 50,000 connections.
 */
import { parseArgs } from "node:util";
import { collection } from "./collection.ts";
import { http } from "./http.ts";
import { lists } from "./lists.ts";
import { comparison, type PeerTable, peers } from "./peers.ts";
import { schedule } from "./schedule.ts";
import { corrections, deliveries, load, type Row, reads } from "./store.ts";
import { streams } from "./streams.ts";
import { openWorld, yearOf } from "./world.ts";

const { values: flags } = parseArgs({
  options: {
    meters: { type: "string", default: "2000" },
    parts: { type: "string", default: "8" },
    store: { type: "boolean" },
    http: { type: "boolean" },
    streams: { type: "boolean" },
    peers: { type: "boolean" },
    lists: { type: "boolean" },
    codec: { type: "boolean" },
    collection: { type: "boolean" },
    schedule: { type: "boolean" },
    rounds: { type: "string", default: "15" },
    url: { type: "string" },
  },
});

if (flags.codec === true) await import("./codec.ts");
else if (flags.collection === true) print("Collection", await collection());
else if (flags.schedule === true) await schedule({ url: flags.url });
else if (flags.lists === true) await lists({ rounds: Number(flags.rounds), url: flags.url });
else await values();

/** Is this part asked for? All are unless some are named. */
function wants(part: "store" | "http" | "streams"): boolean {
  return flags[part] === true || !(flags.store || flags.http || flags.streams);
}

async function values(): Promise<void> {
  const count = Number(flags.meters);
  const years = Array.from({ length: count }, (_, meter) => yearOf(meter));
  const ours: Row[] = [];
  const tell = (title: string, rows: readonly Row[]) => {
    print(title, rows);
    ours.push(...rows);
  };
  const world = await openWorld(count, Number(flags.parts));
  try {
    tell("Store: bulk load", await load(world, years));
    if (wants("store")) {
      tell("Store: reads", await reads(world, years));
      tell("Store: small durable writes", await deliveries(world));
      tell("Store: corrections", await corrections(world));
    }
    if (wants("http")) tell("Over HTTP", await http(world));
    if (wants("streams")) tell("Streams", await streams(world));
  } finally {
    await world.stop();
  }
  if (flags.peers === true) await besidePeers(years, ours);
}

/** Asks the peers after our own servers have stopped, and prints one table of factors. */
async function besidePeers(years: readonly Float64Array[], ours: readonly Row[]): Promise<void> {
  const tables: PeerTable[] = [];
  for await (const table of peers(years, ours)) {
    tables.push(table);
    print([table.title, ...table.notes].join("\n  "), table.rows);
  }
  if (tables.length > 0) console.log(`\n${comparison(tables, ours).join("\n")}`);
}

function print(title: string, rows: readonly Row[]): void {
  console.log(`\n${title}`);
  for (const row of rows) {
    const ratio =
      row.bound === undefined
        ? ""
        : ` = ${number(row.value / row.bound)} x ${row.boundName} (${number(row.bound)})`;
    console.log(`  ${row.name.padEnd(58)} ${number(row.value).padStart(9)} ${row.unit}${ratio}`);
  }
}

function number(value: number): string {
  return value >= 100 ? value.toFixed(0) : value.toPrecision(3);
}
