import { createReadStream } from "node:fs";
import type { S3Client } from "@aws-sdk/client-s3";
import { z } from "zod";
import { s3Fields, s3Sdk, s3Session } from "../../platform/transfer/s3.ts";
import { type Delivery, placesOf, type Test, target } from "./target.ts";

const settings = z.object(s3Fields);

type Settings = z.output<typeof settings>;

/** S3 and compatible services. An object appears whole or not at all, so nothing is renamed. */
export const awsS3 = target({
  title: "S3 bucket",
  settings,
  async deliver(delivery) {
    const { file, signal } = delivery;
    const { PutObjectCommand } = await s3Sdk();
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
    const { CreateMultipartUploadCommand, AbortMultipartUploadCommand } = await s3Sdk();
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

function withClient(
  { settings, deps }: Call,
  work: (client: S3Client) => Promise<void>,
): Promise<Partial<Settings>> {
  return s3Session(settings, { egress: deps.egress }, work);
}

function placeOf(settings: Settings, file: { name: string; id: string }): { Bucket: string; Key: string } {
  return { Bucket: settings.bucket, Key: placesOf(settings.path, file).final.replace(/^\/+/, "") };
}
