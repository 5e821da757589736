import { execFileSync, spawn, spawnSync } from "node:child_process";
import {
  chmodSync,
  copyFileSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  readFileSync,
  rmSync,
  writeFileSync,
} from "node:fs";
import { tmpdir, userInfo } from "node:os";
import { join } from "node:path";
import { freePort } from "./port.ts";

export interface OpenSsh {
  port: number;
  username: string;
  /** A key that the server lets in. */
  privateKey: string;
  /** The same key behind a passphrase. */
  lockedKey: string;
  passphrase: string;
  /** As `ssh-keygen -l` prints it. */
  fingerprint: string;
  /** A folder that the login can write to. */
  folder: string;
  close(): Promise<void>;
}

const programs = { sshd: "/usr/sbin/sshd", keygen: "/usr/bin/ssh-keygen", sftp: "/usr/bin/sftp" };

/**
 * OpenSSH's server on a port of 127.0.0.1 for the user of this process; `null` where it is not installed, or lets not
 * even OpenSSH's own client in (a user without a shell, a locked account).
 */
export async function openSsh(): Promise<OpenSsh | null> {
  if (!Object.values(programs).every((path) => existsSync(path))) {
    console.warn(`${programs.sshd} is not there: the tests against OpenSSH are skipped`);
    return null;
  }
  const home = mkdtempSync(join(tmpdir(), "metertree-sshd-"));
  chmodSync(home, 0o700);
  // A folder that sshd wants to see when root starts it.
  if (userInfo().uid === 0) mkdirSync("/run/sshd", { recursive: true, mode: 0o755 });
  const passphrase = "open sesame 7";
  const keygen = (...args: string[]) => execFileSync(programs.keygen, args, { cwd: home, encoding: "utf8" });
  keygen("-q", "-t", "ed25519", "-N", "", "-f", "host");
  keygen("-q", "-t", "ed25519", "-N", "", "-f", "user");
  const privateKey = readFileSync(join(home, "user"), "utf8");
  writeFileSync(join(home, "keys"), readFileSync(join(home, "user.pub")), { mode: 0o600 });
  copyFileSync(join(home, "user"), join(home, "locked"));
  chmodSync(join(home, "locked"), 0o600);
  keygen("-q", "-p", "-P", "", "-N", passphrase, "-f", "locked");
  const folder = join(home, "in");
  mkdirSync(folder);
  const port = await freePort();
  const settings = [
    ...["HostKey host", "PidFile none", "UsePAM no", "StrictModes no", "PasswordAuthentication no"],
    ...["AuthorizedKeysFile keys", "Subsystem sftp internal-sftp", "ListenAddress 127.0.0.1"],
    ...[`Port ${port}`, "PermitRootLogin yes", "LogLevel INFO"],
  ];
  const written = settings.map((each) => each.replace(/ (host|keys)$/, ` ${home}/$1`)).join("\n");
  writeFileSync(join(home, "config"), `${written}\n`);
  const child = spawn(programs.sshd, ["-D", "-e", "-f", join(home, "config")], { stdio: "pipe" });
  const ended = new Promise<void>((resolve) => child.once("close", () => resolve()));
  await new Promise<void>((resolve, reject) => {
    let told = "";
    child.stderr.on("data", (chunk) => {
      told += chunk;
      if (told.includes("Server listening")) resolve();
    });
    child.once("close", () => reject(new Error(`sshd ended: ${told}`)));
  });
  const close = async () => {
    child.kill();
    await ended;
    rmSync(home, { recursive: true, force: true });
  };
  if (!letsIn(port, join(home, "user"))) {
    console.warn("sshd lets the user of this process not in: the tests against OpenSSH are skipped");
    await close();
    return null;
  }
  return {
    port,
    username: userInfo().username,
    privateKey,
    lockedKey: readFileSync(join(home, "locked"), "utf8"),
    passphrase,
    fingerprint: keygen("-l", "-f", "host.pub").split(" ")[1]!,
    folder,
    close,
  };
}

function letsIn(port: number, key: string): boolean {
  const options = ["StrictHostKeyChecking=no", "UserKnownHostsFile=/dev/null", "LogLevel=ERROR"];
  const args = ["-q", "-b", "-", "-P", String(port), "-i", key, ...options.flatMap((each) => ["-o", each])];
  const { status } = spawnSync(programs.sftp, [...args, `${userInfo().username}@127.0.0.1`], { input: "" });
  return status === 0;
}
