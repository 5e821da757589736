#!/usr/bin/env node
import { parseArgs } from "node:util";
import { startSimulator } from "./start.ts";

const usage = `A utility company to collect from.

  --port N           pages and API (8090)
  --control-port N   control (port + 1)
  --host ADDRESS     127.0.0.1
  --seed N           decides customers, values and when they are published (1)
  --customers N      ordinary customers beside the reserved logins (20)
  --now TIME         where the clock begins, ISO 8601 (now)
  --speed N          simulated seconds per second; 100000 is a year in five minutes (1)
  --catch-up         a clock that began in the past stops being faster when it has caught up with the machine's
  --pivot DAY        events of a year are laid out from this day on (first day of the clock's year)
  --until-input-ends end when standard input does: whoever started this is gone
`;

const options = {
  port: { type: "string", default: "8090" },
  "control-port": { type: "string" },
  host: { type: "string", default: "127.0.0.1" },
  seed: { type: "string", default: "1" },
  customers: { type: "string", default: "20" },
  now: { type: "string" },
  speed: { type: "string", default: "1" },
  "catch-up": { type: "boolean", default: false },
  pivot: { type: "string" },
  "until-input-ends": { type: "boolean", default: false },
  help: { type: "boolean", default: false },
} as const;

/** @throws RangeError when an option is no number in its bounds */
function numberOf(name: string, text: string, [min, max]: readonly [number, number]): number {
  const value = Number(text);
  if (text === "" || !(value >= min && value <= max)) {
    throw new RangeError(`--${name} ${text}: write a number from ${min} to ${max}`);
  }
  return value;
}

async function main(): Promise<void> {
  const { values } = parseArgs({ options });
  if (values.help) return console.log(usage);
  const port = numberOf("port", values.port, [0, 65_534]);
  const controlPort = values["control-port"] ?? String(port === 0 ? 0 : port + 1);
  const now = values.now === undefined ? undefined : Date.parse(values.now);
  if (Number.isNaN(now))
    throw new RangeError(`--now ${values.now}: write a time such as 2026-01-01T00:00:00Z`);
  const simulator = await startSimulator({
    host: values.host,
    port,
    controlPort: numberOf("control-port", controlPort, [0, 65_535]),
    seed: Math.floor(numberOf("seed", values.seed, [0, 2 ** 31 - 1])),
    customers: Math.floor(numberOf("customers", values.customers, [0, 9999])),
    speed: numberOf("speed", values.speed, [0, 10_000_000]),
    catchesUp: values["catch-up"],
    ...(now !== undefined && { now }),
    ...(values.pivot !== undefined && { pivot: values.pivot }),
  });
  console.log(`Pages and API  ${simulator.url}   (log in as demo / demo)`);
  console.log(`Control        ${simulator.controlUrl}/control/clock`);
  const end = () => void simulator.close().then(() => process.exit(0));
  for (const signal of ["SIGINT", "SIGTERM"] as const) process.once(signal, end);
  // Whatever becomes of the other process, kill -9 included, its end of the pipe is closed.
  if (values["until-input-ends"]) process.stdin.resume().once("close", end);
}

await main().catch((error: Error) => {
  console.error(error.message);
  process.exitCode = 1;
});
