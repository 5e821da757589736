import { parseArgs } from "node:util";
import { killImport } from "./kill-import.ts";

/** `npm run proof -- SUITE --cycles N --seed N`: prints one line of JSON; exit code 1 when something is wrong. */
const suites = { "kill-import": killImport };

const { values, positionals } = parseArgs({
  allowPositionals: true,
  options: { cycles: { type: "string", default: "10" }, seed: { type: "string" } },
});
const suite = Object.entries(suites).find(([name]) => name === positionals[0])?.[1];
const cycles = Number(values.cycles);
const seed = values.seed === undefined ? Date.now() % 2 ** 31 : Number(values.seed);
if (suite === undefined || !Number.isInteger(cycles) || cycles < 1 || !Number.isInteger(seed)) {
  console.error(`npm run proof -- SUITE [--cycles N] [--seed N]\nSuites: ${Object.keys(suites).join(", ")}`);
  process.exitCode = 2;
} else {
  const verdict = await suite({ cycles, seed });
  console.log(JSON.stringify(verdict));
  process.exitCode = verdict.ok ? 0 : 1;
}
