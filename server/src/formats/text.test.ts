import iconv from "iconv-lite";
import { describe, expect, test } from "vitest";
import { CsvScanner, csvRows, type Row } from "./csv.ts";
import { Fault, Problems } from "./problems.ts";
import { detached, detectEncoding, type Encoding, lineLengthMax, texts } from "./text.ts";

async function* chunked(bytes: Uint8Array, size: number): AsyncGenerator<Uint8Array, void, undefined> {
  for (let at = 0; at < bytes.length; at += size) yield bytes.subarray(at, at + size);
}

async function decode(
  bytes: Uint8Array,
  size: number,
  encoding?: Encoding,
): Promise<{ text: string; found: string }> {
  let text = "";
  let found = "";
  const onEncoding = (name: Encoding): void => {
    found = name;
  };
  for await (const piece of texts(chunked(bytes, size), { encoding, onEncoding })) text += piece;
  return { text, found };
}

const finnish = "Määrä;Yksikkötyyppi;Ulkolämpötila (°C)\n1,5;kWh;−3\n";
const plain = `a,b\n${"1,2\n".repeat(200)}`;

describe("encodings", () => {
  test.each([1, 2, 3, 5, 64, 65_536])("each encoding in pieces of %i bytes", async (size) => {
    const western = finnish.replace("−", "-");
    for (const [bytes, text, found] of [
      [Buffer.from(finnish), finnish, "utf-8"],
      [Buffer.from(`\ufeff${finnish}`), finnish, "utf-8"],
      [iconv.encode(finnish, "utf-16le", { addBOM: true }), finnish, "utf-16le"],
      [iconv.encode(finnish, "utf-16be", { addBOM: true }), finnish, "utf-16be"],
      [Buffer.from(western, "latin1"), western, "windows-1252"],
      [iconv.encode("Preis € 1,2\n", "windows-1252"), "Preis € 1,2\n", "windows-1252"],
    ] as const) {
      expect(await decode(bytes, size)).toEqual({ text, found });
    }
  });

  test("UTF-16 without a mark is known by its zero bytes", () => {
    expect(detectEncoding(iconv.encode(plain, "utf-16le"))).toMatchObject({
      encoding: "utf-16le",
      markBytes: 0,
    });
    expect(detectEncoding(iconv.encode(plain, "utf-16be"))).toMatchObject({
      encoding: "utf-16be",
      markBytes: 0,
    });
  });

  test("a letter far behind an ASCII head still shows Windows-1252 or UTF-8", async () => {
    const head = "x;y\n".repeat(40_000);
    expect((await decode(Buffer.from(`${head}Määrä`, "latin1"), 65_536)).text.endsWith("Määrä")).toBe(true);
    expect(await decode(Buffer.from(`${head}Määrä`), 65_536)).toMatchObject({ found: "utf-8" });
  });

  test("a file that mixes UTF-8 and single bytes is refused, not guessed", async () => {
    const mixed = Buffer.concat([Buffer.from(`${"x;y\n".repeat(40_000)}ä\n`), Buffer.from("ä", "latin1")]);
    await expect(decode(mixed, 65_536)).rejects.toThrow(Fault);
    await expect(
      decode(Buffer.concat([Buffer.from("\ufeffa\n"), Buffer.from([0xe4, 0x0a])]), 9),
    ).rejects.toThrow("UTF-8");
  });

  test("binary content is refused", async () => {
    await expect(decode(Buffer.from([0x61, 0x81, 0x8d, 0x90, 0x9d, 0x62]), 64)).rejects.toThrow("not text");
  });

  test("a stated encoding wins", async () => {
    expect(await decode(Buffer.from([0xa4, 0x31, 0x32, 0x33, 0x34]), 64, "iso-8859-15")).toEqual({
      text: "€1234",
      found: "iso-8859-15",
    });
  });

  test("NUL characters are left out and told once", async () => {
    let told = 0;
    let text = "";
    for await (const piece of texts(chunked(Buffer.from("a\0b,\0c\n1\0,2\n"), 5), { onNul: () => told++ }))
      text += piece;
    expect([text, told]).toEqual(["ab,c\n1,2\n", 1]);
  });

  test("a detached text equals its original", () => {
    expect(detached("Zähler 1 €😀")).toBe("Zähler 1 €😀");
  });
});

async function rowsOf(
  text: string,
  size: number,
  delimiter = ",",
): Promise<{ rows: Row[]; problems: Problems }> {
  const problems = new Problems();
  const rows: Row[] = [];
  const source = texts(chunked(Buffer.from(text), size));
  for await (const batch of csvRows(source, new CsvScanner(delimiter, problems), problems))
    rows.push(...batch);
  return { rows, problems };
}

describe("rows and cells", () => {
  test.each([1, 2, 3, 7, 65_536])("line ends of every kind, in pieces of %i bytes", async (size) => {
    for (const text of ["a,b\n1,2\n3,4", "a,b\r\n1,2\r\n3,4\r\n", "a,b\r1,2\r3,4\r", "a,b\r\n1,2\r3,4\n"]) {
      const { rows, problems } = await rowsOf(text, size);
      expect(rows).toEqual([
        { line: 1, cells: ["a", "b"] },
        { line: 2, cells: ["1", "2"] },
        { line: 3, cells: ["3", "4"] },
      ]);
      expect(problems.errors).toBe(0);
    }
  });

  test.each([1, 4, 65_536])("quotes, pieces of %i bytes", async (size) => {
    const text = 'a,"b, ""c"""\r\n\r\n"two\nlines",x\n="0123",y"z\n"=""5414""",""\nlast,"q"';
    const { rows, problems } = await rowsOf(text, size);
    expect(rows).toEqual([
      { line: 1, cells: ["a", 'b, "c"'] },
      { line: 3, cells: ["two\nlines", "x"] },
      { line: 5, cells: ["0123", 'y"z'] },
      { line: 6, cells: ["5414", ""] },
      { line: 7, cells: ["last", "q"] },
    ]);
    expect(problems.errors).toBe(0);
  });

  test("an unclosed quote and text behind a quote are errors with their line", async () => {
    const open = await rowsOf('a,b\n1,"2\n3,4\n', 5);
    expect(open.problems.end()).toMatchObject([{ severity: "error", line: 2 }]);
    const behind = await rowsOf('a,b\n1,"2"x\n3,4\n', 5);
    expect(behind.problems.end()).toMatchObject([{ severity: "error", line: 2 }]);
    expect(behind.rows).toHaveLength(1);
  });

  test("a line beyond the limit stops the reading", async () => {
    const { problems } = await rowsOf(`a,b\n${"x".repeat(lineLengthMax + 70_000)}`, 65_536);
    expect(problems.end()).toMatchObject([{ severity: "error", line: 2 }]);
  });

  test("broken text is told with the line reached", async () => {
    const problems = new Problems();
    const source = texts(chunked(Buffer.from("\ufeffä\n1\n2\n\xff\n", "latin1"), 65_536), {
      encoding: "utf-8",
    });
    for await (const _ of csvRows(source, new CsvScanner(",", problems), problems));
    expect(problems.end()).toMatchObject([{ severity: "error" }]);
  });
});
