import type { Command } from "commander";
import type { Config } from "../config.ts";
import type { DemoAccess } from "../demo/demo.ts";
import type { RunningServer } from "../start.ts";
import { addConfigFlags, configOf } from "./options.ts";
import { serve } from "./serve.ts";

const portsTried = 50;

/** `metertree demo`: a server with a property manager, its customers and two years of values. */
export function registerDemo(program: Command): void {
  const command = program
    .command("demo")
    .description("start a server with demo data, in the folder data-demo unless told otherwise");
  addConfigFlags(command, "server").action(async (options: Record<string, unknown>) => {
    const config = configOf(options, "server", { dataDir: "data-demo", logLevel: "warn" });
    await serve(config, { portsTried }, async (server) => {
      const { fillDemo } = await import("../demo/demo.ts");
      return greeting(server, config, await fillDemo(server.deps));
    });
  });
}

function greeting({ url, database }: RunningServer, config: Config, access: DemoAccess): string {
  const { username, password, token, subaccountId, meterId, nodeId, year } = access;
  const curl = (path: string) => `  curl -s -H "Authorization: Bearer ${token}" "${url}/api/v2${path}"`;
  const isMoved = config.port !== 0 && Number(new URL(url).port) !== config.port;
  return [
    ...(isMoved
      ? [`Port ${config.port} is taken by another program; the demo uses the next free one.`, ""]
      : []),
    `Metertree answers at ${url} with demo data`,
    `  reference   ${url}/docs`,
    `  login       ${username}`,
    `  password    ${password}`,
    `  token       ${token}`,
    `  data        ${database.place}`,
    "",
    "Meters of one subaccount:",
    curl(`/meters?assigner._id=${subaccountId}&limit=5`),
    `What a meter used in each month of ${year}:`,
    curl(`/consumptions/${meterId}/month/${year}?metrics=energy`),
    `What all buildings used for heating in each month of ${year}:`,
    curl(`/consumptions/${nodeId}/month/${year}?metrics=energy&type=heat`),
    `What it cost: its supplier by bills, the grid by a price model that is calculated now:`,
    curl(`/costs/${meterId}/month/${year}`),
    "Invoices, read from the PDF files in demo-invoices of the data folder:",
    curl("/invoices?status=completed"),
    "",
    "Ctrl-C stops everything.",
  ].join("\n");
}
