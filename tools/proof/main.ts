import { parseArgs } from "node:util";
import { killImport } from "./kill-import.ts";
import { streamExport } from "./stream-export.ts";

/**
 * `npm run proof -- SUITE --cycles N --seconds N --seed N`: prints one line of JSON; exit code 1 when something is
 * wrong. A suite repeats so many cycles, or goes on for so many seconds: an hour unless told otherwise.
 */
const suites = { "kill-import": killImport, "stream export": streamExport };

const { values, positionals } = parseArgs({
  allowPositionals: true,
  options: {
    cycles: { type: "string", default: "10" },
    seconds: { type: "string", default: "3600" },
    seed: { type: "string" },
  },
});
const suite = Object.entries(suites).find(([name]) => name === positionals.join(" "))?.[1];
const cycles = Number(values.cycles);
const seconds = Number(values.seconds);
const seed = values.seed === undefined ? Date.now() % 2 ** 31 : Number(values.seed);
if (suite === undefined || !(cycles >= 1) || !(seconds >= 1) || !Number.isInteger(seed)) {
  console.error(
    `npm run proof -- SUITE [--cycles N] [--seconds N] [--seed N]\nSuites: ${Object.keys(suites).join(", ")}`,
  );
  process.exitCode = 2;
} else {
  const verdict = await suite({ cycles, seconds, seed });
  console.log(JSON.stringify(verdict));
  process.exitCode = verdict.ok ? 0 : 1;
}
