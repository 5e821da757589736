import { isDeepStrictEqual } from "node:util";
import { type Egress, EgressFailure, type EgressRequest } from "../platform/egress/egress.ts";
import type { ConnectorCase, Exchanged } from "./case-file.ts";

/** A provider that answers as it was recorded, and nothing else. */
export interface Player {
  egress: Pick<Egress, "request">;
  /** What was asked and not expected, and what was expected and not asked. */
  complaints(): string[];
}

export interface PlayerOptions extends Pick<ConnectorCase, "talk" | "order"> {
  /** What is not recorded is answered as by a server that does not know it, and nobody complains. */
  knowsNot?: boolean;
}

/** Plays the talk of a case. Each exchange is played once, in order unless the case says otherwise. */
export function playerOf({ talk, order, knowsNot = false }: PlayerOptions): Player {
  const left = [...talk];
  const complaints: string[] = [];
  return {
    egress: {
      async request(url, request = {}) {
        const address = String(url);
        const at = order === "any" ? left.findIndex((each) => !differs(each.request, address, request)) : 0;
        const next = left[at];
        const asked = `${request.method ?? "GET"} ${address}`;
        const difference =
          next === undefined ? "nothing more is recorded" : differs(next.request, address, request);
        if (next === undefined || difference !== undefined) {
          if (knowsNot) return { status: 404, headers: {}, body: Buffer.from("not found") };
          const message = `unexpected request ${asked}: ${at < 0 ? "nothing like it is left" : difference}`;
          complaints.push(message);
          throw new Error(message);
        }
        left.splice(at, 1);
        if (next.response === "none") throw new EgressFailure("no_connection", { inner: "recorded" });
        return { ...next.response };
      },
    },
    complaints: () => [
      ...complaints,
      ...left.map(({ request }) => `not asked: ${request.method} ${request.url}`),
    ],
  };
}

/** How a request is another than the recorded one; `undefined` when it is the same. */
function differs(
  recorded: Exchanged["request"],
  url: string,
  { method = "GET", headers = {}, body }: EgressRequest,
): string | undefined {
  if (recorded.method !== method || new URL(recorded.url).href !== new URL(url).href) {
    return `${recorded.method} ${recorded.url} comes next`;
  }
  for (const [name, value] of Object.entries(recorded.headers)) {
    if (headers[name] !== value) return `its header ${name} is not ${value}`;
  }
  const sent = body === undefined ? "" : Buffer.from(body as string | Uint8Array).toString("utf8");
  const { form, json } = recorded;
  if (form !== undefined) {
    const fields = Object.fromEntries(new URLSearchParams(sent));
    return isDeepStrictEqual(fields, form) ? undefined : `its form is ${JSON.stringify(fields)}`;
  }
  if (json !== undefined) {
    return isDeepStrictEqual(jsonOf(sent), json) ? undefined : `its body is ${sent.slice(0, 500)}`;
  }
  return sent === (recorded.body ?? "") ? undefined : `its body is ${sent.slice(0, 500) || "empty"}`;
}

function jsonOf(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return undefined;
  }
}
