import { enableCompileCache } from "node:module";
import { parentPort, workerData } from "node:worker_threads";
import type { ReadingTask } from "./messages.ts";

/** Entry of the thread that reads a document: whatever it holds, requests are answered meanwhile. */

// Before anything else is loaded: compiled modules are kept between documents.
enableCompileCache();
const { read } = await import("./reading.ts");
// A rejection ends the thread, and whoever started it is told.
parentPort!.postMessage(await read(workerData as ReadingTask));
