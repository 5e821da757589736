/**
 * Micro bench of the block codec and of JSON values: `node bench/codec.ts`.
 *
 * Every row is measured in the same run as a plain copy of the same doubles; the ratio to it says more than the
 * absolute speed, which depends on the machine and its other work. Not a test: nothing is asserted about time.
 */
import { DecimalSum, decimalOf } from "../server/src/platform/decimal.ts";
import { JsonBytes } from "../server/src/platform/value-json.ts";
import { addTotal, decodeRuns, decodeValues, encodeBlock } from "../server/src/series/block-codec.ts";
import { RunsBuilder, type SourceRuns } from "../server/src/series/block-planes.ts";
import { SlotSums } from "../server/src/series/slot-sums.ts";
import { dice } from "./dice.ts";

const meters = 300;
const hours = 744;
const rounds = 15;

/** A month of hours of each meter, in thousandths, 1 % gaps. */
function monthOf(kind: string, meter: number): Float64Array {
  const random = dice(meter + 1);
  const level = 0.3 + 5 * random() ** 3;
  let reading = 1e6 * random();
  return Float64Array.from({ length: hours }, (_, hour) => {
    const day = 1 + 0.6 * Math.sin((hour / 24) * 2 * Math.PI);
    const use = level * day * (0.5 + random());
    reading += use;
    if (random() < 0.01) return Number.NaN;
    const value: Record<string, number> = {
      electricity: use,
      "district heating": Math.round(20 * use) / 10,
      water: random() < 0.6 ? 0 : use / 20,
      temperature: 21 + 2 * day + random() / 2,
      readings: reading,
    };
    return Math.round(1000 * value[kind]!) / 1000;
  });
}

/** A month delivered day by day. */
function dailyRuns(meter: number): SourceRuns {
  const builder = new RunsBuilder();
  for (let day = 0; day < 31; day++) {
    const doc = 1000 + 100 * day + (meter % 50);
    builder.append(24, { doc, confirmed: doc, flags: 0 });
  }
  return builder.finish();
}

/** Median of the rounds, in milliseconds. */
function median(work: () => void): number {
  for (let i = 0; i < 10; i++) work();
  const times = Array.from({ length: rounds }, () => {
    const start = performance.now();
    work();
    return performance.now() - start;
  });
  return times.toSorted((a, b) => a - b)[rounds >> 1]!;
}

const total = meters * hours;
/** Values in millions per second. */
const speed = (milliseconds: number) => total / milliseconds / 1000;

function benchCodec(kind: string): void {
  const months = Array.from({ length: meters }, (_, meter) => monthOf(kind, meter));
  const runs = months.map((_, meter) => dailyRuns(meter));
  const bare = months.map((values) => encodeBlock(values));
  const full = months.map((values, meter) => encodeBlock(values, runs[meter]));
  const out = new Float64Array(hours);
  const part = { to: hours };
  const copy = median(() => {
    for (const values of months) out.set(values);
  });
  const rows: Record<string, number> = {
    encode: median(() => {
      for (const values of months) encodeBlock(values);
    }),
    "encode with origins": median(() => {
      for (let meter = 0; meter < meters; meter++) encodeBlock(months[meter]!, runs[meter]);
    }),
    decode: median(() => {
      for (const block of full) decodeValues(block, out);
    }),
    "add slot by slot": median(() => {
      const sums = new SlotSums(hours);
      for (const block of full) sums.add(block, part);
    }),
    "add to a total": median(() => {
      const sum = new DecimalSum();
      for (const block of full) addTotal(block, part, sum);
    }),
    "read origins": median(() => {
      for (const block of full) decodeRuns(block);
    }),
  };
  const bytes = (blocks: Buffer[]) =>
    (blocks.reduce((sum, block) => sum + block.length, 0) / total).toFixed(2);
  console.log(`\n${kind}: ${bytes(bare)} bytes per value, ${bytes(full)} with origins`);
  console.log(`  ${"copy of doubles".padEnd(22)}${speed(copy).toFixed(0).padStart(6)} M/s`);
  for (const [name, time] of Object.entries(rows)) {
    console.log(
      `  ${name.padEnd(22)}${speed(time).toFixed(0).padStart(6)} M/s${(time / copy).toFixed(1).padStart(8)} × copy`,
    );
  }
}

function benchJson(kind: string): void {
  const year = new Float64Array(12 * hours);
  for (let month = 0; month < 12; month++) year.set(monthOf(kind, month), month * hours);
  const plain = Array.from(year);
  let bytes = 0;
  const stringify = median(() => {
    for (let i = 0; i < 20; i++) bytes += Buffer.from(JSON.stringify(plain)).length;
  });
  const direct = median(() => {
    for (let i = 0; i < 20; i++) bytes -= new JsonBytes(65_536).values(year).finish().length;
  });
  if (bytes !== 0) throw new Error("the two texts differ in length");
  const each = (time: number) => `${((time / 20) * 1000).toFixed(0)} µs`;
  console.log(
    `  ${kind.padEnd(22)}JSON.stringify ${each(stringify)}, direct ${each(direct)}: ${(stringify / direct).toFixed(1)} ×`,
  );
}

const kinds = ["electricity", "district heating", "water", "temperature", "readings"];
// A first round of all kinds unmeasured: the compiler has then seen every path.
const log = console.log;
console.log = () => undefined;
for (const kind of kinds) benchCodec(kind);
console.log = log;
for (const kind of kinds) benchCodec(kind);
console.log("\nJSON of a year of hours");
for (const kind of kinds) benchJson(kind);

const values = Array.from({ length: 1000 }, (_, i) => i / 1000);
const time = median(() => {
  for (let i = 0; i < total / 1000; i++) for (const value of values) decimalOf(value);
});
console.log(`\nscaled integer of a double: ${speed(time).toFixed(0)} M/s`);
