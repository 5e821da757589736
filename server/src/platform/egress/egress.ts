import http from "node:http";
import https from "node:https";
import { connect as connectSocket, isIP, type Socket } from "node:net";
import type { Duplex } from "node:stream";
import tls, { type TLSSocket } from "node:tls";
import { Agent } from "undici";
import { addressList, canonicalHost, isPublicAddress } from "./address.ts";
import { EgressFailure, failureOf } from "./failure.ts";
import { type EgressAnswer, type EgressRequest, sendRequest } from "./request.ts";
import { dnsResolver, type Resolve } from "./resolve.ts";

export {
  EgressFailure,
  type EgressReason,
  egressReasons,
  failureOf,
  failureOfStatus,
  type Retry,
} from "./failure.ts";
export type { EgressAnswer, EgressRequest } from "./request.ts";

/** A place to connect to. */
export interface EgressTarget {
  /** Name or address, as somebody typed it. */
  host: string;
  port: number;
  /** Until the connection stands, with looking up the name (and TLS); 10 s by default. */
  timeoutMs?: number;
  signal?: AbortSignal;
  /** The host comes from the operator's configuration and not from a tenant: any address will do. */
  isOperators?: boolean;
}

/**
 * The way out: every connection to a machine that a tenant named is made here, whatever is spoken on it. A name is
 * looked up once, its addresses are judged, and the connection goes to the address that was judged. Failures are
 * `EgressFailure`s.
 */
export interface Egress {
  /** A TCP connection. */
  connect(target: EgressTarget): Promise<Socket>;
  /** A TCP connection with TLS on it, the certificate checked for `host`. */
  connectTls(target: EgressTarget & { alpn?: readonly string[] }): Promise<TLSSocket>;
  /** TLS options for libraries that wrap a connection of `connect` themselves. */
  tlsOptions(host: string): tls.ConnectionOptions;
  /** Agents for SDKs that make their own HTTP requests. */
  agents(limits?: AgentLimits): EgressAgents;
  /** One HTTP exchange, limited in time, size and redirects. Answers of every status are returned. */
  request(url: string | URL, request?: EgressRequest): Promise<EgressAnswer>;
  /** Ends idle connections. */
  close(): Promise<void>;
}

/** Bounds of what SDKs read. */
export interface AgentLimits {
  /** A connection that brings more is ended; 16 MB by default, because SDKs hold answers in memory. */
  bytesMax?: number;
}

/** Agents of one client. */
export interface EgressAgents {
  http: http.Agent;
  https: https.Agent;
  /** Why the last connection that failed did: SDKs wrap errors until nothing is left of them. */
  failure(): EgressFailure | undefined;
  /** Ends the connections. */
  close(): void;
}

export interface EgressOptions {
  /** Addresses and ranges that may be reached although they are not public. */
  allow: readonly string[];
  /** Ports that are never reached, wherever they are: that of our own database. */
  portsNever?: readonly number[];
  /** How names are looked up; the name servers of this machine by default. */
  resolve?: Resolve;
  /** Certificates (PEM) of authorities to trust beside those of this machine. */
  ca?: readonly string[];
}

const connectMs = 10_000;
/** A name with more addresses is tried at the first ones. */
const addressesMax = 6;

/** Makes the way out of a server. Throws when `allow` is not a list of addresses and ranges. */
export function makeEgress(options: EgressOptions): Egress {
  const resolve = options.resolve ?? dnsResolver({ hasLocalNames: options.allow.length > 0 });
  const isListed = addressList(options.allow);
  const isAllowed = (address: string) => isPublicAddress(address) || isListed(address);
  const never = new Set(options.portsNever ?? []);
  const ca = options.ca === undefined ? {} : { ca: [...tls.getCACertificates("default"), ...options.ca] };
  const tlsOptions = (host: string): tls.ConnectionOptions => {
    const name = canonicalHost(host);
    return { host: name, ...(isIP(name) === 0 ? { servername: name } : {}), ...ca };
  };

  async function connect(target: EgressTarget): Promise<Socket> {
    const { signal, end } = deadline(target);
    try {
      const name = canonicalHost(target.host);
      const found = isIP(name) === 0 ? await orAborted(resolve(name), signal) : [name];
      const isGood = target.isOperators === true ? () => true : isAllowed;
      const addresses = found.filter(isGood).slice(0, addressesMax);
      const port = checkedPort(target.port);
      if (addresses.length === 0 || (never.has(port) && target.isOperators !== true)) {
        throw new EgressFailure("address_refused", { inner: `${name}:${port} is ${found.join(", ")}` });
      }
      return await openSocket(addresses, { port, signal, isGood });
    } catch (error) {
      throw failureOf(error, "no_connection");
    } finally {
      end();
    }
  }

  async function connectTls(target: EgressTarget & { alpn?: readonly string[] }): Promise<TLSSocket> {
    const { signal, end } = deadline(target);
    try {
      const socket = await connect({ ...target, signal });
      const alpn = target.alpn === undefined ? {} : { ALPNProtocols: [...target.alpn] };
      return await secured(tls.connect({ ...tlsOptions(target.host), ...alpn, socket }), signal);
    } catch (error) {
      throw failureOf(error, "no_connection");
    } finally {
      end();
    }
  }

  const dispatcher = new Agent({
    allowH2: false,
    pipelining: 1,
    connections: 20,
    keepAliveTimeout: 4_000,
    connect: ({ protocol, hostname, port }, callback) => {
      const target = { host: hostname, port: Number(port) || (protocol === "https:" ? 443 : 80) };
      const opening = protocol === "https:" ? connectTls({ ...target, alpn: ["http/1.1"] }) : connect(target);
      opening.then(
        (socket) => callback(null, socket),
        (error) => callback(error, null),
      );
    },
  });

  return {
    connect,
    connectTls,
    tlsOptions,
    agents: (limits = {}) => makeAgents({ connect, connectTls }, limits),
    request: (url, request = {}) => sendRequest(dispatcher, url, request),
    close: () => dispatcher.close(),
  };
}

