import { createHmac } from "node:crypto";
import { createReadStream } from "node:fs";
import { z } from "zod";
import { failureOfStatus } from "../../platform/egress/egress.ts";
import { type DeliveryFile, flatName, line, optionalSecret, secretAddress, target } from "./target.ts";

const signingKey = line(200).regex(
  /^whsec_(?:[A-Za-z0-9+/]{4}){8,21}(?:[A-Za-z0-9+/]{2}==|[A-Za-z0-9+/]{3}=)?$/,
  "must be whsec_ and 24 to 64 bytes in base64",
);

const settings = z.object({
  url: secretAddress(),
  secret: optionalSecret(
    "Signs each delivery by Standard Webhooks: `whsec_` and 24 to 64 bytes in base64.",
    signingKey,
  ),
  previous_secret: optionalSecret("The secret before, while both are in use: both sign.", signingKey),
});

type Settings = z.output<typeof settings>;

const redirectsMax = 3;
/** Some receivers answer with a page. */
const answerBytesMax = 1_000_000;
/** Beside a time that grows with the file. */
const answerMs = 60_000;
const bytesPerMsMin = 20;

/** HTTP and HTTPS: one POST per file, with a constant `Idempotency-Key`, since nothing sent can be replaced. */
export const http = target({
  title: "HTTP or HTTPS address",
  settings,
  async deliver({ settings, file, deps, signal }) {
    const headers = {
      "content-type": file.type,
      "content-length": String(file.bytes),
      "content-disposition": `attachment; filename*=UTF-8''${encoded(flatName(file.name))}`,
      "idempotency-key": file.id,
      "user-agent": "metertree",
      ...(await signature(settings, file, Math.floor(deps.clock.now() / 1000))),
    };
    const answer = await deps.egress.request(settings.url, {
      method: "POST",
      headers,
      body: () => createReadStream(file.path),
      redirectsMax,
      bytesMax: answerBytesMax,
      timeoutMs: answerMs + Math.ceil(file.bytes / bytesPerMsMin),
      signal,
    });
    const failure = failureOfStatus(answer.status, {
      inner: answer.body.subarray(0, 300).toString("utf8"),
      retryAfter: answer.headers["retry-after"],
    });
    if (failure !== undefined) throw failure;
    return {};
  },
  /** A POST would be taken for a file: `OPTIONS` asks without asking for anything. */
  async test({ settings, deps, signal }) {
    const answer = await deps.egress.request(settings.url, {
      method: "OPTIONS",
      headers: { "user-agent": "metertree" },
      redirectsMax,
      bytesMax: answerBytesMax,
      signal,
    });
    const failure = failureOfStatus(answer.status);
    // Servers that know only POST say so.
    if (failure !== undefined && ![400, 405, 415, 422, 501].includes(answer.status)) throw failure;
    return {};
  },
});

/** Headers of Standard Webhooks: an HMAC of the id, the time and the bytes, by each key that is in use. */
async function signature(
  settings: Settings,
  file: DeliveryFile,
  seconds: number,
): Promise<Record<string, string>> {
  const keys = signingKeys(settings);
  if (keys.length === 0) return {};
  const macs = keys.map((key) => createHmac("sha256", key).update(`${file.id}.${seconds}.`));
  for await (const chunk of createReadStream(file.path)) for (const mac of macs) mac.update(chunk as Buffer);
  return {
    "webhook-id": file.id,
    "webhook-timestamp": String(seconds),
    "webhook-signature": macs.map((mac) => `v1,${mac.digest("base64")}`).join(" "),
  };
}

function signingKeys(settings: Settings): Buffer[] {
  const given = [settings.secret, settings.previous_secret].filter((each) => each !== null);
  return given.map((each) => Buffer.from(each.slice("whsec_".length), "base64"));
}

/** RFC 8187: `encodeURIComponent` leaves more as it is than a header may hold. */
function encoded(name: string): string {
  return encodeURIComponent(name).replace(
    /['()*]/g,
    (mark) => `%${mark.charCodeAt(0).toString(16).toUpperCase()}`,
  );
}
