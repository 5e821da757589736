import { readFile } from "node:fs/promises";
import { fail } from "./failure.ts";

/** The text of `--mapping`: the content of the file of that name, `undefined` when there is no such file. */
export async function mappingText(named: string): Promise<string | undefined> {
  try {
    return await readFile(named, "utf8");
  } catch (error) {
    const { code, message } = error as NodeJS.ErrnoException;
    if (code === "ENOENT" || code === "ENAMETOOLONG") return undefined;
    throw fail(`--mapping ${named}: ${message}`);
  }
}

/** The mapping in a text. */
export function mappingIn(text: string, named: string): unknown {
  try {
    return JSON.parse(text) as unknown;
  } catch (error) {
    throw fail(`--mapping ${named} is not JSON: ${(error as Error).message}`);
  }
}
