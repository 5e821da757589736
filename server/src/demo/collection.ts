import type { FastifyInstance } from "fastify";
import type { Deps } from "../platform/deps.ts";
import { Arrivals } from "./arrivals.ts";
import { makeAsk } from "./ask.ts";
import { type Connected, connectCustomers, moveCustomers } from "./customers.ts";
import { startUtility } from "./utility.ts";

/** What the demo collects. */
export interface DemoCollection extends Connected {
  /** Address of the utility's customer pages. */
  url: string;
  /** Address of its control. */
  controlUrl: string;
  /** The latest month of which days are there, such as `202511`. */
  month: string;
  /** Tells from now on what connections bring, line by line. */
  begin(tell: (line: string) => void): void;
  close(): Promise<void>;
}

export interface CollectionOptions {
  app: FastifyInstance;
  token: string;
  /** How many seconds a day takes at the utility. */
  daySeconds: number;
}

/** Starts the demo utility and connects its customers, once: the next start goes on from where this one ends. */
export async function connectUtility(
  { settings, clock, log }: Deps,
  { app, token, daySeconds }: CollectionOptions,
): Promise<DemoCollection> {
  const utility = await startUtility({ dataDir: settings.dataDir, daySeconds, clock, log });
  try {
    const ask = makeAsk(app, token);
    if (utility.formerUrl !== null) await moveCustomers(ask, { from: utility.formerUrl, to: utility.url });
    const isNew = utility.connected === null;
    const connected = (utility.connected ??= await connectCustomers(ask, utility.url));
    utility.keep();
    const arrivals = new Arrivals({ ask, utility, clock, log });
    const month = new Date(utility.now()).toISOString().slice(0, 7).replace("-", "");
    return {
      ...connected,
      url: utility.url,
      controlUrl: utility.controlUrl,
      month,
      begin: (tell) => arrivals.begin(tell, { isNew }),
      async close() {
        arrivals.end();
        utility.keep();
        await utility.close();
      },
    };
  } catch (error) {
    await utility.close();
    throw error;
  }
}
