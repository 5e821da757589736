/** What a query parameter can be; a list repeats it. */
export type QueryValue = string | number | boolean | readonly (string | number)[] | undefined;

/** A file to send: what a browser hands out, or `openAsBlob` of Node. */
export interface FileToSend {
  name: string;
  content: Blob;
}

/** The fields of a form, and its files. */
export type Form<Fields> = Omit<Fields, "file"> & { files: readonly FileToSend[] };

/** What is sent of a request besides its headers. */
export interface Body {
  body: string | FormData | ReadableStream<Uint8Array>;
  headers: Record<string, string>;
}

/** The address of an operation such as `GET /meters/{id}`, below the root of the API. */
export function addressOf(
  template: string,
  path: Readonly<Record<string, string>>,
  query: Readonly<Record<string, QueryValue>>,
): string {
  const filled = template.replace(/\{(\w{1,64})\}/g, (_, name: string) => {
    const value = path[name];
    if (value === undefined || value === "") throw new TypeError(`${template} needs ${name}`);
    // Periods are joined by a literal plus.
    return encodeURIComponent(value).replaceAll("%2B", "+").replaceAll("%2C", ",");
  });
  const search = new URLSearchParams();
  for (const [name, value] of Object.entries(query)) {
    if (value === undefined) continue;
    for (const one of Array.isArray(value) ? value : [value]) search.append(name, String(one));
  }
  return search.size === 0 ? filled : `${filled}?${search}`;
}

/** A body as JSON. */
export function jsonBody(value: unknown): Body {
  return { body: JSON.stringify(value), headers: { "content-type": "application/json" } };
}

/**
 * A form with files. With `onProgress` it is sent as a stream, which Node can and browsers mostly cannot; without, the
 * platform sends it.
 */
export function formBody(
  { files, ...fields }: Form<Record<string, unknown>>,
  onProgress?: (sent: number, total: number) => void,
): Body {
  const given = Object.entries(fields).filter(([, value]) => value !== undefined && value !== null);
  const texts = given.map(
    ([name, value]) => [name, typeof value === "string" ? value : JSON.stringify(value)] as const,
  );
  if (onProgress === undefined) {
    const form = new FormData();
    for (const [name, value] of texts) form.append(name, value);
    for (const { name, content } of files) form.append("file", content, name);
    return { body: form, headers: {} };
  }
  const boundary = `----metertree-${crypto.randomUUID()}`;
  const stream = ReadableStream.from(
    formChunks({ texts, files, boundary, onProgress }),
  ) as ReadableStream<Uint8Array>;
  return { body: stream, headers: { "content-type": `multipart/form-data; boundary=${boundary}` } };
}

interface Chunks {
  texts: readonly (readonly [name: string, value: string])[];
  files: readonly FileToSend[];
  boundary: string;
  onProgress: (sent: number, total: number) => void;
}

async function* formChunks({ texts, files, boundary, onProgress }: Chunks): AsyncGenerator<Uint8Array> {
  const bytes = (text: string) => new TextEncoder().encode(text);
  const total = files.reduce((sum, { content }) => sum + content.size, 0);
  let sent = 0;
  for (const [name, value] of texts) {
    yield bytes(`--${boundary}\r\nContent-Disposition: form-data; name="${name}"\r\n\r\n${value}\r\n`);
  }
  for (const { name, content } of files) {
    const quoted = name.replaceAll("\r", "%0D").replaceAll("\n", "%0A").replaceAll('"', "%22");
    yield bytes(
      `--${boundary}\r\nContent-Disposition: form-data; name="file"; filename="${quoted}"\r\n` +
        "Content-Type: application/octet-stream\r\n\r\n",
    );
    for await (const chunk of content.stream() as unknown as AsyncIterable<Uint8Array>) {
      yield chunk;
      // The chunk before was taken when the next one is asked for.
      sent += chunk.length;
      onProgress(sent, total);
    }
    yield bytes("\r\n");
  }
  yield bytes(`--${boundary}--\r\n`);
}
