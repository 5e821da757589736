import { crc32, deflateRawSync, gzipSync } from "node:zlib";
import { describe, expect, test } from "vitest";
import { type FileSource, memoryFile, unpack } from "./container.ts";
import { openFiles } from "./open.ts";
import { Fault } from "./problems.ts";

const limits = { expandedBytesMax: 50_000_000 };
const text = "100,NEM12,202401160930,MDP1,RET1\n900\n";

interface Packed {
  name: string;
  content: Uint8Array;
  /** Zip flags; bit 0 says encrypted. */
  flags?: number;
  method?: number;
  /** What the table of contents claims instead of the truth. */
  claimedSize?: number;
}

/** A zip as archivers write it: entries, their table, its end. */
function zipOf(files: Packed[], countClaimed = files.length): Buffer {
  const parts: Buffer[] = [];
  const table: Buffer[] = [];
  let offset = 0;
  for (const { name, content, flags = 0, method = 8, claimedSize = content.length } of files) {
    const data = method === 8 ? deflateRawSync(content) : Buffer.from(content);
    const shared = Buffer.alloc(26);
    shared.writeUInt16LE(20, 0);
    shared.writeUInt16LE(flags, 2);
    shared.writeUInt16LE(method, 4);
    shared.writeUInt32LE(crc32(content), 10);
    shared.writeUInt32LE(data.length, 14);
    shared.writeUInt32LE(claimedSize, 18);
    shared.writeUInt16LE(Buffer.byteLength(name), 22);
    const local = Buffer.concat([Buffer.from("PK\x03\x04"), shared, Buffer.from(name), data]);
    const rest = Buffer.alloc(14);
    rest.writeUInt32LE(offset, 10);
    table.push(Buffer.concat([Buffer.from("PK\x01\x02\x14\x00"), shared, rest, Buffer.from(name)]));
    parts.push(local);
    offset += local.length;
  }
  const contents = Buffer.concat(table);
  const end = Buffer.alloc(18);
  end.writeUInt16LE(countClaimed, 4);
  end.writeUInt16LE(countClaimed, 6);
  end.writeUInt32LE(contents.length, 8);
  end.writeUInt32LE(offset, 12);
  return Buffer.concat([...parts, contents, Buffer.from("PK\x05\x06"), end]);
}

async function unpacked(source: FileSource, bounds = limits): Promise<Record<string, string>> {
  const found: Record<string, string> = {};
  for await (const { name, content } of unpack(source, bounds)) {
    const chunks: Uint8Array[] = [];
    for await (const chunk of content) chunks.push(chunk);
    found[name] = Buffer.concat(chunks).toString("latin1");
  }
  return found;
}

const unzipped = (files: Packed[]) => unpacked(memoryFile("a.zip", zipOf(files)));

describe("what is taken out", () => {
  test("a plain file is itself", async () => {
    expect(await unpacked(memoryFile("a.csv", Buffer.from(text)))).toEqual({ "a.csv": text });
    expect(await unpacked(memoryFile("empty.csv", Buffer.alloc(0)))).toEqual({ "empty.csv": "" });
  });

  test("a gzip is the file inside", async () => {
    expect(await unpacked(memoryFile("a.csv.gz", gzipSync(text)))).toEqual({ "a.csv": text });
  });

  test("a zip is its files, stored or deflated, without folders and what desktops leave", async () => {
    const files = [
      { name: "folder/", content: Buffer.alloc(0), method: 0 },
      { name: "folder/a.csv", content: Buffer.from("A") },
      { name: "b.csv", content: Buffer.from("B"), method: 0 },
      { name: "__MACOSX/._b.csv", content: Buffer.from("x") },
      { name: ".DS_Store", content: Buffer.from("x") },
    ];
    expect(await unzipped(files)).toEqual({ "a.zip/folder/a.csv": "A", "a.zip/b.csv": "B" });
  });

  test("a container inside a container is opened, one inside that is refused", async () => {
    const inner = zipOf([{ name: "c.csv", content: Buffer.from("C") }]);
    expect(await unzipped([{ name: "b.csv.gz", content: gzipSync("B") }])).toEqual({ "a.zip/b.csv": "B" });
    expect(await unzipped([{ name: "b.zip", content: inner }])).toEqual({ "a.zip/b.zip/c.csv": "C" });
    expect(await unpacked(memoryFile("a.gz", gzipSync(inner)))).toEqual({ "a/c.csv": "C" });
    const third = zipOf([{ name: "b.zip", content: zipOf([{ name: "c.gz", content: gzipSync("C") }]) }]);
    await expect(unpacked(memoryFile("a.zip", third))).rejects.toThrow(/archive inside an archive inside/);
    const gzips = gzipSync(gzipSync(gzipSync("C")));
    await expect(unpacked(memoryFile("a.gz", gzips))).rejects.toThrow(/archive inside an archive inside/);
  });

  test("a workbook stays whole", async () => {
    const book = zipOf([
      { name: "[Content_Types].xml", content: Buffer.from("<Types/>") },
      { name: "xl/workbook.xml", content: Buffer.from("<workbook/>") },
    ]);
    expect(await unpacked(memoryFile("a.xlsx", book))).toEqual({ "a.xlsx": book.toString("latin1") });
  });
});

