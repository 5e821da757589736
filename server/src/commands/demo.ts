import { type Command, InvalidArgumentError } from "commander";
import type { Config } from "../config.ts";
import type { DemoAccess } from "../demo/demo.ts";
import type { RunningServer } from "../start.ts";
import { addConfigFlags, configOf } from "./options.ts";
import { serve } from "./serve.ts";

const portsTried = 50;
const defaults = { dataDir: "data-demo", logLevel: "warn" };
/** The demo utility listens there. */
const utilityAddress = "127.0.0.1";
const tell = (text: string) => console.log(text);

/** `metertree demo`: a server with a property manager, its customers, two years of values, and a utility to ask. */
export function registerDemo(program: Command): void {
  const command = program
    .command("demo")
    .description("start a server with demo data and a utility, in the folder data-demo unless told otherwise")
    .option("--day-seconds <number>", "how long a day takes at the utility (60)", secondsOf, 60)
    .option("--no-utility", "only the data: nothing is collected, nothing changes by itself");
  addConfigFlags(command, "server").action(async (options: Record<string, unknown>) => {
    const read = configOf(options, "server", defaults);
    const config = { ...read, egressAllow: [...read.egressAllow, utilityAddress] };
    const { daySeconds, utility } = options as { daySeconds: number; utility: boolean };
    await serve(config, { portsTried, isCollectionHeld: true }, async (server) => {
      const { fillDemo } = await import("../demo/demo.ts");
      const access = await fillDemo(server.deps);
      const said = greeting(server, config, access);
      if (!utility) return `${said}\nCtrl-C stops everything.`;
      tell(said);
      return collect(server, access, daySeconds);
    });
  });
}

function secondsOf(text: string): number {
  const seconds = Number(text);
  if (text !== "" && seconds >= 1 && seconds <= 86_400) return seconds;
  throw new InvalidArgumentError("It must be a number from 1 to 86400.");
}

type Curl = (path: string, options?: string) => string;

const curlOf =
  ({ url }: RunningServer, { token }: DemoAccess): Curl =>
  (path, options = "") =>
    `  curl -s ${options}-H "Authorization: Bearer ${token}" "${url}/api/v2${path}"`;

function greeting(server: RunningServer, config: Config, access: DemoAccess): string {
  const { url, database } = server;
  const { username, password, token, subaccountId, meterId, nodeId, year } = access;
  const curl = curlOf(server, access);
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
    "Invoices: of the PDF files in demo-invoices of the data folder, and what a utility brings:",
    curl("/invoices?status=completed"),
    "",
  ].join("\n");
}

/** Starts the utility and what tells about it; returns what is said of it first. */
async function collect(server: RunningServer, access: DemoAccess, daySeconds: number): Promise<string> {
  const { connectUtility } = await import("../demo/demo.ts");
  const { app, deps } = server;
  const collection = await connectUtility(deps, { app, token: access.token, daySeconds });
  server.atEnd(() => collection.close());
  server.collect();
  collection.begin(tell);
  const curl = curlOf(server, access);
  return [
    `Älvdal Energi, a utility that does not exist, answers at ${collection.url} (log in as demo / demo).`,
    `Metertree logs in there for five customers. A day takes ${daySeconds} seconds until it is today; time and faults`,
    `are ordered at ${collection.controlUrl}/control (simulator/README.md).`,
    "",
    "Connections: their states, who acts and what to do:",
    curl("/connections"),
    "What needs a person:",
    curl("/issues?state=open"),
    "The code that a login waits for; enter it, and its meters are found:",
    curl(
      `/connections/${collection.codeConnectionId}/code`,
      `-H "Content-Type: application/json" -d '{"code": "123456"}' `,
    ),
    "Found meters that no rule accepts, in the inbox:",
    curl("/meters?box=inbox"),
    "What the meters used that rules have placed in a tree, day by day:",
    curl(`/consumptions/${collection.nodeId}/day/${collection.month}?metrics=energy`),
    "",
    "Ctrl-C stops everything. What arrives from here on, with the server's log as JSON:",
  ].join("\n");
}
