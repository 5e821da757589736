import { enableCompileCache } from "node:module";
import { parentPort } from "node:worker_threads";
import type { Answer, Order } from "./writer.ts";
import type { Writing } from "./writing.ts";

/** Entry of the thread that writes files: however long that takes, requests are answered meanwhile. */

// Before anything else is loaded: compiled modules are kept between starts.
enableCompileCache();
const { Writing: WritingOf } = await import("./writing.ts");

const writings = new Map<number, Writing>();

async function obey(order: Order): Promise<unknown> {
  if (order.kind === "open") {
    writings.set(order.batch, new WritingOf(order.task));
    return undefined;
  }
  const writing = writings.get(order.batch);
  // It ended by an error, which was told, and left nothing.
  if (writing === undefined) return undefined;
  if (order.kind === "write") return writing.write(order.runs);
  writings.delete(order.batch);
  return order.kind === "finish" ? finish(writing) : writing.abandon();
}

async function finish(writing: Writing): Promise<unknown> {
  try {
    return await writing.finish();
  } catch (error) {
    await writing.abandon();
    throw error;
  }
}

const port = parentPort!;
port.on("message", (order: Order) => {
  obey(order).then(
    (value) => port.postMessage({ number: order.number, value } satisfies Answer),
    (error) => port.postMessage({ number: order.number, error } satisfies Answer),
  );
});
