import { openAsBlob } from "node:fs";
import { stat } from "node:fs/promises";
import { basename } from "node:path";
import { Client, type FileToSend } from "@metertree/client";
import type { Command } from "commander";
import { fail } from "./failure.ts";

/** Which server a command speaks to, and as whom. */
export interface ServerOptions {
  url?: string;
  token?: string;
}

/** Adds the flags of `ServerOptions` to a command that writes. */
export function addServerFlags(command: Command): Command {
  return command
    .option("--url <url>", "address of the server (METERTREE_URL)")
    .option("--token <token>", "access token with the scope write_meters (METERTREE_TOKEN)");
}

/** A client of the server that flags or environment name. */
export function clientOf({ url, token = process.env.METERTREE_TOKEN }: ServerOptions): Client {
  if (token === undefined) throw fail("A token is missing: --token, or METERTREE_TOKEN in the environment.");
  return new Client({ url: url ?? process.env.METERTREE_URL ?? "http://localhost:8080", token });
}

/** Files of a form, read while they are sent. */
export async function filesToSend(paths: readonly string[]): Promise<FileToSend[]> {
  const files: FileToSend[] = [];
  for (const path of paths) {
    const about = await stat(path).catch(() => undefined);
    if (about?.isFile() !== true) throw fail(`${path}: there is no such file`);
    files.push({ name: basename(path), content: await openAsBlob(path) });
  }
  return files;
}

/** What the server refused, or that it cannot be reached, as a message; other errors stay as they are. */
export function told(error: unknown): unknown {
  const isApi = error instanceof Error && (error.name === "ApiError" || error.name === "ConnectionError");
  return isApi ? fail(error.message) : error;
}
