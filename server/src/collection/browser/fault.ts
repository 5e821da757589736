import type { Fault } from "./protocol.ts";

/** Why a step in the browser failed, on its way from the process of the browser to the server. */
export class BrowserFault extends Error {
  readonly reason: Fault["reason"];
  readonly more: Pick<Fault, "url" | "html">;

  constructor(reason: Fault["reason"], message: string, more: Pick<Fault, "url" | "html"> = {}) {
    super(message);
    this.name = "BrowserFault";
    this.reason = reason;
    this.more = more;
  }

  told(): Fault {
    return { reason: this.reason, message: this.message, ...this.more };
  }
}