describe("bombs", () => {
  test("a gzip of more than 100:1 stops soon after its first megabyte", async () => {
    let seen = 0;
    const source = memoryFile("bomb.gz", gzipSync(Buffer.alloc(40_000_000)));
    const read = async () => {
      for await (const { content } of unpack(source, limits))
        for await (const chunk of content) seen += chunk.length;
    };
    await expect(read()).rejects.toThrow(/100 times its size/);
    expect(seen).toBeLessThan(100 * source.size + 1_000_000);
  });

  test("short files may pack as well as they like", async () => {
    const zeros = Buffer.alloc(900_000, 48);
    expect((await unpacked(memoryFile("a.gz", gzipSync(zeros)))).a).toHaveLength(900_000);
  });

  test("a zip is measured over all its files, so that overlapping entries gain nothing", async () => {
    const files = Array.from({ length: 50 }, (_, i) => ({
      name: `${i}.csv`,
      content: Buffer.alloc(900_000),
    }));
    await expect(unzipped(files)).rejects.toThrow(/100 times its size/);
  });

  test("expanded size, number of files and claims of a workbook are bounded", async () => {
    const noise = Buffer.from(Array.from({ length: 200_000 }, (_, i) => (i * 7919) % 251));
    await expect(
      unpacked(memoryFile("a.gz", gzipSync(noise)), { expandedBytesMax: 100_000 }),
    ).rejects.toThrow(/larger/);
    const many = Array.from({ length: 1_001 }, (_, i) => ({ name: `${i}.csv`, content: Buffer.from("x") }));
    await expect(unzipped(many)).rejects.toThrow(/more than 1000/);
    const book = [{ name: "[Content_Types].xml", content: Buffer.from("<Types/>"), claimedSize: 2 ** 31 }];
    await expect(unzipped(book)).rejects.toThrow(Fault);
  });

  test("a table of contents that claims a million files is refused", async () => {
    const zip = zipOf([{ name: "a.csv", content: Buffer.from("x") }], 65_000);
    await expect(unpacked(memoryFile("a.zip", zip))).rejects.toThrow(Fault);
  });
});

