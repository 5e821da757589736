import { createHash, randomBytes } from "node:crypto";

/** A new secret of `bytes` random bytes, in lower-case hex. 30 bytes make the 60 characters of a private token. */
export function newSecret(bytes = 30): string {
  return randomBytes(bytes).toString("hex");
}

/**
 * What is stored of a secret that only has to be recognised. A plain hash is enough because the secrets are random
 * and long; looking the hash up in an index tells nothing about the secret by its timing.
 */
export function secretHash(secret: string): Buffer {
  return createHash("sha256").update(secret).digest();
}
