import type { S3Client } from "@aws-sdk/client-s3";
import { z } from "zod";
import {
  type AgentLimits,
  type EgressAgents,
  EgressFailure,
  type EgressReason,
  failureOf,
  failureOfStatus,
} from "../egress/egress.ts";
import { line, optional, secret } from "../secret-field.ts";
import { optionalPackage, type Reach } from "./call.ts";
import { folder, optionalEndpoint } from "./fields.ts";

/** How one reaches a bucket. */
export interface S3Login {
  bucket: string;
  access_key_id: string;
  access_key_secret: string;
  endpoint: string | null;
  region: string | null;
  force_path_style: boolean | null;
}

/** Fields of settings of a bucket. */
export const s3Fields = {
  bucket: line(63)
    .regex(/^[A-Za-z0-9][A-Za-z0-9._-]{2,62}$/, "must be the name of a bucket")
    .describe("Name of the bucket, which must be there."),
  access_key_id: line(200).describe("Name of the key."),
  access_key_secret: secret(),
  endpoint: optionalEndpoint(
    "Address of a compatible service; Amazon's when it is left out.",
    "https://minio.example.com:9000",
  ),
  region: optional(line(50).regex(/^[a-z0-9-]{2,50}$/, "must be a region such as eu-north-1")).describe(
    "Learnt from the service when it is left out.",
  ),
  path: folder("What keys begin with, such as `meters/daily`."),
  force_path_style: optional(z.boolean()).describe(
    "Put the bucket into the path instead of the host name; what most compatible services want, so the default with an endpoint.",
  ),
};

/** The library, loaded when it is needed. */
export const s3Sdk = () => optionalPackage("@aws-sdk/client-s3", () => import("@aws-sdk/client-s3"));

const usualRegion = "us-east-1";

/**
 * Runs `work`, once more when the service says that the bucket is in another region; returns the region then.
 * @throws EgressFailure
 */
export async function s3Session(
  login: S3Login,
  { egress, ...limits }: Pick<Reach, "egress"> & AgentLimits,
  work: (client: S3Client) => Promise<void>,
): Promise<{ region?: string }> {
  const agents = egress.agents(limits);
  const attempt = async (region: string) => {
    const client = await makeClient(login, { region, agents });
    try {
      await work(client);
    } finally {
      client.destroy();
    }
  };
  try {
    const first = login.region ?? usualRegion;
    const error: unknown = await attempt(first).then(
      () => undefined,
      (reason) => reason,
    );
    if (error === undefined) return {};
    const region = regionOf(error);
    if (region === undefined || region === first) throw error;
    await attempt(region);
    return { region };
  } catch (error) {
    throw agents.failure() ?? s3Failure(error);
  } finally {
    agents.close();
  }
}

interface ClientOptions {
  region: string;
  agents: EgressAgents;
}

async function makeClient(login: S3Login, { region, agents }: ClientOptions): Promise<S3Client> {
  const { S3Client: Client } = await s3Sdk();
  const { endpoint, force_path_style, access_key_id, access_key_secret } = login;
  return new Client({
    region,
    credentials: { accessKeyId: access_key_id, secretAccessKey: access_key_secret },
    ...(endpoint === null ? {} : { endpoint }),
    forcePathStyle: force_path_style ?? endpoint !== null,
    // The caller decides when to try again.
    maxAttempts: 1,
    // Compatible services refuse what they do not know.
    requestChecksumCalculation: "WHEN_REQUIRED",
    responseChecksumValidation: "WHEN_REQUIRED",
    // It would write to the console; failures are told by us.
    logger: { debug: silent, info: silent, warn: silent, error: silent },
    requestHandler: { httpAgent: agents.http, httpsAgent: agents.https, socketTimeout: 60_000 },
  });
}

const silent = () => undefined;

interface S3Error extends Error {
  Region?: string;
  $metadata?: { httpStatusCode?: number };
  $response?: { headers?: Record<string, string> };
}

function regionOf(error: unknown): string | undefined {
  const { Region, $response } = error as S3Error;
  const region = $response?.headers?.["x-amz-bucket-region"] ?? Region;
  return region !== undefined && /^[a-z0-9-]{2,50}$/.test(region) ? region : undefined;
}

/** https://docs.aws.amazon.com/AmazonS3/latest/API/ErrorResponses.html, and what MinIO and Ceph add. */
const reasonOfName: Readonly<Record<string, EgressReason>> = {
  InvalidAccessKeyId: "login",
  SignatureDoesNotMatch: "login",
  ExpiredToken: "login",
  InvalidToken: "login",
  AuthorizationHeaderMalformed: "login",
  NoSuchBucket: "permission",
  PermanentRedirect: "permission",
  EntityTooLarge: "too_large",
  QuotaExceeded: "full",
  XMinioStorageFull: "full",
  XAmzStorageFull: "full",
  SlowDown: "server",
  RequestTimeout: "server",
};

function s3Failure(error: unknown): EgressFailure {
  const { name, message, $metadata } = error as S3Error;
  const status = $metadata?.httpStatusCode;
  if (status === undefined) return failureOf(error, "no_connection");
  const inner = `HTTP ${status} ${name}: ${message}`;
  const reason = reasonOfName[name];
  if (reason !== undefined) return new EgressFailure(reason, { inner });
  return failureOfStatus(status, { inner }) ?? new EgressFailure("other", { inner });
}
