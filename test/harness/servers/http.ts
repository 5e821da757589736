import { createServer, type IncomingMessage, type ServerResponse } from "node:http";
import { createServer as createSecureServer } from "node:https";
import type { AddressInfo, Socket } from "node:net";
import type { Certificate } from "./certificates.ts";

/** A request as it arrived. */
export interface Received {
  method: string;
  path: string;
  headers: Record<string, string | undefined>;
  body: Buffer;
}

export interface HttpServer {
  port: number;
  /** Requests whose body arrived whole, in order. */
  received: Received[];
  close(): Promise<void>;
}

export type Answer = (request: IncomingMessage, response: ServerResponse, received: Received) => void;

/**
 * A web server on this machine. `answer` is called when a request is there; 200 by default. `early` is called before
 * its body is read, and answers or ends the connection itself when it returns true.
 */
export async function httpServer(
  options: {
    answer?: Answer;
    early?: (request: IncomingMessage) => boolean;
    tls?: Certificate;
    host?: string;
  } = {},
): Promise<HttpServer> {
  const received: Received[] = [];
  const listener = async (request: IncomingMessage, response: ServerResponse) => {
    request.on("error", () => undefined);
    response.on("error", () => undefined);
    if (options.early?.(request) === true) return;
    const chunks: Buffer[] = [];
    try {
      for await (const chunk of request) chunks.push(chunk as Buffer);
    } catch {
      return;
    }
    const { method = "", url = "", headers } = request;
    const one = { method, path: url, headers: headers as Received["headers"], body: Buffer.concat(chunks) };
    received.push(one);
    if (options.answer === undefined) response.end("ok");
    else options.answer(request, response, one);
  };
  const server =
    options.tls === undefined ? createServer(listener) : createSecureServer(options.tls, listener);
  const open = new Set<Socket>();
  server.on("connection", (socket: Socket) => {
    open.add(socket);
    socket.on("close", () => open.delete(socket));
  });
  server.on("tlsClientError", () => undefined);
  await new Promise<void>((resolve) => server.listen(0, options.host ?? "127.0.0.1", resolve));
  return {
    port: (server.address() as AddressInfo).port,
    received,
    async close() {
      for (const socket of open) socket.destroy();
      await new Promise((resolve) => server.close(resolve));
    },
  };
}
