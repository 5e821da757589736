import { existsSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { type Connector, failureKinds, languages, markOf, wordsOf } from "../collection/connector.ts";
import { type ConnectorCase, caseNames, readCase } from "./case-file.ts";
import { checkMutants } from "./check-mutants.ts";
import { playCase } from "./play.ts";
import { type Quality, readQuality } from "./quality.ts";

/** One thing that every connector is asked. */
export interface Check {
  name: string;
  /** What is wrong, with the remedy; empty when it is right. */
  problems: string[];
}

/** Headings that a README must have, each with text below it. */
export const headings = ["Access", "Data", "Lateness", "Limits", "Quirks"] as const;

/** Holds a connector and its folder against the contract, and plays all its cases. */
export async function checkConnector(connector: Connector, folder: string): Promise<Check[]> {
  const checks: Check[] = [];
  const add = (name: string, work: () => string[]) => checks.push({ name, problems: told(work) });
  add("description", () => descriptionProblems(connector));
  add("README.md", () => readmeProblems(folder));
  let quality: Quality | undefined;
  add("quality.json", () => {
    quality = readQuality(folder);
    return [];
  });
  const cases: ConnectorCase[] = [];
  const right: ConnectorCase[] = [];
  for (const name of caseNames(folder)) {
    const problems: string[] = [];
    try {
      const each = readCase(folder, name);
      cases.push(each);
      problems.push(...secretProblems(connector, each), ...(await playCase(connector, each)).problems);
      if (problems.length === 0) right.push(each);
    } catch (error) {
      problems.push((error as Error).message);
    }
    checks.push({ name: `case ${name}`, problems });
  }
  if (quality !== undefined) checks.push(await mutantCheck(connector, right, quality));
  add("cases of everything", () =>
    quality === undefined ? [] : coverageProblems(cases, { connector, quality }),
  );
  return checks;
}

const mutantsShown = 20;

/** Answers as they might be tomorrow: they are read rightly, or not at all. */
async function mutantCheck(
  connector: Connector,
  cases: readonly ConnectorCase[],
  { optional_parts }: Quality,
): Promise<Check> {
  const optionalParts = new Set(Object.keys(optional_parts));
  const unseen = new Set(optionalParts);
  const problems: string[] = [];
  let count = 0;
  for (const each of cases) {
    const checked = await checkMutants(connector, each, { optionalParts });
    count += checked.count;
    problems.push(...checked.problems.map((problem) => `case ${each.name}: ${problem}`));
    for (const part of checked.parts) unseen.delete(part);
  }
  problems.splice(mutantsShown);
  for (const part of unseen) problems.push(`no case has the optional part ${part}`);
  return { name: `changed answers (${count})`, problems };
}

function told(work: () => string[]): string[] {
  try {
    return work();
  } catch (error) {
    return [(error as Error).message];
  }
}

function descriptionProblems({
  settings,
  countries,
  terms,
  historyDays,
  latenessHours,
  correctionDays,
}: Connector) {
  const problems: string[] = [];
  for (const [name, field] of Object.entries(settings.shape)) {
    for (const language of languages) {
      if ((wordsOf(field)?.title[language] ?? "").trim() === "")
        problems.push(`${name} has no title in ${language}`);
    }
  }
  const wrong = countries.filter((code) => !/^[A-Z]{2}$/.test(code));
  if (wrong.length > 0) problems.push(`no ISO 3166 codes: ${wrong.join(", ")}`);
  if (terms !== undefined && !terms.startsWith("https://")) problems.push("the terms need an https address");
  if (!(historyDays > 0 && latenessHours >= 0 && correctionDays >= 0)) {
    problems.push("historyDays, latenessHours and correctionDays must be numbers of days and hours");
  }
  return problems;
}

function readmeProblems(folder: string): string[] {
  const path = join(folder, "README.md");
  if (!existsSync(path)) return ["is missing"];
  const text = readFileSync(path, "utf8");
  return headings.flatMap((heading) => {
    const section = new RegExp(`^## ${heading}\\n+([^#\\n][^]*?)(?=^#|$(?![^]))`, "m").exec(text)?.[1] ?? "";
    return section.trim().length >= 20 ? [] : [`needs a heading "## ${heading}" with text below it`];
  });
}

/** Nobody's real password goes into a case. */
function secretProblems({ settings: { shape } }: Connector, { settings }: ConnectorCase): string[] {
  return Object.entries(settings).flatMap(([name, value]) => {
    if (shape[name] === undefined || markOf(shape[name]).secret === undefined) return [];
    if (typeof value !== "string" || value.includes("hidden")) return [];
    // Where the provider wants hexadecimal digits, such as an address of a device.
    const isPlain = /^[0-9a-f:-]+$/i.test(value) && new Set(value.replace(/[:-]/g, "")).size <= 2;
    return isPlain
      ? []
      : [`${name} must contain the word hidden, so that it is plain that it is no real secret`];
  });
}

function coverageProblems(
  cases: readonly ConnectorCase[],
  { connector, quality }: { connector: Connector; quality: Quality },
): string[] {
  const problems: string[] = [];
  const has = (what: (each: ConnectorCase) => boolean) => cases.some(what);
  if (quality.no_recorded_talk === undefined) {
    if (!has(({ expected }) => (expected.found ?? []).length > 0)) problems.push("no case finds a meter");
    if (!has(({ expected }) => (expected.deliveries ?? []).length > 0))
      problems.push("no case delivers a value");
    const hasInvoices = has(({ expected }) => (expected.invoices ?? []).length > 0);
    if (connector.invoices !== undefined && !hasInvoices) problems.push("no case brings an invoice");
  }
  for (const kind of failureKinds) {
    const isShown = has(({ expected }) => expected.failure?.kind === kind);
    const why = quality.failures_without_case[kind];
    if (!isShown && why === undefined) {
      problems.push(`no case ends in ${kind}: record one, or say why not in failures_without_case`);
    }
    if (isShown && why !== undefined)
      problems.push(`a case ends in ${kind}: take it out of failures_without_case`);
  }
  return problems;
}
