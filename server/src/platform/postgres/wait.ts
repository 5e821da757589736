import { setTimeout as delay } from "node:timers/promises";
import pg from "pg";
import { Problem } from "../problem.ts";

/** Failures that go away while a server starts or a network comes up; anything else is told at once. */
const passing = new Set([
  "ECONNREFUSED",
  "ECONNRESET",
  "ENOENT", // no socket yet
  "ENOTFOUND", // containers start together, name service included
  "EAI_AGAIN",
  "ETIMEDOUT",
  "EHOSTUNREACH",
  "ENETUNREACH",
  "57P01", // admin_shutdown
  "57P02", // crash_shutdown
  "57P03", // cannot_connect_now: starting up
  "53300", // too_many_connections
]);

/**
 * Waits until the PostgreSQL at `url` accepts connections and returns its version number (such as 180004).
 * Refused connections and a server that is starting are tried again until `timeoutMs`; a wrong password or a
 * database that does not exist fail at once. Messages name host and port, never the password.
 */
export async function waitForServer(url: string, options: { timeoutMs: number }): Promise<number> {
  const begun = performance.now();
  for (let waitMs = 50; ; waitMs = Math.min(waitMs * 2, 1000)) {
    const left = options.timeoutMs - (performance.now() - begun);
    const client = parsed(url, Math.max(100, Math.min(left, 5000)));
    try {
      await client.connect();
      const { rows } = await client.query<{ number: number }>(
        "select current_setting('server_version_num')::int as number",
      );
      return rows[0]!.number;
    } catch (error) {
      const { code, message } = error as NodeJS.ErrnoException;
      const place = `${client.host}:${client.port}`;
      if (!isPassing(code, message)) {
        throw new Problem("unavailable", `The database at ${place} refuses us: ${message}`, { cause: error });
      }
      if (left <= waitMs) {
        throw new Problem(
          "unavailable",
          `The database at ${place} does not answer after ${options.timeoutMs / 1000} s: ${message || code}. Check DATABASE_URL, and that the server runs and can be reached from here.`,
        );
      }
      await delay(waitMs);
    } finally {
      await client.end().catch(() => undefined);
    }
  }
}

function parsed(url: string, connectionTimeoutMillis: number): pg.Client {
  try {
    if (!/^postgres(ql)?:\/\//.test(url.slice(0, 20))) throw new Error("no scheme");
    return new pg.Client({ connectionString: url, connectionTimeoutMillis });
  } catch {
    // The parser's own message may repeat the address, password included.
    throw new Problem(
      "invalid",
      "DATABASE_URL is not a connection string. It looks like postgresql://user:password@host:5432/database; characters such as @ or / in the password are written as %40 and %2F, and % itself as %25.",
    );
  }
}

/** pg's own time-outs and hang-ups carry no code. */
function isPassing(code: string | undefined, message: string): boolean {
  if (code !== undefined) return passing.has(code);
  return message.includes("timeout") || message.includes("Connection terminated");
}
