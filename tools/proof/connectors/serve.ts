import { readConfig } from "../../../server/src/config.ts";
import { connectors } from "../../../server/src/connectors/all.ts";
import { start } from "../../../server/src/start.ts";

/**
 * A server by the configuration of the environment, as `metertree serve` starts it, that lives in the time of the
 * proof: ahead of the machine's clock by what its parent says, at first in `PROOF_AHEAD_MS`. The limits of requests a
 * minute are by that clock, and a year of requests does not fit into its minutes, so there are none.
 */
let ahead = Number(process.env.PROOF_AHEAD_MS);
process.on("message", (message: { ahead?: number; ask?: "runs" }) => {
  ahead = message.ahead ?? ahead;
  if (message.ask === "runs") process.send!({ runs: server.running() });
});
// A parent that was killed leaves nobody behind.
process.on("disconnect", () => process.exit(1));

const unhurried = connectors.map((each) => ({ ...each, limits: { ...each.limits, perMinute: 60_000_000 } }));
const clock = { now: () => Date.now() + ahead };
const server = await start(readConfig(), { clock, connectors: unhurried });
process.once("SIGTERM", () => void server.stop().then(() => process.exit(0)));
process.send!({ url: server.url });
