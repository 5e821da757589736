import { perSecond, requestRate } from "../clients.ts";
import { serialSyncs } from "../flat.ts";
import type { Row } from "../store.ts";
import { hours, median, timed } from "../world.ts";
import { equal, equalMonths, equalSums, equalYear, present, sumsOf } from "./answers.ts";
import { linesOf, nameOf, type Peer, year } from "./peer.ts";
import type { Server } from "./server.ts";

const hour = 3_600_000;
/** Milliseconds that a reader waits for a correction. */
const patience = 5_000;

/** What a peer was asked. */
export type Figure =
  | "bulk"
  | "disk"
  | "year"
  | "year requests"
  | "hour sums"
  | "year of hour sums"
  | "month sums"
  | "delivery, 8 clients"
  | "delivery, 64 clients"
  | "delivery, batches"
  | "syncs"
  | "correction";

/** A figure of a peer; those without `figure` are told for the record and compared with nothing. */
export interface PeerRow extends Row {
  figure?: Figure;
}

/** A running peer and the years of all meters, NaN for gaps. */
export interface PeerRun {
  peer: Peer;
  server: Server;
  years: readonly Float64Array[];
}

/** Loads the years and asks everything once; throws when an answer is not what the years say. */
export async function measure(run: PeerRun): Promise<PeerRow[]> {
  return [
    ...(await load(run)),
    ...(await reads(run)),
    ...(await requests(run)),
    ...(await deliveries(run)),
    ...(await corrections(run)),
  ];
}

/** Ten meters a request on four connections. Making the text is not counted, nor is what settles afterwards. */
async function load({ peer, server, years }: PeerRun): Promise<PeerRow[]> {
  const group = 10;
  const bodies = 8;
  let milliseconds = 0;
  for (let from = 0; from < years.length; from += group * bodies) {
    const texts = Array.from({ length: bodies }, (_, body) =>
      years
        .slice(from + body * group, Math.min(from + (body + 1) * group, years.length))
        .map((values, i) => linesOf(from + body * group + i, values))
        .join(""),
    ).filter((text) => text !== "");
    const start = performance.now();
    const write = (i: number) => server.send({ path: peer.writePath, body: texts[i]! });
    await perSecond({ count: texts.length, clients: 4 }, write);
    milliseconds += performance.now() - start;
  }
  const values = years.reduce((sum, of) => sum + present(of), 0);
  await peer.makeVisible(server);
  await settled(server);
  equal("number of values", await peer.count(server, year), values);
  const bytes = server.bytes() / values;
  const rate = values / milliseconds / 1_000;
  return [
    { name: "bulk write over HTTP, text", figure: "bulk", value: rate, unit: "M values/s", more: true },
    { name: "disk, compacted", figure: "disk", value: bytes, unit: "bytes/value", more: false },
  ];
}

/** Waits until the folder keeps its size for 10 s, longer than a peer waits to compact; at most 3 minutes. */
async function settled(server: Server): Promise<void> {
  let bytes = server.bytes();
  for (let all = 0, same = 0; all < 180 && same < 10; all++) {
    await new Promise((resolve) => setTimeout(resolve, 1_000));
    const now = server.bytes();
    same = now === bytes ? same + 1 : 0;
    bytes = now;
  }
}

async function reads({ peer, server, years }: PeerRun): Promise<PeerRow[]> {
  const ms = { unit: "ms", more: false };
  const rows: PeerRow[] = [];
  for (const way of peer.years) {
    const read = async (meter: number) =>
      way.decode(await server.send({ path: way.path(nameOf(meter)), headers: way.headers ?? {} }));
    for (const meter of [0, 1, years.length - 1]) equalYear(way.name, await read(meter), years[meter]!);
    const value = await timed(100, (i) => read((i * 37) % years.length));
    rows.push({ name: `R1: a year of hours of one meter, ${way.name}`, figure: "year", value, ...ms });
  }
  const { name, path, headers } = peer.binaryYear;
  const binary = await timed(100, (i) =>
    server.send({ path: path(nameOf((i * 37) % years.length)), headers: headers ?? {} }),
  );
  rows.push({ name: `R1: received only, ${name}`, value: binary, ...ms });
  return [...rows, ...(await sums({ peer, server, years }))];
}

async function sums({ peer, server, years }: PeerRun): Promise<PeerRow[]> {
  const ms = { unit: "ms", more: false };
  const r3 = `R3: ${years.length} meters summed over 720 hours`;
  const r2 = `R2: 12 months of ${years.length} meters, from hours`;
  const all = `R2 from hours: ${years.length} meters summed over a year`;
  const month = (cached: boolean) => peer.hourSums(server, { count: 720, cached });
  const monthly = (cached: boolean) => peer.monthSums(server, { cached });
  equalSums(r3, await month(false), sumsOf(years, 720));
  equalMonths(await monthly(false), years);
  const rows: PeerRow[] = [
    { name: r3, figure: "hour sums", value: await timed(3, () => month(false)), ...ms },
    { name: r2, figure: "month sums", value: await timed(1, () => monthly(false)), ...ms },
  ];
  if (peer.keepsAnswers) {
    rows.push({ name: `${r3}, kept answer`, value: await timed(3, () => month(true)), ...ms });
    rows.push({ name: `${r2}, kept answer`, value: await timed(3, () => monthly(true)), ...ms });
  }
  // Once and not warmed: it takes long at one of them.
  const start = performance.now();
  const year = await peer.hourSums(server, { count: hours, cached: false });
  rows.push({ name: all, figure: "year of hour sums", value: performance.now() - start, ...ms });
  equalSums(all, year, sumsOf(years, hours));
  return rows;
}