describe("what cannot be read says so", () => {
  const file = { name: "a.csv", content: Buffer.from(text) };
  test.each<[string, Buffer, RegExp]>([
    ["encrypted", zipOf([{ ...file, flags: 1 }]), /encrypted/],
    ["of an unknown method", zipOf([{ ...file, method: 12 }]), /method 12/],
    ["of a wrong size", zipOf([{ ...file, claimedSize: 3 }]), /cannot be unpacked/],
    ["cut off", zipOf([file]).subarray(0, 60), /cannot be unpacked/],
    ["with a way out of the folder", zipOf([{ ...file, name: "../a.csv" }]), /cannot be unpacked/],
    ["empty", zipOf([]), /archive is empty/],
  ])("a zip %s", async (_, zip, message) => {
    await expect(unpacked(memoryFile("a.zip", zip))).rejects.toThrow(message);
    await expect(unpacked(memoryFile("a.zip", zip))).rejects.toThrow(Fault);
  });

  test("a gzip that is cut off or damaged", async () => {
    const whole = gzipSync(Buffer.from(Array.from({ length: 5_000 }, (_, i) => (i * i * 7_919) % 100_003)));
    expect(whole.length).toBeGreaterThan(3_000);
    const damaged = Buffer.from(whole);
    damaged[2_000]! ^= 0xff;
    await expect(unpacked(memoryFile("a.gz", whole.subarray(0, 2_000)))).rejects.toThrow(Fault);
    await expect(unpacked(memoryFile("a.gz", damaged))).rejects.toThrow(Fault);
  });

  test("a failing source is no fault of the file", async () => {
    const failing: FileSource = {
      name: "a.gz",
      size: 100,
      async *read(from) {
        if (from === 0) yield gzipSync(text).subarray(0, 12);
        throw Object.assign(new Error("read failed"), { code: "EIO" });
      },
    };
    await expect(unpacked(failing)).rejects.toThrow("read failed");
    await expect(unpacked(failing)).rejects.not.toThrow(Fault);
  });
});

describe("opened files tell everything as problems", () => {
  async function opened(source: FileSource) {
    const told: { name: string; format: string | null; problems: string[] }[] = [];
    for await (const { name, format, items } of openFiles(source)) {
      const problems: string[] = [];
      for await (const some of items) {
        for (const item of some)
          if (item.kind === "problem") problems.push(`${item.severity}: ${item.message}`);
      }
      told.push({ name, format, problems });
    }
    return told;
  }

  test("each file of an archive by its own format", async () => {
    const files = [
      { name: "a.csv", content: Buffer.from(text) },
      { name: "b.bin", content: Buffer.from([0, 1, 2, 3, 255]) },
      { name: "c.csv", content: Buffer.alloc(0) },
    ];
    const told = await opened(memoryFile("a.zip", zipOf(files)));
    expect(told.map(({ name, format }) => [name, format])).toEqual([
      ["a.zip/a.csv", "nem12"],
      ["a.zip/b.bin", null],
      ["a.zip/c.csv", null],
    ]);
    expect(told[1]!.problems[0]).toMatch(/^error: .*format/);
    expect(told[2]!.problems).toEqual(["error: The file is empty."]);
  });

  test("a container that breaks off while a format reads it", async () => {
    const lines = Array.from({ length: 30_000 }, (_, i) => `500,O,S${(i * 7919) % 100_003},\n`).join("");
    const whole = gzipSync(`100,NEM12,202401160930,A,B\n${lines}900\n`);
    const told = await opened(memoryFile("a.csv.gz", whole.subarray(0, whole.length - 5_000)));
    expect(told).toHaveLength(1);
    expect(told[0]!.format).toBe("nem12");
    expect(told[0]!.problems.at(-1)).toMatch(/^error: .*cannot be unpacked/);
  });

  test("an encrypted archive", async () => {
    const told = await opened(
      memoryFile("a.zip", zipOf([{ name: "a.csv", content: Buffer.from(text), flags: 1 }])),
    );
    expect(told[0]!.problems[0]).toMatch(/^error: .*encrypted/);
  });
});

test("a file that is opened and not read is let go of", async () => {
  let open = 0;
  const bytes = zipOf([
    { name: "a.csv", content: Buffer.from(text) },
    { name: "b.csv", content: Buffer.from(text) },
  ]);
  const source: FileSource = {
    ...memoryFile("a.zip", bytes),
    async *read(from, to) {
      open += 1;
      try {
        // Byte by byte, so that a stream that nobody ends stays open.
        for (let at = from; at < to; at++) yield bytes.subarray(at, at + 1);
      } finally {
        open -= 1;
      }
    },
  };
  const names: string[] = [];
  for await (const { name } of openFiles(source)) names.push(name);
  expect(names).toEqual(["a.zip/a.csv", "a.zip/b.csv"]);
  for await (const { name } of openFiles(source)) {
    names.push(name);
    break;
  }
  await new Promise((resolve) => setImmediate(resolve));
  expect(open).toBe(0);
});
