import { posix } from "node:path";
import type { S3Client } from "@aws-sdk/client-s3";
import { z } from "zod";
import { aside, connector, titled } from "../../collection/connector.ts";
import { failureOf } from "../../platform/egress/egress.ts";
import type { Reach } from "../../platform/transfer/call.ts";
import { s3Fields, s3Sdk, s3Session } from "../../platform/transfer/s3.ts";
import { about } from "../file-drop/about.ts";
import { cutShort } from "../file-drop/failure.ts";
import { afterFields, readingFields } from "../file-drop/fields.ts";
import { type DropFolder, filesOf, freeName } from "../file-drop/folder.ts";
import type { Listed } from "../file-drop/settling.ts";

const settings = z.object({
  bucket: titled(s3Fields.bucket, { en: "Bucket", sv: "Bucket" }),
  access_key_id: titled(s3Fields.access_key_id, { en: "Name of the key", sv: "Nyckelns namn" }),
  access_key_secret: titled(s3Fields.access_key_secret, {
    en: "Secret of the key",
    sv: "Nyckelns hemlighet",
  }),
  endpoint: titled(
    s3Fields.endpoint,
    { en: "Address of the service", sv: "Tjänstens adress" },
    { en: "Amazon's when it is left out.", sv: "Amazons när den utelämnas." },
  ),
  region: titled(
    s3Fields.region,
    { en: "Region", sv: "Region" },
    { en: "Found out when it is left out.", sv: "Tas reda på när den utelämnas." },
  ),
  force_path_style: titled(
    s3Fields.force_path_style,
    { en: "Bucket in the path", sv: "Bucket i sökvägen" },
    {
      en: "What most compatible services want; so with an address of a service when it is left out.",
      sv: "Vad de flesta kompatibla tjänster vill ha; så med en tjänsts adress när det utelämnas.",
    },
  ),
  path: titled(
    aside(s3Fields.path),
    { en: "Folder", sv: "Mapp" },
    {
      en: "What keys of the files begin with, up to the last slash: in/daily. Folders in it are not looked into.",
      sv: "Det som filernas nycklar börjar med, fram till sista snedstrecket: in/daily. Mappar i den genomsöks inte.",
    },
  ),
  ...readingFields,
  ...afterFields,
});

type Settings = z.output<typeof settings>;

/** Objects of a bucket of S3 and compatible services. They appear whole, so that nothing has to be waited for. */
export const fileDropS3 = connector({
  ...about,
  name: "file-drop-s3",
  title: "Files in an S3 bucket",
  settings,
  receive: (visit) =>
    filesOf(s3Folder(visit.settings, visit.reach), {
      visit,
      settings: { ...visit.settings, wait_minutes: 0 },
    }),
});

/** Objects that are looked at: a bucket that never ends its list ends nobody's run. */
const objectsMax = 2_000_000;
/** Beside the object itself: what is around it in an answer. */
const aroundBytes = 1_000_000;

