import http, { type IncomingMessage, type ServerResponse } from "node:http";
import type { AddressInfo, Socket } from "node:net";
import type { Duplex } from "node:stream";
import { newSecret } from "../token.ts";
import type { Egress } from "./egress.ts";
import { EgressFailure, failureOf } from "./failure.ts";

/** The way out for a program of another process that speaks to an HTTP proxy: a browser. */
export interface EgressProxy {
  /** On 127.0.0.1. */
  port: number;
  /** Whoever uses it shows both: other programs of this machine may not. */
  username: string;
  password: string;
  /** Why it has ended all connections, and lets nobody through any more; `undefined` while it works. */
  failure(): EgressFailure | undefined;
  /** Ends it and all its connections. */
  close(): Promise<void>;
}

export interface EgressProxyOptions {
  /** May the program go to this host and port? Names are as the program has written them, in lower case. */
  allows(host: string, port: number): boolean;
  /** Most bytes that it may fetch, over all connections. */
  bytesMax: number;
}

/** Headers between the program and the proxy alone. */
const hopHeaders = new Set([
  ...["connection", "keep-alive", "proxy-authenticate", "proxy-authorization", "proxy-connection"],
  ...["te", "trailer", "transfer-encoding", "upgrade"],
]);

/**
 * Opens a proxy, for `http` and for tunnels (CONNECT). Every connection goes out through `egress`, to an address that
 * was judged, so that the program reaches nothing that this server may not reach itself.
 */
export async function openProxy(
  egress: Pick<Egress, "connect">,
  { allows, bytesMax }: EgressProxyOptions,
): Promise<EgressProxy> {
  const username = "metertree";
  const password = newSecret();
  const login = `Basic ${Buffer.from(`${username}:${password}`).toString("base64")}`;
  const sockets = new Set<Duplex>();
  let failure: EgressFailure | undefined;
  let bytesLeft = bytesMax;

  const held = <Each extends Duplex>(socket: Each): Each => {
    sockets.add(socket);
    socket.once("close", () => sockets.delete(socket)).on("error", () => socket.destroy());
    return socket;
  };
  const connect = async (host: string, port: number): Promise<Socket> => {
    if (failure !== undefined) throw failure;
    if (!allows(host, port)) throw new EgressFailure("address_refused", { inner: `${host}:${port}` });
    const socket = held(await egress.connect({ host, port }));
    socket.on("data", (chunk: Buffer) => {
      bytesLeft -= chunk.length;
      if (bytesLeft >= 0) return;
      failure = new EgressFailure("too_large", { inner: `more than ${bytesMax} bytes` });
      for (const each of sockets) each.destroy();
    });
    return socket;
  };

  const server = http.createServer((request, response) => {
    if (request.headers["proxy-authorization"] === login) forward(request, response, connect);
    else response.writeHead(407, { "proxy-authenticate": challenge }).end();
  });
  server.on("connection", held);
  server.on("connect", (request, client, head) => {
    const answer = (status: number, more = "") =>
      client.write(`HTTP/1.1 ${status} ${http.STATUS_CODES[status]}\r\n${more}\r\n`);
    if (request.headers["proxy-authorization"] !== login) {
      answer(407, `proxy-authenticate: ${challenge}\r\ncontent-length: 0\r\n`);
      client.end();
      return;
    }
    tunnel(request, { client, head, connect }).catch((error) => {
      answer(statusFor(error));
      client.end();
    });
  });
  server.listen(0, "127.0.0.1");
  await new Promise<void>((resolve, reject) => server.once("listening", resolve).once("error", reject));
  return {
    port: (server.address() as AddressInfo).port,
    username,
    password,
    failure: () => failure,
    async close() {
      const closed = new Promise((resolve) => server.close(resolve));
      for (const each of sockets) each.destroy();
      await closed;
    },
  };
}

type Connect = (host: string, port: number) => Promise<Socket>;

const challenge = 'Basic realm="metertree"';

/** A place that it may not go to, or one that does not answer. */
const statusFor = (error: unknown) => (failureOf(error).reason === "address_refused" ? 403 : 502);

/**
 * One plain exchange, with a connection of its own. When there is no answer the connection ends without one: an answer
 * of the proxy would look like one of the place that was asked.
 */
function forward(request: IncomingMessage, response: ServerResponse, connect: Connect): void {
  const fail = () => void response.destroy();
  const url = URL.parse(request.url ?? "");
  if (url?.protocol !== "http:") {
    fail();
    return;
  }
  connect(bare(url.hostname), Number(url.port) || 80).then((socket) => {
    const headers = Object.entries(request.headers).filter(([name]) => !hopHeaders.has(name));
    const onward = http.request({
      createConnection: () => socket,
      method: request.method ?? "GET",
      path: `${url.pathname}${url.search}`,
      headers: { ...Object.fromEntries(headers), host: url.host, connection: "close" },
    });
    onward.once("response", (answer) => {
      const back = Object.entries(answer.headers).filter(([name]) => !hopHeaders.has(name));
      // On a connection that was used before, browsers send a form again by themselves when it breaks.
      response.shouldKeepAlive = false;
      response.writeHead(answer.statusCode ?? 502, Object.fromEntries(back) as http.OutgoingHttpHeaders);
      answer.pipe(response);
      // A body that breaks off must not look like one that has ended.
      answer.once("aborted", fail).on("error", fail);
    });
    onward.once("error", fail);
    response.once("close", () => onward.destroy());
    request.pipe(onward);
  }, fail);
}

interface Tunnelled {
  client: Duplex;
  head: Buffer;
  connect: Connect;
}

async function tunnel({ url }: IncomingMessage, { client, head, connect }: Tunnelled): Promise<void> {
  const place = URL.parse(`https://${url}`);
  if (place === null) throw new EgressFailure("address_refused", { inner: "no host and port" });
  const socket = await connect(bare(place.hostname), Number(place.port) || 443);
  client.write("HTTP/1.1 200 Connection Established\r\n\r\n");
  if (head.length > 0) socket.write(head);
  socket.pipe(client).pipe(socket);
  socket.once("close", () => client.destroy());
  client.once("close", () => socket.destroy());
}

const bare = (hostname: string) => hostname.replace(/^\[|\]$/g, "");
