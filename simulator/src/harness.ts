import { startSimulator } from "./start.ts";
import type { UtilityOptions } from "./utility.ts";

/** A visitor with a browser's cookies, for tests. */
export class Visitor {
  readonly #url: string;
  readonly #cookies = new Map<string, string>();

  constructor(url: string) {
    this.#url = url;
  }

  /** A request that follows no redirect. */
  async ask(path: string, form?: Record<string, string>): Promise<Response> {
    const cookie = [...this.#cookies].map(([name, value]) => `${name}=${value}`).join("; ");
    const answer = await fetch(new URL(path, this.#url), {
      redirect: "manual",
      headers: { cookie },
      ...(form !== undefined && { method: "POST", body: new URLSearchParams(form) }),
    });
    for (const each of answer.headers.getSetCookie()) {
      const [name = "", value = ""] = each.split(";")[0]!.split("=");
      this.#cookies.set(name, value);
    }
    return answer;
  }

  async text(path: string): Promise<string> {
    return (await this.ask(path)).text();
  }

  /** Sends the login form as a browser does. */
  async login(username: string, password = "demo"): Promise<Response> {
    const csrf = /name="csrf" value="([^"]+)"/.exec(await this.text("/login"))![1]!;
    return this.ask("/login", { csrf, username, password });
  }
}

/** A utility whose clock stands still until it is moved. */
export async function testUtility(options: UtilityOptions = {}) {
  const simulator = await startSimulator({
    now: Date.parse("2026-11-01T12:00:00Z"),
    speed: 0,
    customers: 3,
    ...options,
  });
  const order = async (method: string, path: string, body?: unknown) => {
    const answer = await fetch(simulator.controlUrl + path, {
      method,
      ...(body !== undefined && {
        headers: { "content-type": "application/json" },
        body: JSON.stringify(body),
      }),
    });
    const text = await answer.text();
    return {
      status: answer.status,
      text,
      json: text.startsWith("{") && !text.includes("}\n{") ? JSON.parse(text) : null,
    };
  };
  return {
    ...simulator,
    order,
    visit: () => new Visitor(simulator.url),
    /** Lines of the truth. */
    async truth(query: string) {
      const { text } = await order("GET", `/control/truth?${query}`);
      return text
        .split("\n")
        .filter(Boolean)
        .map((line) => JSON.parse(line));
    },
  };
}
