import { z } from "zod";

/** What the process of a browser is told, one at a time; answers come in the same order. */
export type Order =
  | ({ do: "launch" } & Launch)
  | { do: "open"; url: string; wait: Wait }
  | { do: "fill"; selector: string; value: string; timeoutMs: number }
  | { do: "press"; selector: string; wait: Wait }
  | { do: "cookies"; url: string }
  | { do: "setCookie"; name: string; value: string; url: string };

/** How a browser is started. */
export interface Launch {
  executable: string;
  hasSandbox: boolean;
  /** User and group that it runs as from now on; `null`: as we are. */
  account: number | null;
  proxy: { port: number; username: string; password: string };
  /** Ends its user agent. */
  agent: string;
  locale: string;
  timezone: string;
  /** Where it may leave files. */
  folder: string;
}

/** What is waited for after a step. */
export interface Wait {
  timeoutMs: number;
  bytesMax: number;
  /** Something that is shown then; without it another page or a file is waited for. */
  until?: string;
}

const seen = z.object({
  url: z.string(),
  status: z.int(),
  headers: z.record(z.string(), z.string()),
  /** Base64: the process holds what strangers have sent, and is only trusted with text. */
  body: z.string(),
});
/** A page or a file. */
export type Seen = z.output<typeof seen>;

/**
 * Why a step failed. `network`: no answer came from `url`. `slow`: none came in time. `missing`: what should be filled
 * in, pressed or shown is not there once; `html` is the page. `too_large`: more than `bytesMax`. `broken`: the browser
 * itself.
 */
const fault = z.object({
  reason: z.enum(["network", "slow", "missing", "too_large", "broken"]),
  message: z.string(),
  url: z.string().optional(),
  html: z.string().optional(),
});
export type Fault = z.output<typeof fault>;

const exchange = z.object({
  method: z.string(),
  url: z.string(),
  status: z.int().nullable(),
  ms: z.number(),
  bytes: z.number(),
});
/** A request of the pages, for the trace. */
export type Exchanged = z.output<typeof exchange>;

/** What the process says. */
export const word = z.discriminatedUnion("say", [
  /** The order was carried out. `secrets` are the values of all cookies. */
  z.object({
    say: z.literal("done"),
    seen: seen.optional(),
    cookies: z.record(z.string(), z.string()).optional(),
    secrets: z.array(z.string()).default([]),
  }),
  z.object({ say: z.literal("failed"), fault }),
  z.object({ say: z.literal("exchanged"), exchange }),
]);
export type Word = z.output<typeof word>;