function s3Folder(login: Settings, reach: Reach): DropFolder {
  const { signal } = reach;
  const Bucket = login.bucket;
  const prefix = (login.path ?? "").replace(/^\/+|\/+$/g, "");
  const inFolder = (folder: string, name: string) => posix.join(folder, name).replace(/^\/+/, "");
  const keyOf = (name: string) => inFolder(prefix, name);
  let region = login.region;
  const session = async (work: (client: S3Client) => Promise<void>, bytesMax?: number) => {
    const limits = bytesMax === undefined ? {} : { bytesMax };
    const learnt = await s3Session({ ...login, region }, { egress: reach.egress, ...limits }, work);
    region = learnt.region ?? region;
  };
  const remove = async ({ name }: Pick<Listed, "name">) => {
    const { DeleteObjectCommand } = await s3Sdk();
    await session(async (client) => {
      await client.send(new DeleteObjectCommand({ Bucket, Key: keyOf(name) }), { abortSignal: signal });
    });
  };
  return {
    path: `${Bucket}/${prefix}`,
    async list(isWanted, max) {
      let found: Listed[] = [];
      await session(async (client) => {
        found = await objectsBelow(client, { Bucket, prefix, isWanted, max, signal });
      });
      return found;
    },
    async isSame({ name, bytes, mark }) {
      const { HeadObjectCommand } = await s3Sdk();
      let isSame = false;
      await session(async (client) => {
        const now = await client.send(new HeadObjectCommand({ Bucket, Key: keyOf(name) }), {
          abortSignal: signal,
        });
        isSame = now.ContentLength === bytes && now.ETag === mark;
      });
      return isSame;
    },
    content: ({ name, bytes }) => objectContent(session, { login, key: keyOf(name), bytes, signal }),
    remove,
    async archive(file, folder) {
      const { CopyObjectCommand, HeadObjectCommand } = await s3Sdk();
      const archive = folder.startsWith("/") ? folder : posix.join(prefix, folder);
      await session(async (client) => {
        const isTaken = (tried: string) =>
          client
            .send(new HeadObjectCommand({ Bucket, Key: inFolder(archive, tried) }), { abortSignal: signal })
            .then(
              () => true,
              () => false,
            );
        const Key = inFolder(archive, await freeName(file.name, isTaken));
        const CopySource = `${Bucket}/${keyOf(file.name).split("/").map(encodeURIComponent).join("/")}`;
        await client.send(new CopyObjectCommand({ Bucket, Key, CopySource, CopySourceIfMatch: file.mark }), {
          abortSignal: signal,
        });
      });
      await remove(file);
    },
    // Sessions tell it themselves.
    tell: failureOf,
    close: async () => undefined,
  };
}

interface Listing {
  Bucket: string;
  prefix: string;
  isWanted(name: string): boolean;
  max: number;
  signal: AbortSignal;
}

/** Wanted objects right below a prefix, at most `max`. */
async function objectsBelow(
  client: S3Client,
  { Bucket, prefix, isWanted, max, signal }: Listing,
): Promise<Listed[]> {
  const { ListObjectsV2Command } = await s3Sdk();
  const Prefix = prefix === "" ? "" : `${prefix}/`;
  const found: Listed[] = [];
  let seen = 0;
  let ContinuationToken: string | undefined;
  do {
    const order = new ListObjectsV2Command({ Bucket, Prefix, Delimiter: "/", ContinuationToken });
    const page = await client.send(order, { abortSignal: signal });
    for (const { Key = "", Size = 0, ETag = "", LastModified } of page.Contents ?? []) {
      const name = Key.slice(Prefix.length);
      if (name !== "" && isWanted(name)) {
        found.push({ name, bytes: Size, modified: LastModified?.getTime() ?? null, mark: ETag });
      }
    }
    seen += page.Contents?.length ?? 0;
    ContinuationToken = page.NextContinuationToken;
  } while (ContinuationToken !== undefined && found.length < max && seen < objectsMax);
  return found.slice(0, max);
}

interface ObjectToRead {
  login: Settings;
  key: string;
  bytes: number;
  signal: AbortSignal;
}

/** The content of an object, over a session that lasts as long as it is read. */
async function* objectContent(
  session: (work: (client: S3Client) => Promise<void>, bytesMax: number) => Promise<void>,
  { login, key, bytes, signal }: ObjectToRead,
): AsyncGenerator<Uint8Array> {
  const { GetObjectCommand } = await s3Sdk();
  const { promise: begun, resolve: begin } = Promise.withResolvers<AsyncIterable<Uint8Array> | null>();
  const { promise: read, resolve: end } = Promise.withResolvers<void>();
  const over = session(async (client) => {
    const get = new GetObjectCommand({ Bucket: login.bucket, Key: key });
    const { Body } = await client.send(get, { abortSignal: signal });
    begin((Body as AsyncIterable<Uint8Array> | undefined) ?? null);
    await read;
  }, bytes + aroundBytes);
  over.catch(() => undefined);
  try {
    const body = await Promise.race([begun, over.then(() => null)]);
    if (body === null) throw cutShort(0, bytes);
    let received = 0;
    for await (const chunk of body) {
      received += chunk.length;
      yield chunk;
    }
    if (received !== bytes) throw cutShort(received, bytes);
  } finally {
    end();
  }
  await over;
}
