import { randomUUID } from "node:crypto";
import type { IncomingMessage } from "node:http";
import type { Socket } from "node:net";
import type { FastifyInstance } from "fastify";
import { failureText } from "./envelope.ts";

const bodyTimeMs = 300_000;
const idleTimeMs = 60_000;
const lingerMs = 10_000;
const closeMs = 10_000;

/** Bodies have five minutes to arrive. Uploads may take as long as they need, but never pause for a minute. */
export function limitBodyTime(request: IncomingMessage): void {
  const { headers } = request;
  if (headers["transfer-encoding"] === undefined) {
    if (headers["content-length"] === undefined || headers["content-length"] === "0") return;
  }
  if (headers["content-type"]?.startsWith("multipart/") === true) {
    const { socket } = request;
    const onIdle = () => request.destroy(new Error("the upload paused for too long"));
    // Requests of tests have no real socket.
    socket.setTimeout?.(idleTimeMs, onIdle);
    request.once("close", () => {
      socket.setTimeout?.(0);
      socket.removeListener("timeout", onIdle);
    });
    return;
  }
  const timer = setTimeout(() => request.destroy(new Error("the body took too long")), bodyTimeMs);
  request.once("end", () => clearTimeout(timer));
  request.once("close", () => clearTimeout(timer));
}

/**
 * An answer may go out before the whole body came in (too large, not allowed). The rest is read and thrown away for
 * a while, because closing at once would make the client lose the answer too.
 */
export function lingerOver(request: IncomingMessage): void {
  if (request.complete !== false || request.destroyed) return;
  request.resume();
  const timer = setTimeout(() => request.socket.destroy(), lingerMs);
  timer.unref();
  request.once("close", () => clearTimeout(timer));
}

/** Whether, and when, a server begins to stop. */
export interface Closing {
  isClosing(): boolean;
  signal: AbortSignal;
}

/**
 * Closing: no new connections, running requests finish, whoever keeps a connection open without asking is let go.
 * What still runs after ten seconds is cut off.
 */
export function closeGently(app: FastifyInstance): Closing {
  const closing = new AbortController();
  let timer: NodeJS.Timeout | undefined;
  app.addHook("preClose", (done) => {
    closing.abort();
    timer = setTimeout(() => app.server.closeAllConnections(), closeMs);
    done();
  });
  app.addHook("onClose", (_app, done) => {
    clearTimeout(timer);
    done();
  });
  return { isClosing: () => closing.signal.aborted, signal: closing.signal };
}

const clientErrors: Record<string, [status: number, reason: string, message: string]> = {
  HPE_HEADER_OVERFLOW: [431, "Request Header Fields Too Large", "The headers of the request are too large"],
  ERR_HTTP_REQUEST_TIMEOUT: [408, "Request Timeout", "The request took too long to arrive"],
};

/** Answers what is not even HTTP, in the shape of every other error, and closes the connection. */
export function answerClientError(error: NodeJS.ErrnoException, socket: Socket): void {
  if (error.code === "ECONNRESET" || !socket.writable) {
    socket.destroy();
    return;
  }
  const [status, reason, message] = clientErrors[error.code ?? ""] ?? [
    400,
    "Bad Request",
    "This is not an HTTP request",
  ];
  const body = failureText({ status, message }, randomUUID());
  const head = [
    `HTTP/1.1 ${status} ${reason}`,
    "Content-Type: application/json; charset=utf-8",
    `Content-Length: ${Buffer.byteLength(body)}`,
    "Cache-Control: no-store",
    "Connection: close",
  ];
  socket.end(`${head.join("\r\n")}\r\n\r\n${body}`);
}
