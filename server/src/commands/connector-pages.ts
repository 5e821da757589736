import type { Command } from "commander";
import { formatTimestamp } from "../platform/http/schema.ts";
import { Problem } from "../platform/problem.ts";
import { adminCommand, type Context, type Options, type Outcome, table } from "./context.ts";

const pagesShown = 50;

/** `metertree connector pages` and `page`: what no connector understood, for whoever runs the server. */
export function registerConnectorPages(connector: Command): void {
  const pages = connector
    .command("pages")
    .description("list the latest pages that no connector understood; they are kept without secrets");
  adminCommand(pages, listPages);
  const page = connector
    .command("page")
    .description("print a page that was not understood")
    .argument("<run>", "id of the run");
  adminCommand(page, showPage);
}

async function listPages({ db }: Context): Promise<Outcome> {
  const { keptPages } = await import("../collection/collection.ts");
  const kept = await keptPages(db, { limit: pagesShown });
  const json = kept.map(({ runId, connectionId, at, provider, message }) => ({
    run: runId,
    connection: connectionId,
    provider,
    at: formatTimestamp(at),
    message,
  }));
  const rows = json.map(({ run, provider, at, message }) => [run, provider, at, message.slice(0, 100)]);
  const text = rows.length === 0 ? "No page is kept." : table(["run", "provider", "when", "what"], rows);
  return { json, text };
}

async function showPage({ db, keys }: Context, _options: Options, [runId = ""]: string[]): Promise<Outcome> {
  const { keptPage } = await import("../collection/collection.ts");
  const text = await keptPage(db, { keys: await keys(), runId });
  if (text === undefined) {
    throw new Problem(
      "not_found",
      `There is no kept page of a run ${runId}: metertree connector pages lists them.`,
    );
  }
  return { json: { run: runId, page: text }, text };
}
