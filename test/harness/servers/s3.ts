import { mkdtempSync, rmSync } from "node:fs";
import { createRequire } from "node:module";
import { tmpdir } from "node:os";
import { join } from "node:path";

export interface S3Server {
  endpoint: string;
  bucket: string;
  /** What the server holds lies here. */
  root: string;
  close(): Promise<void>;
}

interface S3rver {
  run(): Promise<{ port: number }>;
  close(): Promise<void>;
}

/** Login of the server, which s3rver has built in. */
export const s3Login = { access_key_id: "S3RVER", access_key_secret: "S3RVER" } as const;

/** An S3 server (s3rver) with one bucket, over an empty folder. */
export async function s3Server(): Promise<S3Server> {
  const Server = createRequire(import.meta.url)("s3rver") as new (options: object) => S3rver;
  const root = mkdtempSync(join(tmpdir(), "metertree-s3-"));
  const bucket = "meter-files";
  const server = new Server({
    address: "127.0.0.1",
    port: 0,
    silent: true,
    directory: root,
    configureBuckets: [{ name: bucket }],
  });
  const { port } = await server.run();
  return {
    endpoint: `http://127.0.0.1:${port}`,
    bucket,
    root,
    async close() {
      await server.close();
      rmSync(root, { recursive: true, force: true });
    },
  };
}
