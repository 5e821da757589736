import type { ContainerClient } from "@azure/storage-blob";
import { z } from "zod";
import {
  EgressFailure,
  type EgressReason,
  failureOf,
  failureOfStatus,
} from "../../platform/egress/egress.ts";
import { optionalPackage } from "../../platform/transfer/call.ts";
import { optionalEndpoint } from "../../platform/transfer/fields.ts";
import { type Delivery, line, placesOf, secret, type Test, target } from "./target.ts";

const settings = z.object({
  container: line(1_000)
    .regex(
      /^\/?[a-z0-9$][a-z0-9-]{2,62}(\/|$)/,
      "must be the name of a container, and folders in it: name/path/to",
    )
    .describe("Container, and folders in it: `meters/daily/raw` is the folder `daily/raw` in `meters`."),
  account_name: line(24)
    .regex(/^[a-z0-9]{3,24}$/, "must be 3 to 24 lower-case letters and digits")
    .describe("Name of the storage account."),
  account_key: secret(line(200).regex(/^[A-Za-z0-9+/]+=*$/, "must be the base64 text of the account's key")),
  endpoint: optionalEndpoint(
    "Address of the blob service; `https://<account_name>.blob.core.windows.net` when it is left out.",
    "https://files.example.com/account",
  ),
});

type Settings = z.output<typeof settings>;

/** Azure Blob Storage. A blob appears whole or not at all, so nothing is renamed. */
export const azureBlobStorage = target({
  title: "Azure Blob Storage",
  settings,
  async deliver(delivery) {
    const { file, signal } = delivery;
    await withContainer(delivery, async (container, folder) => {
      const blob = container.getBlockBlobClient(placesOf(folder, file).final);
      await blob.uploadFile(file.path, {
        abortSignal: signal,
        blobHTTPHeaders: { blobContentType: file.type },
        blockSize: blockBytes,
        maxSingleShotSize: blockBytes,
        concurrency: 2,
      });
    });
    return {};
  },
  /** The key of an account may do everything, so seeing the container proves that it can be written to. */
  async test(test) {
    await withContainer(test, (container) => container.getProperties({ abortSignal: test.signal }));
    return {};
  },
});

type Call = Test<Settings> | Delivery<Settings>;

const blockBytes = 8 * 1024 * 1024;

async function withContainer(
  { settings, deps }: Call,
  work: (container: ContainerClient, folder: string | null) => Promise<unknown>,
): Promise<void> {
  const { BlobServiceClient, newPipeline, StorageSharedKeyCredential } = await optionalPackage(
    "@azure/storage-blob",
    () => import("@azure/storage-blob"),
  );
  const { account_name, account_key } = settings;
  const endpoint = settings.endpoint ?? `https://${account_name}.blob.core.windows.net`;
  const agents = deps.egress.agents();
  // The caller decides when to try again.
  const pipeline = newPipeline(new StorageSharedKeyCredential(account_name, account_key), {
    retryOptions: { maxTries: 1 },
  });
  pipeline.factories.push({
    create: (next) => ({
      sendRequest(request) {
        const { protocol } = new URL(request.url);
        Object.assign(request, { agent: protocol === "https:" ? agents.https : agents.http });
        return next.sendRequest(request);
      },
    }),
  });
  const [container = "", ...folders] = settings.container.split("/").filter((part) => part !== "");
  try {
    const client = new BlobServiceClient(endpoint.replace(/\/+$/, ""), pipeline).getContainerClient(
      container,
    );
    await work(client, folders.length === 0 ? null : folders.join("/"));
  } catch (error) {
    throw agents.failure() ?? azureFailure(error);
  } finally {
    agents.close();
  }
}

/** https://learn.microsoft.com/rest/api/storageservices/blob-service-error-codes */
const reasonOfCode: Readonly<Record<string, EgressReason>> = {
  AuthenticationFailed: "login",
  InvalidAuthenticationInfo: "login",
  AccountIsDisabled: "permission",
  AuthorizationFailure: "permission",
  ContainerNotFound: "permission",
  LeaseIdMissing: "server",
  LeaseIdMismatchWithBlobOperation: "server",
  ContainerBeingDeleted: "server",
  RequestBodyTooLarge: "too_large",
};

interface AzureError extends Error {
  statusCode?: number;
  code?: string;
  response?: { headers: { get(name: string): string | undefined } };
}

function azureFailure(error: unknown): EgressFailure {
  const { statusCode, code, message, response } = error as AzureError;
  if (statusCode === undefined) return failureOf(error, "no_connection");
  // Answers without a body have it only there.
  const word = response?.headers.get("x-ms-error-code") ?? code ?? "";
  const inner = `HTTP ${statusCode} ${word}: ${message}`;
  const reason = reasonOfCode[word];
  if (reason !== undefined) return new EgressFailure(reason, { inner });
  return failureOfStatus(statusCode, { inner }) ?? new EgressFailure("other", { inner });
}
