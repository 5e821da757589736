import { parseArgs } from "node:util";
import { connectors } from "./connectors.ts";
import { killImport } from "./kill-import.ts";
import { streamExport } from "./stream-export.ts";

const usage =
  "npm run proof -- SUITE [--cycles N] [--seconds N] [--customers N] [--days N] [--browsers N] [--seed N]";

/**
 * Prints one line of JSON; exit code 1 when something is wrong. A suite repeats so many cycles, goes on for so many
 * seconds, or for so many days of so many customers.
 */
const suites = { "kill-import": killImport, "stream export": streamExport, connectors };

const { values, positionals } = parseArgs({
  allowPositionals: true,
  options: {
    cycles: { type: "string", default: "10" },
    seconds: { type: "string", default: "3600" },
    customers: { type: "string", default: "200" },
    days: { type: "string", default: "365" },
    browsers: { type: "string", default: "0" },
    seed: { type: "string" },
  },
});
const suite = Object.entries(suites).find(([name]) => name === positionals.join(" "))?.[1];
const cycles = Number(values.cycles);
const seconds = Number(values.seconds);
const customers = Number(values.customers);
const days = Number(values.days);
const browsers = Number(values.browsers);
const seed = values.seed === undefined ? Date.now() % 2 ** 31 : Number(values.seed);
const areGood =
  [cycles, seconds, customers, days].every((each) => each >= 1) && browsers >= 0 && Number.isInteger(seed);
if (suite === undefined || !areGood) {
  console.error(`${usage}\nSuites: ${Object.keys(suites).join(", ")}`);
  process.exitCode = 2;
} else {
  const verdict = await suite({ cycles, seconds, customers, days, browsers, seed });
  console.log(JSON.stringify(verdict));
  process.exitCode = verdict.ok ? 0 : 1;
}
