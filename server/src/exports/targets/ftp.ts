import { createReadStream } from "node:fs";
import { Readable } from "node:stream";
import type { Client } from "basic-ftp";
import { z } from "zod";
import { EgressFailure } from "../../platform/egress/egress.ts";
import { ftpFields, ftpSession, replyCode } from "../../platform/transfer/ftp.ts";
import { cleanedUp, type Delivery, placesOf, type Test, target } from "./target.ts";

const settings = z.object(ftpFields);

type Settings = z.output<typeof settings>;

/** FTP and FTPS. The file is written under a hidden name and renamed, so that readers see all of it or nothing. */
export const ftp = target({
  title: "FTP or FTPS server",
  settings,
  async deliver(delivery) {
    const { file } = delivery;
    const places = placesOf(null, file);
    await cleanedUp(
      (begun) =>
        inSession(delivery, async (client) => {
          // A folder that is there already is refused.
          for (const each of places.folders) await client.sendIgnoringError(`MKD ${each}`);
          begun();
          await upload(client, createReadStream(file.path), places.hidden);
          await assertSize(client, places.hidden, file.bytes);
          await rename(client, places.hidden, places.final);
        }),
      (signal) => remove({ ...delivery, signal }, places.hidden),
    );
    return {};
  },
  async test(test) {
    const { hidden } = placesOf(null, { name: "test", id: `metertree-test-${test.id}` });
    await cleanedUp(
      (begun) =>
        inSession(test, async (client) => {
          begun();
          await upload(client, Readable.from([]), hidden);
          await client.send(`DELE ${hidden}`);
        }),
      (signal) => remove({ ...test, signal }, hidden),
    );
    return {};
  },
});

type Call = Pick<Test<Settings> | Delivery<Settings>, "settings" | "deps" | "signal">;

/** Logs in, lets `work` run and logs out. */
function inSession({ settings, deps, signal }: Call, work: (client: Client) => Promise<void>): Promise<void> {
  return ftpSession(settings, { egress: deps.egress, signal }, work);
}

async function upload(client: Client, source: Readable, place: string): Promise<void> {
  try {
    await client.uploadFrom(source, place);
  } finally {
    source.destroy();
  }
}

/** A cut data connection can look like the end of the file; not every server knows `SIZE`. */
async function assertSize(client: Client, place: string, bytes: number): Promise<void> {
  const reply = await client.sendIgnoringError(`SIZE ${place}`);
  const size = /^213 (\d{1,15})/.exec(reply.message)?.[1];
  if (size !== undefined && Number(size) !== bytes) {
    throw new EgressFailure("no_connection", { inner: `${size} of ${bytes} bytes arrived` });
  }
}

/**
 * Most servers replace a file that is there; the others want it gone first. Nothing is taken away unless the new file
 * is still there to follow: the reply to a rename that succeeded may have been lost.
 */
async function rename(client: Client, from: string, to: string): Promise<void> {
  try {
    await client.rename(from, to);
  } catch (error) {
    const isRefused = (replyCode(error) ?? 0) >= 500;
    if (!isRefused || !(await exists(client, to)) || !(await exists(client, from))) throw error;
    await client.send(`DELE ${to}`);
    await client.rename(from, to);
  }
}

async function exists(client: Client, place: string): Promise<boolean> {
  return (await client.sendIgnoringError(`SIZE ${place}`)).code === 213;
}

function remove(call: Call, hidden: string): Promise<void> {
  return inSession(call, async (client) => void (await client.sendIgnoringError(`DELE ${hidden}`)));
}
