import type { SFTPWrapper } from "ssh2";
import { z } from "zod";
import {
  done,
  hasSftpLogin,
  sftpFields,
  sftpLoginMissing,
  sftpSession,
  statusOf,
} from "../../platform/transfer/sftp.ts";
import { cleanedUp, type Delivery, placesOf, type Test, target } from "./target.ts";

const settings = z.object(sftpFields).refine(hasSftpLogin, sftpLoginMissing);

type Settings = z.output<typeof settings>;

/** SFTP. The file is written under a hidden name and renamed; the server must show the key that it showed first. */
export const sftp = target({
  title: "SFTP server",
  settings,
  async deliver(delivery) {
    const { file } = delivery;
    const places = placesOf(delivery.settings.path, file);
    return cleanedUp(
      (begun) =>
        inSession(delivery, async (session) => {
          // Folders that are there already answer with a failure.
          for (const each of places.folders) {
            await done((end) => session.mkdir(each, end)).catch(() => undefined);
          }
          begun();
          await done((end) => session.fastPut(file.path, places.hidden, end));
          await rename(session, places.hidden, places.final);
        }),
      (signal) => remove({ ...delivery, signal }, places.hidden),
    );
  },
  async test(test) {
    const { hidden } = placesOf(test.settings.path, { name: "test", id: `metertree-test-${test.id}` });
    return cleanedUp(
      (begun) =>
        inSession(test, async (session) => {
          begun();
          await done((end) => session.writeFile(hidden, "", end));
          await done((end) => session.unlink(hidden, end));
        }),
      (signal) => remove({ ...test, signal }, hidden),
    );
  },
});

type Call = Pick<Test<Settings> | Delivery<Settings>, "settings" | "deps" | "signal">;

/** Logs in and lets `work` run. Returns the key of the server when none was known. */
function inSession(
  { settings, deps, signal }: Call,
  work: (session: SFTPWrapper) => Promise<void>,
): Promise<Partial<Settings>> {
  return sftpSession(settings, { egress: deps.egress, signal }, work);
}

/** OpenSSH replaces a file that is there in one step; elsewhere it has to go first. */
async function rename(session: SFTPWrapper, from: string, to: string): Promise<void> {
  try {
    await done((end) => session.ext_openssh_rename(from, to, end));
    return;
  } catch (error) {
    if (statusOf(error) !== undefined) throw error;
    // The server does not know this extension.
  }
  const plain = () => done((end) => session.rename(from, to, end));
  await plain().catch(async (error) => {
    // Nothing is taken away unless the new file is still there to follow.
    if (!(await isThere(session, to)) || !(await isThere(session, from))) throw error;
    await done((end) => session.unlink(to, end));
    await plain();
  });
}

function isThere(session: SFTPWrapper, path: string): Promise<boolean> {
  return done((end) => session.stat(path, end)).then(
    () => true,
    () => false,
  );
}

function remove(call: Call, hidden: string): Promise<unknown> {
  return inSession(call, (session) => done((end) => session.unlink(hidden, end)));
}
