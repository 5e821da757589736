import { readFileSync } from "node:fs";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { importJobs } from "../../server/src/imports/imports.ts";
import { calculateCostsJob } from "../../server/src/prices/prices.ts";
import { newAccount } from "../harness/accounts.ts";
import type { Answer, TestApi } from "../harness/api.ts";
import { type FormPart, formOf } from "../harness/form.ts";
import { wholeApi } from "../harness/world.ts";

/**
 * Runs the examples of pages as they stand there: each `sh` block in order, and the `json` block that follows is held
 * against the last answer. `NAME=$(… | jq -r .path)` keeps a value for the examples after it.
 */

interface Example {
  title: string;
  commands: string;
  expected: string | undefined;
}

/** The pages with examples, and how many of those each has at least. */
const pages = { "api.md": 16, "price-models.md": 8 };

const textOf = (page: string) => readFileSync(new URL(`../../docs/${page}`, import.meta.url), "utf8");

function examplesOf(manual: string): Example[] {
  return [...manual.matchAll(/```sh\n([^`]*)```(?:\n\n```json\n([^`]*)```)?/g)].map(
    ([whole, commands = "", expected], index): Example => {
      const headings = manual.slice(0, manual.indexOf(whole)).match(/^#{2,3} .*$/gm) ?? [];
      return { title: `${index + 1}: ${headings.at(-1)?.replace(/^#+ /, "") ?? ""}`, commands, expected };
    },
  );
}

let api: TestApi;
/** Files that the text tells to save. */
let files: Map<string, string>;
const variables = new Map<string, string>();

describe.each(Object.entries(pages))("docs/%s", (page, least) => {
  const manual = textOf(page);
  const examples = examplesOf(manual);

  beforeAll(async () => {
    api = await wholeApi();
    const saved = [...manual.matchAll(/Save as `([\w.]+)`:\n\n```csv\n([^`]*)```/g)];
    files = new Map(saved.map(([, name, text]) => [name!, text!]));
    const account = await newAccount(api.deps, { name: "Nordljus", username: "nordljus@example.com" });
    variables.clear();
    variables.set("URL", "").set("TOKEN", account.token);
  });
  afterAll(() => api.close());

  test("has examples", () => {
    expect(examples.length).toBeGreaterThanOrEqual(least);
    const answered = examples.filter(({ expected }) => expected !== undefined);
    expect(answered.length).toBeGreaterThan(least / 2);
  });

  test.for(examples)("$title", async ({ commands, expected }) => {
    let answer: Answer | undefined;
    for (const command of commandsOf(commands)) answer = await run(command);
    if (expected !== undefined) expect(answer!.json).toMatchObject(JSON.parse(filled(expected)));
    else expect(answer!.status).toBe(200);
  });
});

/** One command per line; a line goes on after a backslash and inside quotes. */
function commandsOf(text: string): string[] {
  const commands: string[] = [];
  let command = "";
  for (const line of text.replaceAll("\\\n", " ").trimEnd().split("\n")) {
    command += command === "" ? line : `\n${line}`;
    if ((command.match(/'/g) ?? []).length % 2 === 1) continue;
    commands.push(command);
    command = "";
  }
  return commands;
}

const filled = (text: string) =>
  text.replaceAll(/\$([A-Z]+)/g, (whole, name: string) => variables.get(name) ?? whole);

async function run(command: string): Promise<Answer> {
  const kept = /^([A-Z]+)=\$\(([\s\S]*) \| jq -r \.([\w.]+)\)$/.exec(command.trim());
  const answer = await curl(wordsOf(kept === null ? command : kept[2]!));
  await runJobs();
  if (kept === null) return answer;
  expect(answer.status, answer.text).toBe(200);
  const [, name, , path] = kept;
  // biome-ignore lint/suspicious/noExplicitAny: a path through an answer
  const value = path!.split(".").reduce((from: any, key) => from?.[key], answer.json);
  expect(value, `${path} of ${answer.text}`).toMatch(/^[0-9a-f]{24}$/);
  variables.set(name!, value);
  return answer;
}

/** Words as a shell reads them: quotes join, variables are filled in outside single quotes. */
function wordsOf(command: string): string[] {
  const words: string[] = [];
  let word: string | undefined;
  for (let at = 0; at < command.length; at++) {
    const sign = command[at]!;
    if (sign === "'" || sign === '"') {
      const end = command.indexOf(sign, at + 1);
      const inside = command.slice(at + 1, end);
      word = (word ?? "") + (sign === "'" ? inside : filled(inside));
      at = end;
    } else if (/\s/.test(sign)) {
      if (word !== undefined) words.push(word);
      word = undefined;
    } else {
      const end = at + command.slice(at).search(/[\s'"]|$/);
      word = (word ?? "") + filled(command.slice(at, end));
      at = end - 1;
    }
  }
  return word === undefined ? words : [...words, word];
}

/** What the examples use of curl. An option that they do not use yet throws. */
async function curl([program, ...words]: string[]): Promise<Answer> {
  expect(program).toBe("curl");
  let method: string | undefined;
  let path = "";
  let body: unknown;
  const headers: Record<string, string> = {};
  const parts: FormPart[] = [];
  for (let word = words.shift(); word !== undefined; word = words.shift()) {
    if (word === "-s") continue;
    if (word === "-X") method = words.shift();
    else if (word === "-d") body = words.shift();
    else if (word === "-F") parts.push(partOf(words.shift()!));
    else if (word === "-H") {
      const [name, value] = words.shift()!.split(": ");
      headers[name!.toLowerCase()] = value!;
    } else if (word.startsWith("/")) path = word;
    else throw new Error(`the examples use ${word} of curl, which this test does not know`);
  }
  // As curl does: data are a form unless a header says otherwise. The API takes JSON from it all the same.
  if (body !== undefined) headers["content-type"] ??= "application/x-www-form-urlencoded";
  const form = parts.length === 0 ? { body, headers } : formOf(parts);
  return api.call(method ?? (body === undefined && parts.length === 0 ? "GET" : "POST"), path, {
    body: form.body,
    headers: { ...headers, ...form.headers },
  });
}

function partOf(text: string): FormPart {
  const [name, value = ""] = text.split("=");
  if (!value.startsWith("@")) return [name!, value];
  const content = files.get(value.slice(1));
  if (content === undefined) throw new Error(`the text does not say what ${value.slice(1)} holds`);
  return { file: value.slice(1), content, name: name! };
}

async function runJobs(): Promise<void> {
  for (let job = api.sentJobs.shift(); job !== undefined; job = api.sentJobs.shift()) {
    const kind = [...importJobs, calculateCostsJob].find(({ name }) => name === job!.name);
    await kind?.run(job.data, api.deps, new AbortController().signal);
  }
}