/** Undecoded years a second, 200 meters in turn, with the connections that ours has. */
async function requests({ peer, server, years }: PeerRun): Promise<PeerRow[]> {
  const rows: PeerRow[] = [];
  const meters = Array.from({ length: Math.min(200, years.length) }, (_, i) => (i * 37) % years.length);
  for (const { name, path, headers } of peer.years) {
    const paths = meters.map((meter) => path(nameOf(meter)));
    const value = await requestRate({
      origin: server.origin,
      paths,
      ...(headers === undefined ? {} : { headers }),
    });
    rows.push({
      name: `R1 over HTTP: ${meters.length} meters in turn, ${name}`,
      figure: "year requests",
      value,
      unit: "requests/s",
      more: true,
    });
  }
  return rows;
}

/** Days of hours of single meters, and of 64 meters a request, after the year; each day of a meter once. */
async function deliveries({ peer, server, years }: PeerRun): Promise<PeerRow[]> {
  const kinds: { figure: Figure; clients: number; meters: number; most: number }[] = [
    { figure: "delivery, 8 clients", clients: 8, meters: 1, most: 4_000 },
    { figure: "delivery, 64 clients", clients: 64, meters: 1, most: 6_000 },
    { figure: "delivery, batches", clients: 3, meters: 64, most: 12_800 },
  ];
  const syncs = "write + fdatasync of the disk, one after another";
  const rows: PeerRow[] = [
    { name: syncs, figure: "syncs", value: serialSyncs(), unit: "writes/s", more: true },
  ];
  let firstDay = 0;
  let sent = 0;
  for (const { figure, clients, meters, most } of kinds) {
    const count = Math.floor(Math.min(most, 20 * years.length) / meters);
    const lines = (delivery: number) => {
      const values = years[delivery % years.length]!.subarray(0, 24);
      sent += present(values);
      const day = firstDay + Math.floor(delivery / years.length);
      return linesOf(delivery % years.length, values, hours + 24 * day);
    };
    const rate = await perSecond({ count, clients }, (i) => {
      const body = Array.from({ length: meters }, (_, k) => lines(i * meters + k)).join("");
      return server.send({ path: peer.writePath, body });
    });
    const what = meters === 1 ? `deliveries, ${clients} clients` : `deliveries, ${meters} meters a batch`;
    rows.push({ name: what, figure, value: rate * meters, unit: "meters/s", more: true });
    firstDay += Math.ceil((count * meters) / years.length);
  }
  await peer.makeVisible(server);
  const span = { from: year.to, to: year.to + firstDay * 24 * hour };
  equal("number of delivered values", await peer.count(server, span), sent);
  return rows;
}

/**
 * One hour written again, down and up: until it is accepted, until a reader sees it, and whether the last one
 * written is the one that is read. Every kind has hours of its own.
 */
async function corrections({ peer, server, years }: PeerRun): Promise<PeerRow[]> {
  const way = peer.years[0]!;
  const correct = (meter: number, at: number, value: number) =>
    server.send({ path: peer.writePath, body: linesOf(meter, Float64Array.of(value), at) });
  const read = async (meter: number, at: number) =>
    way.decode(await server.send({ path: way.path(nameOf(meter)), headers: way.headers ?? {} }))[at]!;
  const accepted = await timed(100, (i) => correct((i * 13) % years.length, 5_000, i + 0.5));
  const many = Math.min(30, years.length);
  const delays: number[] = [];
  for (let meter = 0; meter < many; meter++) {
    const value = meter % 2 === 0 ? 100.25 : 0.001;
    const start = performance.now();
    await correct(meter, 6_000, value);
    let seen = false;
    while (!seen && performance.now() < start + patience) seen = (await read(meter, 6_000)) === value;
    if (seen) delays.push(performance.now() - start);
  }
  const wrong = 1_000;
  const right = (meter: number) => (meter % 2 === 0 ? 2_000 : 0.001);
  for (let meter = 0; meter < many; meter++) await correct(meter, 7_000, wrong);
  for (let meter = 0; meter < many; meter++) await correct(meter, 7_000, right(meter));
  await peer.makeVisible(server);
  await new Promise((resolve) => setTimeout(resolve, patience));
  let last = 0;
  for (let meter = 0; meter < many; meter++) if ((await read(meter, 7_000)) === right(meter)) last++;
  const percent = { unit: "%", more: true };
  const ms = { unit: "ms", more: false };
  return [
    { name: "correction of one hour, accepted", figure: "correction", value: accepted, ...ms },
    { name: "correction of one hour, until it is read", value: median(delays), ...ms },
    { name: "corrections that are read within 5 s", value: (100 * delays.length) / many, ...percent },
    { name: "two corrections in a row: the last is read after 5 s", value: (100 * last) / many, ...percent },
  ];
}
