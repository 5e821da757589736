import type { Command } from "commander";
import type { Config } from "../config.ts";
import type { RunningServer, StartOptions } from "../start.ts";
import { addConfigFlags, configOf } from "./options.ts";

/** `metertree serve`: the server, until it is told to stop. */
export function registerServe(program: Command): void {
  const command = program.command("serve").description("start the server");
  addConfigFlags(command, "server").action(async (options: Record<string, unknown>) => {
    await serve(configOf(options, "server"), {}, async (server) => greet(server));
  });
}

/**
 * Starts a server and stops it in order at the first SIGINT, SIGTERM or SIGHUP. A second signal ends the process at
 * once, the embedded database included.
 */
export async function serve(
  config: Config,
  options: StartOptions,
  whenReady: (server: RunningServer) => Promise<string>,
): Promise<void> {
  let stop: (() => Promise<void>) | undefined;
  let signals = 0;
  const onSignal = () => {
    signals++;
    // Leaving the process stops the embedded database too, without waiting for anybody.
    if (signals > 1) process.exit(1);
    console.error("Stopping; press Ctrl-C again to end at once.");
    void stop?.().then(() => process.exit(0));
  };
  for (const signal of ["SIGINT", "SIGTERM", "SIGHUP"] as const) process.on(signal, onSignal);
  const { start } = await import("../start.ts");
  const server = await start(config, options);
  stop = server.stop;
  const greeting = await whenReady(server).catch(async (error: unknown) => {
    await server.stop();
    throw error;
  });
  if (signals > 0) {
    await stop();
    process.exit(0);
  }
  console.log(greeting);
}

function greet({ url, database, isEmpty }: RunningServer): string {
  const lines = [
    `Metertree answers at ${url}`,
    `  reference   ${url}/docs`,
    `  data        ${database.place}`,
  ];
  if (isEmpty) {
    lines.push(
      "",
      "There is no account yet. Make the first administrator and a token:",
      '  npm run -s metertree -- account create --name "My company" --username me@example.com --password-stdin',
      "  npm run -s metertree -- token create --account me@example.com --scopes basic,write_trees,write_meters",
    );
  }
  return lines.join("\n");
}
