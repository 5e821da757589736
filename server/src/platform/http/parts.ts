import { Readable } from "node:stream";
import type { FastifyRequest } from "fastify";
import { Problem } from "../problem.ts";
import type { Part } from "./endpoint.ts";

/** Limits of one multipart body; the size of a file is a setting. */
export const partLimits = { fields: 100, parts: 200, files: 100, fieldSize: 65_536, headerPairs: 100 };

/**
 * Parts of a multipart body in order, nothing buffered. A file that is larger than allowed, or cut off, ends with an
 * error on its stream, so that it never looks complete to whoever reads it.
 */
export async function* readParts(request: FastifyRequest): AsyncGenerator<Part> {
  if (request.isMultipart?.() !== true) {
    throw new Problem("unsupported_type", "This endpoint takes files: send multipart/form-data");
  }
  const parts = request.parts();
  while (true) {
    const next = await parts.next().catch((error: unknown) => {
      throw partsProblem(error);
    });
    if (next.done === true) return;
    const part = next.value;
    if (part.type === "field") {
      if (part.valueTruncated || part.fieldnameTruncated) {
        throw new Problem("too_large", `Field ${part.fieldname.slice(0, 100)} is larger than 64 KB`);
      }
      const value = typeof part.value === "string" ? part.value : JSON.stringify(part.value);
      yield { kind: "field", name: part.fieldname, value };
    } else {
      const stream = Readable.from(whole(part.file), { objectMode: false });
      yield { kind: "file", name: part.fieldname, fileName: part.filename ?? "", stream };
    }
  }
}

/** A file that ends as one only when all of it came: what the parser cuts off at the limit looks complete. */
async function* whole(file: Readable & { truncated?: boolean }): AsyncGenerator<Buffer> {
  try {
    yield* file;
  } catch (error) {
    throw partsProblem(error);
  }
  if (file.truncated === true) throw partsProblem({ code: "FST_REQ_FILE_TOO_LARGE" });
}

const limitMessages: Record<string, string> = {
  FST_REQ_FILE_TOO_LARGE: "The file is larger than this server takes",
  FST_PARTS_LIMIT: `A form has at most ${partLimits.parts} parts`,
  FST_FILES_LIMIT: `A form has at most ${partLimits.files} files`,
  FST_FIELDS_LIMIT: `A form has at most ${partLimits.fields} fields`,
};

/** Whatever goes wrong while parts are read is the fault of what was sent. */
function partsProblem(error: unknown): Problem {
  if (error instanceof Problem) return error;
  const { code = "", message } = error as { code?: string; message?: string };
  const limit = limitMessages[code];
  if (limit !== undefined) return new Problem("too_large", limit, { cause: error });
  return new Problem("invalid", "The form is cut off or malformed", {
    cause: error,
    ...(message === undefined ? {} : { inner: message }),
  });
}

/** The last part of a path that a browser may have sent, without control characters; `file` when nothing is left. */
export function plainFileName(name: string): string {
  const last = name
    .split(/[\\/]/)
    .at(-1)!
    .replace(/\p{Cc}/gu, "")
    .toWellFormed()
    .trim()
    .slice(-200);
  return last === "" ? "file" : last;
}
