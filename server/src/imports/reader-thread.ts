import { enableCompileCache } from "node:module";
import { type MessagePort, parentPort, workerData } from "node:worker_threads";
import type { News, Order, ReadingTask } from "./messages.ts";
import type { Reading } from "./reading.ts";

/** Entry of the thread that reads files: whatever they hold, requests are answered meanwhile. */

// Before anything else is loaded: compiled modules are kept between imports.
enableCompileCache();
const reading = await import("./reading.ts");

function serve(port: MessagePort, work: Reading): void {
  port.on("message", (order: Order) => {
    if (order.kind === "settle") {
      port.postMessage({ kind: "report", report: work.report(order.known) } satisfies News);
      return;
    }
    const runs = work.batch(order.number);
    port.postMessage({ kind: "batch", runs } satisfies News);
    if (runs === null) work.close();
  });
}

const port = parentPort!;
const work = new reading.Reading(workerData as ReadingTask, (news) => port.postMessage(news));
serve(port, work);
// A rejection ends the thread, and whoever started it is told.
await work.read();
