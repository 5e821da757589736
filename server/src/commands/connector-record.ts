import { readFileSync } from "node:fs";
import { createInterface } from "node:readline";
import { z } from "zod";
import { type Connector, ProviderFailure, type Words } from "../collection/connector.ts";
import { systemClock } from "../platform/clock.ts";
import { Problem } from "../platform/problem.ts";
import { configOf } from "./options.ts";

/** Options of `connector record`, as commander gives them. */
export interface RecordWords {
  settings: string;
  case: string;
  about?: string;
  days: string;
  meters: string;
  invoices: string;
  zone: string;
  now?: string;
  hide: string[];
  keepBinary?: boolean;
}

/** Runs a connector against its provider, and writes what was said as a case. @returns the exit code */
export async function recordConnector(connector: Connector, words: RecordWords): Promise<number> {
  const { folderOf, readQuality, recordCase } = await import("../connector-kit/connector-kit.ts");
  const { makeEgress } = await import("../platform/egress/egress.ts");
  if (!/^[a-z0-9]+(-[a-z0-9]+)*$/.test(words.case)) {
    throw new Problem("invalid", "--case must be words in lower case with dashes between them.");
  }
  const { no_recorded_talk: why } = readQuality(folderOf(connector.name));
  if (why !== undefined) throw new Problem("invalid", `${connector.name} cannot be recorded: ${why}`);
  if (connector.consent !== undefined || connector.operator !== undefined) {
    throw new Problem(
      "invalid",
      `${connector.name} needs what an operator sets up, and a customer's consent in a browser. Write its cases by hand.`,
    );
  }
  const egress = makeEgress({ allow: configOf({}, "commands").egressAllow });
  const terminal = makeTerminal();
  const stopping = new AbortController();
  process.once("SIGINT", () => stopping.abort(new Error("stopped")));
  try {
    const recorded = await recordCase({
      connector,
      settings: settingsIn(words.settings, connector),
      egress,
      now: instantOf(words.now) ?? systemClock.now(),
      signal: stopping.signal,
      days: wholeNumber(words.days, "--days"),
      metersMax: wholeNumber(words.meters, "--meters"),
      invoicesMax: wholeNumber(words.invoices, "--invoices", 0),
      zone: words.zone,
      connectorFolder: folderOf(connector.name),
      name: words.case,
      about: words.about ?? `Recorded: ${words.case.replaceAll("-", " ")}.`,
      hide: words.hide,
      keepsBinary: words.keepBinary === true,
      askCode: terminal.askCode,
      show: (line) => console.log(line),
    });
    const { meters, values, invoices, requests, failure, problems } = recorded;
    console.log(
      `${requests} requests, ${meters} meters, ${values} values, ${invoices} invoices${failure ? `, ended by ${failure}` : ""}`,
    );
    for (const problem of problems) console.error(`not written: ${problem}`);
    if (problems.length > 0) return 1;
    console.log(
      `written to cases/${words.case} of ${connector.name}. Read it before you commit it: names and addresses that nobody could know of are hidden with --hide "…".`,
    );
    return 0;
  } finally {
    terminal.close();
    await egress.close();
  }
}

/**
 * Settings from a file, as a customer would enter them.
 * @throws Problem that names each wrong field
 */
function settingsIn(path: string, connector: Connector): Record<string, unknown> {
  let json: unknown;
  try {
    json = JSON.parse(readFileSync(path, "utf8"));
  } catch (error) {
    throw new Problem("invalid", `--settings ${path}: ${(error as Error).message}`);
  }
  const result = connector.settings.safeParse(json);
  if (result.success) return result.data;
  throw new Problem("invalid", `--settings ${path}:\n${z.prettifyError(result.error)}`);
}

function instantOf(text: string | undefined): number | undefined {
  if (text === undefined) return undefined;
  const at = Date.parse(text);
  if (Number.isNaN(at)) throw new Problem("invalid", "--now must be a time such as 2026-11-01T12:00:00Z.");
  return at;
}

function wholeNumber(text: string, option: string, least = 1): number {
  const number = Number(text);
  if (text.trim() !== "" && Number.isInteger(number) && number >= least) return number;
  throw new Problem("invalid", `${option} must be a whole number from ${least} on.`);
}

/** Somebody at the terminal, or a file in the place of one: each line is a code. */
function makeTerminal(): { askCode(prompt: Words): Promise<string>; close(): void } {
  const reader = createInterface({ input: process.stdin });
  const lines = reader[Symbol.asyncIterator]();
  return {
    async askCode(prompt) {
      process.stdout.write(`${prompt.en} `);
      const line = await lines.next();
      if (line.done === true) throw new ProviderFailure("code", "nobody entered a code");
      return line.value.trim();
    },
    close: () => reader.close(),
  };
}
