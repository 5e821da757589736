import { createReadStream } from "node:fs";
import type { S3Client } from "@aws-sdk/client-s3";
import { z } from "zod";
import {
  type EgressAgents,
  EgressFailure,
  type EgressReason,
  failureOf,
  failureOfStatus,
} from "../../platform/egress/egress.ts";
import {
  type Delivery,
  folder,
  line,
  optional,
  optionalEndpoint,
  optionalPackage,
  placesOf,
  secret,
  type Test,
  target,
} from "./target.ts";

const settings = z.object({
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
});

type Settings = z.output<typeof settings>;

/** S3 and compatible services. An object appears whole or not at all, so nothing is renamed. */
export const awsS3 = target({
  title: "S3 bucket",
  settings,
  async deliver(delivery) {
    const { file, signal } = delivery;
    const { PutObjectCommand } = await sdk();
    return withClient(delivery, async (client) => {
      const body = createReadStream(file.path);
      try {
        const object = { ...placeOf(delivery.settings, file), Body: body, ContentLength: file.bytes };
        const put = new PutObjectCommand({ ...object, ContentType: file.type });
        await client.send(put, { abortSignal: signal });
      } finally {
        body.destroy();
      }
    });
  },
  /** Begins an upload in parts and takes it back: it needs the right to put, and makes no object or version. */
  async test(test) {
    const { CreateMultipartUploadCommand, AbortMultipartUploadCommand } = await sdk();
    return withClient(test, async (client) => {
      const place = placeOf(test.settings, { name: `.metertree-test-${test.id}`, id: test.id });
      const options = { abortSignal: test.signal };
      const { UploadId } = await client.send(new CreateMultipartUploadCommand(place), options);
      // A right of its own, which nobody needs for deliveries.
      await client
        .send(new AbortMultipartUploadCommand({ ...place, UploadId }), options)
        .catch(() => undefined);
    });
  },
});

type Call = Test<Settings> | Delivery<Settings>;

const sdk = () => optionalPackage("@aws-sdk/client-s3", () => import("@aws-sdk/client-s3"));

function placeOf(settings: Settings, file: { name: string; id: string }): { Bucket: string; Key: string } {
  return { Bucket: settings.bucket, Key: placesOf(settings.path, file).final.replace(/^\/+/, "") };
}

const usualRegion = "us-east-1";

/** Runs `work`, once more when the service says that the bucket is in another region. */
async function withClient(call: Call, work: (client: S3Client) => Promise<void>): Promise<Partial<Settings>> {
  const agents = call.deps.egress.agents();
  const attempt = async (region: string) => {
    const client = await makeClient(call.settings, { region, agents });
    try {
      await work(client);
    } finally {
      client.destroy();
    }
  };
  try {
    const first = call.settings.region ?? usualRegion;
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

async function makeClient(settings: Settings, { region, agents }: ClientOptions): Promise<S3Client> {
  const { S3Client: Client } = await sdk();
  const { endpoint, force_path_style, access_key_id, access_key_secret } = settings;
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
