import { closeSync, fdatasyncSync, mkdtempSync, openSync, rmSync, writeSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";

/**
 * How often a second the disk takes 4 KiB and syncs it, one after another, for a second: what a durable write
 * costs at that moment. It varies by more than ten times with what else the machine does.
 */
export function serialSyncs(): number {
  const folder = mkdtempSync(join(tmpdir(), "metertree-sync-"));
  const file = openSync(join(folder, "log"), "w");
  const page = new Uint8Array(4096);
  const start = performance.now();
  let count = 0;
  let elapsed = 0;
  for (; elapsed < 1_000; count++) {
    writeSync(file, page);
    fdatasyncSync(file);
    elapsed = performance.now() - start;
  }
  closeSync(file);
  rmSync(folder, { recursive: true });
  return (1_000 * count) / elapsed;
}
