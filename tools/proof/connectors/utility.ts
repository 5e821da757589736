import { type ChildProcess, spawn } from "node:child_process";
import { once } from "node:events";
import { createInterface } from "node:readline";
import { Readable } from "node:stream";
import { setTimeout as delay } from "node:timers/promises";
import { fileURLToPath } from "node:url";

const program = fileURLToPath(new URL("../../../simulator/src/main.ts", import.meta.url));

/** What the utility has published of a metering point. */
export interface Truth {
  meter: string;
  username: string;
  metric: string;
  granularity: "15min" | "hour" | "month";
  starts: readonly (number | string)[];
  /** Of months alone. */
  ends?: readonly (number | string)[];
  values: readonly (number | string)[];
}

/** A fault of the utility; times in epoch milliseconds. */
export interface Fault {
  id: string;
  kind: string;
  variant: string | undefined;
  username: string | null;
  from: number;
  until: number;
  /** It ends after so many requests met it, so that a run may pass it by. */
  isShort: boolean;
  hits: number;
}

/** The demo utility in a process of its own, and its control. */
export class Utility {
  readonly url: string;
  readonly #controlUrl: string;
  readonly #process: ChildProcess;
  #mayBeGone = false;

  static async open(options: { seed: number; customers: number; now: number }): Promise<Utility> {
    const words = ["--port", "0", "--control-port", "0", "--seed", String(options.seed)];
    words.push("--customers", String(options.customers), "--now", new Date(options.now).toISOString());
    const child = spawn(process.execPath, [program, ...words], { stdio: ["ignore", "pipe", "inherit"] });
    const urls: string[] = [];
    for await (const line of createInterface({ input: child.stdout })) {
      const url = /https?:\/\/[^/\s]{1,100}/.exec(line)?.[0];
      if (url !== undefined) urls.push(url);
      if (urls.length === 2) return new Utility(child, urls);
    }
    throw new Error("the utility did not start");
  }

  private constructor(child: ChildProcess, urls: readonly string[]) {
    this.#process = child;
    child.stdout!.resume();
    [this.url, this.#controlUrl] = urls as [string, string];
  }

  async #order(method: string, path: string, body?: unknown): Promise<Response> {
    const answer = await fetch(`${this.#controlUrl}/control/${path}`, {
      method,
      ...(body !== undefined && {
        headers: { "content-type": "application/json" },
        body: JSON.stringify(body),
      }),
    });
    if (!answer.ok) throw new Error(`${method} ${path}: ${answer.status} ${await answer.text()}`);
    return answer;
  }

  /** Moves the clock of the utility to an instant that lies ahead, when it is there: it is gone by another clock. */
  async moveTo(now: number): Promise<void> {
    const isGone = ({ kind, until }: Fault) => kind === "gone" && until === Number.POSITIVE_INFINITY;
    for (; this.#mayBeGone; await delay(200)) this.#mayBeGone = (await this.faults()).some(isGone);
    await this.#order("POST", "clock", { now: new Date(now).toISOString() });
  }

  /** From now on its clock stands still; returns where. */
  async stand(): Promise<number> {
    const { now } = (await (await this.#order("POST", "clock", { speed: 0 })).json()) as { now: string };
    return Date.parse(now);
  }

  async draw(order: { seed: number; until: number; count: number; usernames: readonly string[] }) {
    await this.#order("POST", "faults/draw", { ...order, until: new Date(order.until).toISOString() });
  }

  async order(fault: { kind: string; username?: string; until?: number; seconds?: number }): Promise<void> {
    const until = fault.until === undefined ? undefined : new Date(fault.until).toISOString();
    await this.#order("POST", "faults", { ...fault, until });
    if (fault.kind === "gone") this.#mayBeGone = true;
  }

  async faults(): Promise<Fault[]> {
    const answer = (await (await this.#order("GET", "faults")).json()) as {
      faults: Record<string, unknown>[];
    };
    return answer.faults.map((fault) => ({
      id: fault.id as string,
      kind: fault.kind as string,
      variant: fault.variant as string | undefined,
      username: fault.username as string | null,
      from: fault.from === null ? Number.NEGATIVE_INFINITY : Date.parse(fault.from as string),
      until: fault.until === null ? Number.POSITIVE_INFINITY : Date.parse(fault.until as string),
      isShort: fault.times !== null || fault.every !== undefined,
      hits: fault.hits as number,
    }));
  }

  async changePassword(username: string, password: string): Promise<void> {
    await this.#order("POST", `customers/${username}`, { password, unlock: true });
  }

  /** Customers, ordinary ones and those of a situation. */
  async customers(): Promise<{ username: string; password: string; isOrdinary: boolean }[]> {
    const { customers } = (await (await this.#order("GET", "customers")).json()) as {
      customers: { username: string; password: string; situation: string | null }[];
    };
    return customers.map((each) => ({ ...each, isOrdinary: each.situation === null }));
  }

  async passwordOf(username: string): Promise<string> {
    return (await this.customers()).find((each) => each.username === username)!.password;
  }

  /** How often a login was tried with a wrong password, and how often that locked it. */
  async logins(): Promise<{ username: string; wrong: number; lockouts: number }[]> {
    const answer = (await (await this.#order("GET", "logins")).json()) as {
      logins: { username: string; wrong: number; lockouts: number }[];
    };
    return answer.logins;
  }

  async *truth(username: string, at: number): AsyncGenerator<Truth> {
    const query = new URLSearchParams({ customer: username, at: new Date(at).toISOString() });
    const answer = await this.#order("GET", `truth?${query}`);
    const lines = createInterface({ input: Readable.fromWeb(answer.body as never) });
    for await (const line of lines) if (line !== "") yield JSON.parse(line) as Truth;
  }

  async close(): Promise<void> {
    this.#process.kill("SIGTERM");
    if (this.#process.exitCode === null) await once(this.#process, "exit");
  }
}
