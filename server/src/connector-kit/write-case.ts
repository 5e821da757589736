import { mkdirSync, rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { isDeepStrictEqual } from "node:util";
import { makeScrubber } from "../collection/collection.ts";
import { readCase } from "./case-file.ts";
import { type Disguise, makeDisguise } from "./disguise.ts";
import { learnFrom, textOf } from "./learn.ts";
import { playCase, type Told } from "./play.ts";
import type { Exchange, Recording } from "./record.ts";

export interface WriteOptions {
  connectorFolder: string;
  /** Of the case. */
  name: string;
  about: string;
  /** Texts that are hidden beside what is known to be secret or personal. */
  hide: readonly string[];
  /** Also keep files that nobody can look into by text: XLSX, PDF, ZIP. */
  keepsBinary: boolean;
}

/** Bodies that are longer lie in files beside the talk. */
const bodyCharsMax = 1_500;
/** Headers of answers that a connector may read. */
const headersKept = [
  "content-type",
  "content-disposition",
  "link",
  "location",
  "retry-after",
  "set-cookie",
  "www-authenticate",
];

/**
 * Writes a recording as a case without its secrets and what is personal, and plays it.
 * @returns what keeps the case from being one, in sentences; then nothing is left of it
 */
export async function writeCase(recording: Recording, options: WriteOptions): Promise<string[]> {
  const folder = join(options.connectorFolder, "cases", options.name);
  const disguise = makeDisguise();
  learnFrom({ ...recording, hide: options.hide }, disguise);
  const files = filesOf(recording, disguise, options);
  const problems = files.problems;
  if (problems.length > 0) return problems;
  try {
    mkdirSync(folder, { recursive: true });
    const write = (name: string, content: string | Buffer) => writeFileSync(join(folder, name), content);
    for (const [name, content] of files.bodies) write(name, content);
    write("talk.json", json(files.talk));
    write("case.json", json({ ...files.stated, expected: {} }));
    const { told } = await playCase(recording.connector, readCase(options.connectorFolder, options.name));
    problems.push(...otherwise(recording.told, told));
    const scrubber = makeScrubber(disguise.secrets());
    write("case.json", scrubber.scrub(json({ ...files.stated, expected: expectedOf(told) })));
    problems.push(
      ...(await playCase(recording.connector, readCase(options.connectorFolder, options.name))).problems,
    );
  } catch (error) {
    problems.push((error as Error).message);
  }
  if (problems.length > 0) rmSync(folder, { recursive: true, force: true });
  return problems;
}

const json = (value: unknown) => `${JSON.stringify(value, null, 2)}\n`;

function expectedOf({ found, deliveries, invoices, failure }: Told): Record<string, unknown> {
  const { message: _, ...kind } = failure ?? {};
  return {
    ...(found === undefined ? {} : { found }),
    ...(deliveries === undefined ? {} : { deliveries }),
    ...(invoices === undefined ? {} : { invoices }),
    ...(failure === undefined ? {} : { failure: kind }),
  };
}

/** The same run, but for what was replaced: as many meters, the same values, the same failure. */
function otherwise(recorded: Told, played: Told): string[] {
  const shape = ({ found, deliveries, invoices, failure }: Told) => ({
    meters: found?.length,
    invoices: invoices?.length,
    values: deliveries?.map(({ values }) => values),
    failure: failure?.kind,
  });
  if (isDeepStrictEqual(shape(recorded), shape(played))) return [];
  return [
    "played back without secrets and personal data, the run comes to something else. Something was replaced that the connector reads: " +
      `the recorded run came to ${summary(recorded)}, the played one to ${summary(played)}`,
  ];
}

function summary({ found, deliveries, failure }: Told): string {
  const values = (deliveries ?? []).reduce((all, { values }) => all + (values as unknown[]).length, 0);
  const end = failure === undefined ? "" : `, then ${failure.kind}: ${failure.message}`;
  return `${found?.length ?? 0} meters and ${values} values${end}`;
}

interface Files {
  stated: Record<string, unknown>;
  talk: unknown[];
  bodies: Map<string, Buffer>;
  problems: string[];
}

function filesOf(recording: Recording, disguise: Disguise, options: WriteOptions): Files {
  const { settings, now, wanted, stored, codes, exchanges } = recording;
  const instant = (at: number) => new Date(at).toISOString().replace(".000Z", "Z");
  const scrubber = makeScrubber(disguise.secrets());
  const whole = (value: unknown, work: Work): unknown =>
    scrubbed(value, (text) => scrubber.scrub(work(text)));
  const stated = {
    about: options.about,
    settings: whole(settings, disguise.field),
    now: instant(now),
    ...(codes.length === 0 ? {} : { codes: codes.map(disguise.field) }),
    discover: true,
    ...(stored === undefined ? {} : { invoices: stored.map(disguise.field) }),
    ...(wanted.length === 0
      ? {}
      : {
          wanted: wanted.map(({ key, from, to, ...rest }) => ({
            key: disguise.field(key),
            ...rest,
            from: instant(from),
            to: instant(to),
          })),
        }),
  };
  const files: Files = { stated, talk: [], bodies: new Map(), problems: [] };
  for (const [i, exchange] of exchanges.entries()) {
    files.talk.push({
      request: whole(requestOf(exchange, disguise), disguise.field),
      response: whole(responseOf(exchange, { i, disguise, options, files }), disguise.text),
    });
  }
  return files;
}

type Work = (text: string) => string;

/** A value of JSON with its texts changed; `names` changes those of members, which stay as they are without it. */
function scrubbed(value: unknown, work: Work, names: Work = (name) => name): unknown {
  if (typeof value === "string") return work(value);
  if (typeof value === "number") return scrubbedNumber(value, work);
  if (Array.isArray(value)) return value.map((each) => scrubbed(each, work, names));
  if (typeof value !== "object" || value === null) return value;
  return Object.fromEntries(
    Object.entries(value).map(([name, member]) => [names(name), scrubbed(member, work, names)]),
  );
}

/** A customer number may be a number. */
function scrubbedNumber(value: number, work: Work): number | string {
  const text = work(String(value));
  return text === String(Number(text)) ? Number(text) : text;
}

function requestOf({ method, url, headers, body }: Exchange, disguise: Disguise): Record<string, unknown> {
  const address = new URL(url);
  for (const [name, value] of [...address.searchParams]) {
    const field = disguise.field(value);
    if (field !== value) address.searchParams.set(name, field);
  }
  const text = textOf(body);
  const type = headers["content-type"] ?? "";
  const sent =
    text === ""
      ? {}
      : type.startsWith("application/x-www-form-urlencoded")
        ? { form: Object.fromEntries(new URLSearchParams(text)) }
        : (hiddenJson(text, { field: disguise.field, name: disguise.text }) ?? { body: text });
  return { ...(method === "GET" ? {} : { method }), url: disguise.text(address.href), ...sent };
}

interface Responding {
  i: number;
  disguise: Disguise;
  options: WriteOptions;
  files: Files;
}

function responseOf({ url, answer }: Exchange, { i, disguise, options, files }: Responding): unknown {
  if (answer === undefined) return "none";
  const kept = headersKept.flatMap((name) => {
    const value = answer.headers[name];
    return value === undefined ? [] : [[name, value] as const];
  });
  const headers = Object.fromEntries(kept);
  const response = { status: answer.status, ...(kept.length === 0 ? {} : { headers }) };
  if (answer.body.length === 0) return response;
  const text = decodedBody(answer.body, headers["content-type"]);
  if (text === undefined) {
    const name = `${i + 1}.bin`;
    files.bodies.set(name, answer.body);
    if (!options.keepsBinary) {
      files.problems.push(
        `${new URL(url).pathname} is a file that cannot be searched for secrets: look into it, and allow it`,
      );
    }
    return { ...response, file: name };
  }
  if (headers["content-type"] !== undefined) {
    headers["content-type"] = headers["content-type"].replace(/charset=["']?[\w-]+["']?/i, "charset=utf-8");
  }
  const parsed = hiddenJson(text, { field: disguise.text, name: disguise.text });
  if (text.length <= bodyCharsMax) return { ...response, ...(parsed ?? { body: text }) };
  const name = `${i + 1}.${extensionOf(headers["content-type"])}`;
  const scrub = makeScrubber(disguise.secrets()).scrub;
  const hidden = parsed === undefined ? disguise.text(text) : json(parsed.json);
  files.bodies.set(name, Buffer.from(scrub(hidden)));
  return { ...response, file: name };
}

/** JSON without secrets; undefined unless it is the same after it was read and written: no digit may be lost. */
function hiddenJson(
  text: string,
  { field, name }: { field: Work; name: Work },
): { json: unknown } | undefined {
  try {
    const json: unknown = JSON.parse(text);
    const bare = (each: string) => each.replace(/\s/g, "");
    if (bare(JSON.stringify(json)) !== bare(text)) return undefined;
    return { json: scrubbed(json, field, name) };
  } catch {
    return undefined;
  }
}

/** Undefined when it is no text. */
function decodedBody(body: Buffer, type = ""): string | undefined {
  const label = /charset=["']?([\w-]+)/i.exec(type)?.[1] ?? "utf-8";
  try {
    const text = new TextDecoder(label, { fatal: true, ignoreBOM: true }).decode(body);
    return /[\0-\x08\x0e-\x1f]/.test(text) ? undefined : text;
  } catch {
    return undefined;
  }
}

function extensionOf(type = ""): string {
  return ["html", "csv", "json", "xml"].find((each) => type.includes(each)) ?? "txt";
}
