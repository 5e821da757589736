import type { ConnectorCase } from "./case-file.ts";

/** An answer as it might be after its provider has changed something. */
export interface Mutant {
  /** What was done to it. */
  what: string;
  body: string;
  /** Rows may be missing without a trace: then less comes, and nothing that is wrong. */
  isShorter?: boolean;
  /** The unit is another: values are so many times as much. */
  factor?: number;
  /** The member of JSON that is not there any more. */
  gone?: string;
}

type Response = Exclude<ConnectorCase["talk"][number]["response"], "none">;

/** Mutants of one answer; none of what is no text. */
export function mutantsOf({ headers, body }: Pick<Response, "headers" | "body">): Mutant[] {
  const text = body.toString("utf8");
  if (text.trim() === "" || body.includes(0)) return [];
  const type = headers["content-type"] ?? "";
  if (/json/.test(type) || /^\s*[[{]/.test(text)) return [...jsonMutants(text), ...anyMutants(text)];
  const shown = /html/.test(type) || /^\s*</.test(text) ? htmlMutants(text) : csvMutants(text);
  return [...shown, ...translated(text), ...anyMutants(text)];
}

/** Words that change when somebody translates pages or files; the second is what comes instead. */
const translations: readonly (readonly [string, string])[] = [
  ["Från", "Fra"],
  ["Till", "Til"],
  ["Förbrukning", "Forbruk"],
  ["Uppmätt", "Målt"],
  ["Beräknad", "Beregnet"],
  ["Adress", "Anleggsadresse"],
  ["Avtal", "Kontrakt"],
  ["Anläggnings-id", "MålepunktId"],
  ["Benämning", "Betegnelse"],
  ["Mätning", "Måling"],
];
/** Units that come instead of others, and what a value must be multiplied by then. */
const units: readonly { unit: RegExp; other: string; factor: number }[] = [
  { unit: /\bkWh\b/gi, other: "MWh", factor: 1000 },
  { unit: /\bm3\b/g, other: "liter", factor: 0.001 },
];

/** What is shown to people may come in another language. */
function* translated(text: string): Generator<Mutant> {
  const body = translations.reduce((rest, [word, other]) => rest.replaceAll(word, other), text);
  yield* changedOnly(text, { what: "translated", body });
}

/** What can happen to every text: other units, an end in the middle. */
function* anyMutants(text: string): Generator<Mutant> {
  for (const { unit, other, factor } of units) {
    yield* changedOnly(text, { what: `${unit.source} is ${other}`, body: text.replace(unit, other), factor });
  }
  for (const part of [0, 0.25, 0.5, 0.75, 0.95]) {
    const body = text.slice(0, Math.floor(text.length * part));
    yield { what: `ends after ${part * 100} %`, body, isShorter: true };
  }
}

function* changedOnly(text: string, mutant: Mutant): Generator<Mutant> {
  if (mutant.body !== text) yield mutant;
}

/** A table: the texts before its rows, each row as cells, and what stands around them. */
interface Table {
  head: string[];
  rows: string[][];
  write(head: readonly string[], rows: readonly (readonly string[])[]): string;
}

function* tableMutants({ head, rows, write }: Table, name: string): Generator<Mutant> {
  const without = (cells: readonly string[], at: number) => cells.filter((_, i) => i !== at);
  const swapped = (cells: readonly string[], at: number) => {
    const copy = [...cells];
    [copy[at], copy[at + 1]] = [copy[at + 1]!, copy[at]!];
    return copy;
  };
  for (const [at, label] of head.entries()) {
    yield {
      what: `${name}: column ${label} is gone`,
      body: write(
        without(head, at),
        rows.map((row) => without(row, at)),
      ),
    };
    yield {
      what: `${name}: column ${label} is called otherwise`,
      body: write(head.with(at, "Annat namn"), rows),
    };
    yield {
      what: `${name}: a column before ${label}`,
      body: write(
        head.toSpliced(at, 0, "Ny"),
        rows.map((row) => row.toSpliced(at, 0, "1")),
      ),
    };
    if (at + 1 < head.length) {
      yield {
        what: `${name}: ${label} and ${head[at + 1]} are swapped`,
        body: write(
          swapped(head, at),
          rows.map((row) => swapped(row, at)),
        ),
      };
    }
  }
  if (rows.length > 1) yield { what: `${name}: rows in another order`, body: write(head, rows.toReversed()) };
  const decimals: readonly (readonly [string, (cell: string) => string])[] = [
    [
      "the other decimal mark",
      (cell) => cell.replace(/^(-?\d+)([.,])(\d+)$/, (_, a, mark, b) => a + (mark === "," ? "." : ",") + b),
    ],
    ["one decimal less", (cell) => cell.replace(/^(-?\d+[.,]\d+)\d$/, "$1")],
    ["the unit stands behind", (cell) => cell.replace(/^-?\d+[.,]\d+$/, "$& kWh")],
  ];
  for (const [what, work] of decimals) {
    const body = write(
      head,
      rows.map((row) => row.map(work)),
    );
    yield* changedOnly(write(head, rows), { what: `${name}: ${what}`, body });
  }
}

/** The longest run of lines with as many cells is the table; its first line has the labels. */
function* csvMutants(text: string): Generator<Mutant> {
  const newline = text.includes("\r\n") ? "\r\n" : "\n";
  const lines = text.split(newline);
  const mark = [";", "\t", ","].find((each) => lines.filter((line) => line.includes(each)).length > 1);
  if (mark === undefined) return;
  const counts = lines.map((line) => line.split(mark).length);
  const most = Math.max(...counts);
  const first = counts.indexOf(most);
  let end = first;
  while (counts[end] === most) end++;
  const table: Table = {
    head: lines[first]!.split(mark),
    rows: lines.slice(first + 1, end).map((line) => line.split(mark)),
    write: (head, rows) => {
      const written = [head, ...rows].map((cells) => cells.join(mark));
      return [...lines.slice(0, first), ...written, ...lines.slice(end)].join(newline);
    },
  };
  yield* tableMutants(table, "table");
  for (let i = 0; i < first; i++) {
    if (lines[i] !== "") yield { what: `line ${i + 1} is gone`, body: lines.toSpliced(i, 1).join(newline) };
  }
}

function* htmlMutants(text: string): Generator<Mutant> {
  for (const found of text.matchAll(/<table\b.*?<\/table>/gs)) {
    const [whole] = found;
    const rows = [...whole.matchAll(/<tr\b[^>]*>.*?<\/tr>/gs)].map(([row]) => row);
    const cells = rows.map((row) =>
      [...row.matchAll(/<t([hd])\b[^>]*>(.*?)<\/t\1>/gs)].map((cell) => cell[2]!),
    );
    const [head = [], ...body] = cells;
    if (head.length === 0) continue;
    const parts = rows.map((row) => /^(<tr\b[^>]*>).*?(<t[hd]\b[^>]*>)/s.exec(row)!);
    const write: Table["write"] = (newHead, newRows) => {
      const written = [newHead, ...newRows].map((each, i) => {
        const [, start = "", cell = ""] = parts[i] ?? [];
        const end = cell.startsWith("<th") ? "</th>" : "</td>";
        return `${start}${each.map((inner) => cell + inner + end).join("")}</tr>`;
      });
      let at = 0;
      const table = whole.replace(/<tr\b[^>]*>.*?<\/tr>/gs, () => written[at++] ?? "");
      return text.slice(0, found.index) + table + text.slice(found.index + whole.length);
    };
    yield* tableMutants({ head, rows: body, write }, /\bid="([^"]*)"/.exec(whole)?.[1] ?? "table");
  }
  yield* listMutants(text);
  for (const id of new Set([...text.matchAll(/\bid="([^"]+)"/g)].map(([, name]) => name!))) {
    yield { what: `id ${id} is another`, body: text.replaceAll(`id="${id}"`, `id="x-${id}"`) };
  }
  for (const name of new Set([...text.matchAll(/<input\b[^>]*\bname="([^"]+)"/g)].map(([, each]) => each!))) {
    yield {
      what: `the field ${name} is called otherwise`,
      body: text.replaceAll(`name="${name}"`, `name="x-${name}"`),
    };
  }
}

/** Facts in lists of terms. */
function* listMutants(text: string): Generator<Mutant> {
  const pattern = /<dt\b[^>]*>(.*?)<\/dt>\s*<dd\b[^>]*>(.*?)<\/dd>/gs;
  const facts = [...text.matchAll(pattern)];
  for (const { 0: whole, 1: term = "", index } of facts) {
    const replaced = (by: string) => text.slice(0, index) + by + text.slice(index + whole.length);
    yield { what: `the fact ${term} is gone`, body: replaced("") };
    yield { what: `the fact ${term} is called otherwise`, body: replaced(whole.replace(term, "Annat namn")) };
  }
  const turned = facts.map(([whole]) => whole).reverse();
  if (turned.length > 1) {
    let at = 0;
    yield { what: "facts in another order", body: text.replace(pattern, () => turned[at++]!) };
  }
}

type Json = null | boolean | number | string | Json[] | { [name: string]: Json };

function* jsonMutants(text: string): Generator<Mutant> {
  let json: Json;
  try {
    json = JSON.parse(text) as Json;
  } catch {
    return;
  }
  for (const path of pathsOf(json)) {
    const name = path.split(".").at(-1)!;
    const changes: readonly (readonly [string, (holder: { [name: string]: Json }) => void])[] = [
      ["is gone", (holder) => void delete holder[name]],
      ["is called otherwise", (holder) => void renameIn(holder, name)],
      ["is of another kind", (holder) => void (holder[name] = otherKind(holder[name]!))],
      ["is in another order", (holder) => void (holder[name] = turnedRound(holder[name]!))],
    ];
    for (const [what, work] of changes) {
      const copy = structuredClone(json);
      for (const holder of holdersOf(copy, path.split(".").slice(0, -1))) if (name in holder) work(holder);
      const gone = what === "is gone" || what === "is called otherwise" ? { gone: path } : {};
      yield* changedOnly(JSON.stringify(json), {
        what: `${path} ${what}`,
        body: JSON.stringify(copy),
        ...gone,
      });
    }
  }
}

/** Paths of all members, without the places in lists. */
function pathsOf(json: Json, path: readonly string[] = [], found = new Set<string>()): Set<string> {
  if (Array.isArray(json)) for (const each of json) pathsOf(each, path, found);
  else if (typeof json === "object" && json !== null) {
    for (const [name, member] of Object.entries(json)) {
      found.add([...path, name].join("."));
      pathsOf(member, [...path, name], found);
    }
  }
  return found;
}

function holdersOf(json: Json, path: readonly string[]): { [name: string]: Json }[] {
  if (Array.isArray(json)) return json.flatMap((each) => holdersOf(each, path));
  if (typeof json !== "object" || json === null) return [];
  const [name, ...rest] = path;
  if (name === undefined) return [json];
  return json[name] === undefined ? [] : holdersOf(json[name], rest);
}

function renameIn(holder: { [name: string]: Json }, name: string): void {
  holder[`x_${name}`] = holder[name]!;
  delete holder[name];
}

/** As when a program was rewritten in another language. */
function otherKind(value: Json): Json {
  if (typeof value === "number") return `${value}`.replace(".", ",");
  if (typeof value === "string") return { value };
  return Array.isArray(value) ? { items: value } : [value];
}

/** Lists of objects; the order of plain values may be what they mean. */
function turnedRound(value: Json): Json {
  const isRows =
    Array.isArray(value) &&
    value.every((each) => typeof each === "object" && each !== null && !Array.isArray(each));
  return isRows ? value.toReversed() : value;
}
