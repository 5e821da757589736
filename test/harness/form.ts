/** A part of a form: a field, or a file. */
export type FormPart =
  | [name: string, value: string]
  | { file: string; content: string | Uint8Array; name?: string };

const boundary = "----boundary-of-a-test";

/** A form as a browser sends it. */
export function formOf(parts: readonly FormPart[]): { body: Buffer; headers: Record<string, string> } {
  const pieces: Uint8Array[] = [];
  const text = (value: string) => pieces.push(Buffer.from(value));
  for (const part of parts) {
    text(`--${boundary}\r\n`);
    if (Array.isArray(part)) text(`Content-Disposition: form-data; name="${part[0]}"\r\n\r\n${part[1]}\r\n`);
    else {
      const name = part.name ?? "file";
      text(`Content-Disposition: form-data; name="${name}"; filename="${part.file}"\r\n`);
      text("Content-Type: application/octet-stream\r\n\r\n");
      pieces.push(typeof part.content === "string" ? Buffer.from(part.content) : part.content);
      text("\r\n");
    }
  }
  text(`--${boundary}--\r\n`);
  return {
    body: Buffer.concat(pieces),
    headers: { "content-type": `multipart/form-data; boundary=${boundary}` },
  };
}
