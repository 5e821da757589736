import { createServer } from "node:http";
import type { AddressInfo } from "node:net";

/** A request as an emulated provider gets it. */
export interface Heard {
  method: string;
  path: string;
  query: URLSearchParams;
  headers: Readonly<Record<string, string>>;
  body: string;
}

/** What it answers: `json`, or `text` as it is. 200 unless it says otherwise. */
export interface Told {
  status?: number;
  headers?: Record<string, string>;
  json?: unknown;
  text?: string;
}

/** A provider's API on a real server, with faults. */
export interface Emulator {
  url: string;
  /** Every request, in order. */
  heard: Heard[];
  /** Answers requests of that path in the place of the API, so many times; `times` is one by default. */
  fail(path: string | RegExp, told: Told, times?: number): void;
  /** Takes all faults back and forgets what was heard. */
  mend(): void;
  close(): Promise<void>;
}

/** Starts a provider that answers by a function; what it does not answer is a 404. */
export async function emulate(answer: (heard: Heard) => Told | undefined): Promise<Emulator> {
  const heard: Heard[] = [];
  let faults: { path: string | RegExp; told: Told; left: number }[] = [];
  const server = createServer(async (request, response) => {
    let body = "";
    for await (const chunk of request) body += chunk;
    const url = new URL(request.url!, "http://localhost");
    const one: Heard = {
      method: request.method!,
      path: url.pathname,
      query: url.searchParams,
      headers: request.headers as Record<string, string>,
      body,
    };
    heard.push(one);
    const fault = faults.find(({ path, left }) => left > 0 && one.path.match(path) !== null);
    if (fault !== undefined) fault.left--;
    const {
      status = 200,
      headers = {},
      json,
      text,
    } = fault?.told ?? answer(one) ?? { status: 404, text: "" };
    const type = json === undefined ? "text/plain; charset=utf-8" : "application/json";
    response.writeHead(status, { "content-type": type, ...headers });
    response.end(json === undefined ? text : JSON.stringify(json));
  });
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  return {
    url: `http://127.0.0.1:${(server.address() as AddressInfo).port}`,
    heard,
    fail: (path, told, times = 1) => void faults.push({ path, told, left: times }),
    mend() {
      faults = [];
      heard.length = 0;
    },
    close: () =>
      new Promise((resolve) => {
        server.close(() => resolve());
        server.closeAllConnections();
      }),
  };
}
