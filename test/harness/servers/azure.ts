import { createRequire } from "node:module";
import { tmpdir } from "node:os";

export interface AzureServer {
  endpoint: string;
  close(): Promise<void>;
}

/** The account that Azurite has built in; its key is in every manual of it. */
export const azureLogin = {
  account_name: "devstoreaccount1",
  account_key: "Eby8vdM02xNOcqFlqUwJPLlmEtlCDXJ1OUzFT50uSRZ6IFsuFq2UVErCz4I6tq/K1SZFPTOtr/KBHBeksoGMGw==",
} as const;

interface Azurite {
  start(): Promise<void>;
  close(): Promise<void>;
  getHttpServerAddress(): string;
}

/** What Azurite otherwise reads from its command line. */
const settings = {
  location: async () => tmpdir(),
  debug: async () => undefined,
  inMemoryPersistence: () => true,
  extentMemoryLimit: () => undefined,
  blobHost: () => "127.0.0.1",
  blobPort: () => 0,
  blobKeepAliveTimeout: () => 5,
  silent: () => true,
  loose: () => false,
  skipApiVersionCheck: () => true,
  cert: () => undefined,
  key: () => undefined,
  pwd: () => undefined,
  oauth: () => undefined,
  disableProductStyleUrl: () => false,
};

/** Azurite's blob service in this process, in memory, without containers. */
export async function azureServer(): Promise<AzureServer> {
  const { BlobServerFactory } = createRequire(import.meta.url)("azurite/dist/src/blob/BlobServerFactory.js");
  const server = (await new BlobServerFactory().createServer(settings)) as Azurite;
  await server.start();
  return {
    endpoint: `${server.getHttpServerAddress()}/${azureLogin.account_name}`,
    close: () => server.close(),
  };
}