/** A signal for the time of an attempt; `end` when it is over, so that what came of it lives on. */
function deadline({ timeoutMs = connectMs, signal }: EgressTarget): { signal: AbortSignal; end(): void } {
  const controller = new AbortController();
  const timer = setTimeout(() => controller.abort(new Error("ETIMEDOUT: no connection in time")), timeoutMs);
  const stop = () => controller.abort(signal?.reason);
  if (signal?.aborted === true) stop();
  signal?.addEventListener("abort", stop, { once: true });
  return {
    signal: controller.signal,
    end() {
      clearTimeout(timer);
      signal?.removeEventListener("abort", stop);
    },
  };
}

function orAborted<Out>(work: Promise<Out>, signal: AbortSignal): Promise<Out> {
  return new Promise((resolve, reject) => {
    const abort = () => reject(signal.reason);
    if (signal.aborted) abort();
    signal.addEventListener("abort", abort, { once: true });
    work.then(resolve, reject).finally(() => signal.removeEventListener("abort", abort));
  });
}

function checkedPort(port: number): number {
  if (Number.isInteger(port) && port > 0 && port < 65_536) return port;
  throw new EgressFailure("no_connection", { inner: `${port} is no port`, retry: "stop" });
}

interface OpenOptions {
  port: number;
  signal: AbortSignal;
  isGood(address: string): boolean;
}

/** Connects to one of `addresses`, the first that answers. Nothing is looked up any more. */
async function openSocket(addresses: readonly string[], options: OpenOptions): Promise<Socket> {
  const { port, signal, isGood } = options;
  const [first = ""] = addresses;
  const pinned = addresses.map((address) => ({ address, family: isIP(address) }));
  const socket = connectSocket({
    port,
    // Commands and answers of the protocols are small, and each waits for the one before.
    noDelay: true,
    ...(addresses.length === 1 ? { host: first } : { host: "pinned", autoSelectFamily: true }),
    autoSelectFamilyAttemptTimeout: 2_000,
    lookup: (_name, _options, done) => done(null, pinned),
  });
  await settled(socket, "connect", signal);
  // It may break before its user listens; an error that nobody hears would end the process.
  socket.on("error", () => undefined);
  // In pairs: what was decided before is asked again of what came of it.
  if (isGood(socket.remoteAddress ?? "")) return socket;
  socket.destroy();
  throw new EgressFailure("address_refused", { inner: `reached ${socket.remoteAddress}` });
}

async function secured(socket: TLSSocket, signal: AbortSignal): Promise<TLSSocket> {
  await settled(socket, "secureConnect", signal);
  return socket.on("error", () => undefined);
}

/** Resolves when `socket` emits `event`; otherwise destroys it and rejects. */
function settled(socket: Socket, event: "connect" | "secureConnect", signal: AbortSignal): Promise<void> {
  return new Promise((resolve, reject) => {
    const fail = (error: unknown) => {
      done();
      // Errors that follow have nobody left to hear them.
      socket.on("error", () => undefined).destroy();
      reject(error);
    };
    const abort = () => fail(signal.reason);
    const closed = () => fail(Object.assign(new Error("closed"), { code: "ECONNRESET" }));
    const ready = () => {
      done();
      resolve();
    };
    function done(): void {
      socket.off(event, ready).off("error", fail).off("close", closed);
      signal.removeEventListener("abort", abort);
    }
    socket.on(event, ready).on("error", fail).on("close", closed);
    signal.addEventListener("abort", abort, { once: true });
    if (signal.aborted) abort();
  });
}

type Connects = Pick<Egress, "connect" | "connectTls">;
type Connected = (error: Error | null, socket: Duplex) => void;

/** SDKs read an answer whole, however long it is; those to what we send are short. */
const agentBytesMax = 16_000_000;

function makeAgents(egress: Connects, { bytesMax = agentBytesMax }: AgentLimits): EgressAgents {
  let failure: EgressFailure | undefined;
  const opener =
    (open: (target: EgressTarget) => Promise<Socket>): http.Agent["createConnection"] =>
    (options, callback) => {
      const { host, port } = options as { host?: string | null; port?: number | string | null };
      open({ host: host ?? "", port: Number(port) }).then(
        (socket) => {
          let bytes = 0;
          socket.on("data", (chunk: Buffer) => {
            bytes += chunk.length;
            if (bytes <= bytesMax) return;
            failure = new EgressFailure("too_large", { inner: `more than ${bytesMax} bytes` });
            socket.destroy(failure);
          });
          (callback as Connected | undefined)?.(null, socket);
        },
        (error) => {
          failure = failureOf(error);
          (callback as ((error: Error) => void) | undefined)?.(failure);
        },
      );
      return undefined;
    };
  const plain = new http.Agent({ keepAlive: true });
  const secure = new https.Agent({ keepAlive: true });
  plain.createConnection = opener((target) => egress.connect(target));
  secure.createConnection = opener((target) => egress.connectTls({ ...target, alpn: ["http/1.1"] }));
  return {
    http: plain,
    https: secure,
    failure: () => failure,
    close() {
      plain.destroy();
      secure.destroy();
    },
  };
}
