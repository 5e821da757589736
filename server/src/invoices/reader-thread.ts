import { enableCompileCache } from "node:module";
import { parentPort } from "node:worker_threads";
import type { ReadingTask } from "./messages.ts";

/** Entry of the thread that reads documents: whatever they hold, requests are answered meanwhile. */

// Before anything else is loaded: compiled modules are kept for the next thread.
enableCompileCache();
const { read } = await import("./reading.ts");
const port = parentPort!;
// A rejection ends the thread, and whoever asked is told.
port.on("message", async (task: ReadingTask) => port.postMessage(await read(task)));
