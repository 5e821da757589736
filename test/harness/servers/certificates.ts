import { execFileSync } from "node:child_process";
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";

/** A certificate and its key, in PEM. */
export interface Certificate {
  cert: string;
  key: string;
}

export interface Certificates {
  /** The authority that tests trust. */
  ca: string;
  /** For `localhost`, `files.test` and 127.0.0.1. */
  good: Certificate;
  /** Ended long ago. */
  expired: Certificate;
  /** For another name. */
  other: Certificate;
  /** Signed by itself. */
  unknown: Certificate;
}

/** Certificates made now; `null` where there is no openssl. */
export function makeCertificates(): Certificates | null {
  const folder = mkdtempSync(join(tmpdir(), "metertree-certificates-"));
  const openssl = (...args: string[]) => execFileSync("openssl", args, { cwd: folder, stdio: "pipe" });
  const read = (name: string) => readFileSync(join(folder, name), "utf8");
  const key = ["-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes"];
  const made = (name: string, names: string, days: readonly string[]): Certificate => {
    openssl("req", ...key, "-keyout", `${name}.key`, "-out", `${name}.csr`, "-subj", `/CN=${name}`);
    writeFileSync(join(folder, `${name}.ext`), `subjectAltName=${names}\n`);
    const signed = ["-CA", "ca.pem", "-CAkey", "ca.key", "-CAcreateserial", "-extfile", `${name}.ext`];
    openssl("x509", "-req", "-in", `${name}.csr`, "-out", `${name}.pem`, ...signed, ...days);
    return { cert: read(`${name}.pem`), key: read(`${name}.key`) };
  };
  try {
    openssl("req", "-x509", ...key, "-keyout", "ca.key", "-out", "ca.pem", "-days", "2", "-subj", "/CN=test");
    openssl(
      "req",
      "-x509",
      ...key,
      "-keyout",
      "self.key",
      "-out",
      "self.pem",
      "-days",
      "2",
      "-subj",
      "/CN=self",
    );
    const names = "DNS:localhost,DNS:files.test,IP:127.0.0.1";
    return {
      ca: read("ca.pem"),
      good: made("good", names, ["-days", "2"]),
      expired: made("expired", names, ["-days", "-1"]),
      other: made("other", "DNS:elsewhere.test", ["-days", "2"]),
      unknown: { cert: read("self.pem"), key: read("self.key") },
    };
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== "ENOENT") throw error;
    console.warn("openssl is not there: the tests of TLS are skipped");
    return null;
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
}
