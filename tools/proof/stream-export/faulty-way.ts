import { once } from "node:events";
import { type AddressInfo, connect, createServer, type Server, type Socket } from "node:net";

/** The way to a server of a target: whole, closed, or one that breaks after some bytes. */
export class FaultyWay {
  /** Connections that met a fault. */
  faults = 0;
  /** Bytes that a connection carries before it breaks; `null` for a way that is whole, 0 for one that is closed. */
  breaksAfter: number | null = null;
  readonly #server: Server;
  readonly #open = new Set<Socket>();

  constructor(target: { port: number }) {
    this.#server = createServer((near) => this.#carry(near, target.port));
  }

  /** Listens on this machine; answers the port. */
  async open(): Promise<number> {
    this.#server.listen(0, "127.0.0.1");
    await once(this.#server, "listening");
    return (this.#server.address() as AddressInfo).port;
  }

  async close(): Promise<void> {
    for (const socket of this.#open) socket.destroy();
    this.#server.close();
    await once(this.#server, "close");
  }

  #carry(near: Socket, port: number): void {
    const limit = this.breaksAfter;
    this.#keep(near);
    if (limit === 0) {
      this.faults++;
      near.destroy();
      return;
    }
    const far = connect(port, "127.0.0.1");
    this.#keep(far);
    let bytes = 0;
    near.on("data", (chunk: Buffer) => {
      bytes += chunk.length;
      if (limit !== null && bytes > limit) {
        this.faults++;
        near.destroy();
        far.destroy();
      } else if (!far.write(chunk)) {
        near.pause();
        far.once("drain", () => near.resume());
      }
    });
    far.pipe(near);
    near.once("end", () => far.end());
    for (const [one, other] of [
      [near, far],
      [far, near],
    ] as const)
      one.once("close", () => other.destroy());
  }

  #keep(socket: Socket): void {
    this.#open.add(socket);
    socket.on("error", () => undefined);
    socket.once("close", () => this.#open.delete(socket));
  }
}
