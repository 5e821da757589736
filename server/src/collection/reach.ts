import { type Egress, type EgressTarget, failureOf } from "../platform/egress/egress.ts";
import { stopwatch } from "../platform/pause.ts";
import type { Reach } from "../platform/transfer/call.ts";
import type { HttpOptions } from "./http.ts";

/** Connections of a visit that speak something else than HTTP: each is a line of its trace. */
export function openReach({
  egress,
  signal,
  now,
  trace,
}: Pick<HttpOptions, "signal" | "now" | "trace"> & { egress: Egress }): Reach {
  const traced = async <Socket>(target: EgressTarget, open: () => Promise<Socket>): Promise<Socket> => {
    const at = now();
    const elapsed = stopwatch();
    let outcome = "";
    try {
      return await open();
    } catch (error) {
      outcome = ` ${failureOf(error).reason}`;
      throw error;
    } finally {
      const url = `${target.host}:${target.port}${outcome}`;
      trace?.({ at, method: "CONNECT", url, status: null, ms: Math.round(elapsed()), bytes: 0 });
    }
  };
  return {
    signal,
    egress: {
      connect: (target) => traced(target, () => egress.connect({ signal, ...target })),
      connectTls: (target) => traced(target, () => egress.connectTls({ signal, ...target })),
      tlsOptions: (host) => egress.tlsOptions(host),
      agents: (limits) => egress.agents(limits),
    },
  };
}
