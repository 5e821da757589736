import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { FtpSrv } from "ftp-srv";
import type { Certificate } from "./certificates.ts";
import { freePort } from "./port.ts";

export interface FtpServer {
  port: number;
  /** What the server holds lies here. */
  root: string;
  close(): Promise<void>;
}

/** Logins of the test servers. */
export const login = { username: "meter", password: "pass word:1%2" } as const;

const quiet = () => {
  const log: Record<string, unknown> = {};
  for (const level of ["trace", "debug", "info", "warn", "error", "fatal"]) log[level] = () => undefined;
  log.child = () => log;
  return log;
};

/** An FTP server (ftp-srv) over an empty folder; with a certificate it speaks TLS, from the start when `implicit`. */
export async function ftpServer(options: { tls?: Certificate; implicit?: boolean } = {}): Promise<FtpServer> {
  const root = mkdtempSync(join(tmpdir(), "metertree-ftp-"));
  const [port, passive] = await Promise.all([freePort(), freePort()]);
  const server = new FtpSrv({
    url: `${options.implicit === true ? "ftps" : "ftp"}://127.0.0.1:${port}`,
    pasv_url: "127.0.0.1",
    pasv_min: passive,
    pasv_max: passive + 50,
    ...(options.tls === undefined ? {} : { tls: options.tls }),
    log: quiet(),
  });
  server.on("login", ({ username, password }, resolve, reject) => {
    if (username === login.username && password === login.password) resolve({ root });
    else reject(new Error("no such login"));
  });
  server.on("client-error", () => undefined);
  await server.listen();
  return {
    port,
    root,
    async close() {
      await server.close();
      rmSync(root, { recursive: true, force: true });
    },
  };
}
