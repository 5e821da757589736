import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { z } from "zod";
import { egressReasons } from "../../platform/egress/egress.ts";
import { Problem } from "../../platform/problem.ts";
import {
  assertPossible,
  deliver,
  joinTarget,
  mergeSecrets,
  shownTarget,
  splitTarget,
  type Target,
  targetKinds,
  targetSchema,
  targetTypes,
  targetView,
  testTarget,
} from "./all.ts";
import { targetOf, thrown, world } from "./harness.ts";
import { markOf, mask } from "./target.ts";

const key = "-----BEGIN PRIVATE KEY-----\nMC4CAQAwBQYDK2VwBCIEIPsecret\n-----END PRIVATE KEY-----\n";
const whsec = (byte: number) => `whsec_${Buffer.alloc(32, byte).toString("base64")}`;

/** One of each kind, with a canary in every secret. */
const bodies = {
  ftp: { host: "ftp.example.com", username: "me", password: "CANARY-ftp", path: null },
  sftp: {
    host: "sftp.example.com",
    username: "me",
    password: "CANARY-sftp",
    private_key: key.replace("secret", "CANARYkey"),
    passphrase: "CANARY-phrase",
    host_key: `SHA256:${"A".repeat(43)}`,
  },
  smtp: { email: "me@example.com" },
  http: {
    url: "https://me:CANARY-login@example.com/in/CANARY0123456789abcdef?token=CANARY-token&list=7",
    secret: whsec(1),
    previous_secret: whsec(2),
  },
  aws_s3: { bucket: "bucket", access_key_id: "AKIA", access_key_secret: "CANARY-s3" },
  azure_blob_storage: { container: "path/to/it", account_name: "account", account_key: "CANARYazure" },
};
const all = targetTypes.map((type): [string, Target] => [type, targetOf({ [type]: bodies[type] })]);
const canary = /CANARY|whsec_/;

function problemOf(work: () => unknown): Problem {
  try {
    work();
  } catch (error) {
    if (error instanceof Problem) return error;
    throw error;
  }
  throw new Error("nothing was thrown");
}

describe("targets", () => {
  test("have the names and fields of the contract", () => {
    const fields = Object.fromEntries(
      targetTypes.map((type) => [type, Object.keys(targetKinds[type].settings.shape)]),
    );
    expect(fields).toEqual({
      ftp: ["host", "port", "username", "password", "path", "tls"],
      sftp: ["host", "port", "username", "password", "private_key", "passphrase", "path", "host_key"],
      smtp: ["email", "subject"],
      http: ["url", "secret", "previous_secret"],
      aws_s3: [
        ...["bucket", "access_key_id", "access_key_secret"],
        ...["endpoint", "region", "path", "force_path_style"],
      ],
      azure_blob_storage: ["container", "account_name", "account_key", "endpoint"],
    });
  });

  test("say which fields are secret and which say where secrets go", () => {
    const marked = targetTypes.flatMap((type) =>
      Object.entries(targetKinds[type].settings.shape).flatMap(([name, field]) => {
        const { secret, place } = markOf(field);
        return secret === undefined && place === undefined ? [] : [[`${type}.${name}`, secret ?? place]];
      }),
    );
    expect(Object.fromEntries(marked)).toEqual({
      "ftp.host": "value",
      "ftp.port": "value",
      "ftp.password": "whole",
      "ftp.tls": "value",
      "sftp.host": "value",
      "sftp.port": "value",
      "sftp.password": "whole",
      "sftp.private_key": "whole",
      "sftp.passphrase": "whole",
      "http.url": "address",
      "http.secret": "whole",
      "http.previous_secret": "whole",
      "aws_s3.access_key_secret": "whole",
      "aws_s3.endpoint": "value",
      "azure_blob_storage.account_key": "whole",
      "azure_blob_storage.endpoint": "value",
    });
  });

  test.each(all)("%s: answers show masks, and sending them back changes nothing", (type, target) => {
    const shown = shownTarget(splitTarget(target).open);
    expect(JSON.stringify(shown)).not.toMatch(canary);
    expect(targetView.parse(shown)).toEqual(shown);
    expect(shown.type).toBe(type);
    expect(Object.values(shown).filter((each) => each === null)).toHaveLength(targetTypes.length - 1);
    expect(mergeSecrets(target, targetSchema.parse(shown))).toEqual(target);
    // A target that is not there yet has nothing behind a mask.
    if (type !== "smtp") {
      expect(problemOf(() => mergeSecrets(null, targetSchema.parse(shown))).message).toMatch(/^target\./);
    }
    expect(mergeSecrets(null, target)).toEqual(target);
  });

  test.each(all)("%s: the database sees secrets only sealed", (_, target) => {
    const { open, secrets } = splitTarget(target);
    expect(JSON.stringify(open)).not.toMatch(canary);
    const stored = JSON.parse(JSON.stringify({ open, secrets }));
    expect(joinTarget(stored)).toEqual(target);
  });

  test.each([
    ["ftp", "password", { host: "evil.example.com" }],
    ["ftp", "password", { port: 2121 }],
    ["ftp", "password", { tls: "explicit" }],
    ["sftp", "password", { host: "evil.example.com" }],
    ["http", "url", { url: "https://me:********@evil.example.com/in" }],
    ["http", "url", { url: "https://me:********@example.com/elsewhere" }],
    ["http", "secret", { url: "https://evil.example.com/in" }],
    ["aws_s3", "access_key_secret", { endpoint: "https://evil.example.com" }],
    ["azure_blob_storage", "account_key", { endpoint: "https://evil.example.com" }],
  ] as const)("%s: %s is not sent elsewhere by whoever only saw its mask", (type, field, change) => {
    const before = targetOf({ [type]: bodies[type] });
    const shown = shownTarget(splitTarget(before).open)[type] as object;
    const problem = problemOf(() => mergeSecrets(before, targetOf({ [type]: { ...shown, ...change } })));
    expect(problem.message).toMatch(new RegExp(`^target\\.${type}\\.${field}: `));
  });

  test("a new secret goes with a new place, and other settings change with masks", () => {
    const before = targetOf({ ftp: bodies.ftp });
    const moved = targetOf({ ftp: { ...bodies.ftp, host: "new.example.com", password: "new" } });
    expect(mergeSecrets(before, moved)).toEqual(moved);
    const shown = { ...bodies.ftp, password: mask };
    const renamed = mergeSecrets(before, targetOf({ ftp: { ...shown, path: "in" } }));
    expect(renamed.settings).toMatchObject({ path: "in", password: "CANARY-ftp" });
    const http = targetOf({ http: { ...bodies.http, secret: whsec(3), previous_secret: mask } });
    expect(mergeSecrets(targetOf({ http: bodies.http }), http).settings).toMatchObject({
      secret: whsec(3),
      previous_secret: whsec(2),
    });
    expect(mergeSecrets(before, targetOf({ smtp: bodies.smtp })).type).toBe("smtp");
  });

  test("the key of a server stays known until the place changes or it is forgotten on purpose", () => {
    const { host_key, ...rest } = bodies.sftp;
    const before = targetOf({ sftp: bodies.sftp });
    const after = (change: object) =>
      (mergeSecrets(before, targetOf({ sftp: { ...rest, ...change } })).settings as { host_key: unknown })
        .host_key;
    expect(after({ path: "in" })).toBe(host_key);
    expect(after({ host: "other.example.com" })).toBeNull();
    expect(after({ host_key: null })).toBeNull();
  });

  test("exactly one kind is given", () => {
    const message = (body: unknown) => targetSchema.safeParse(body).error?.issues[0]?.message;
    expect(message({})).toMatch(/exactly one of ftp, sftp/);
    expect(message({ ftp: bodies.ftp, smtp: bodies.smtp })).toMatch(/exactly one/);
    expect(message({ type: "ftp", smtp: bodies.smtp })).toBe("is ftp, but smtp is given");
    expect(message({ type: "smtp", smtp: bodies.smtp, ftp: null })).toBeUndefined();
    expect(message("ftp")).toBeDefined();
    expect(z.toJSONSchema(targetSchema, { io: "input" })).toHaveProperty("properties.ftp");
  });

  test("mail needs a mail server", () => {
    const target = targetOf({ smtp: bodies.smtp });
    expect(problemOf(() => assertPossible(target, { smtpUrl: null })).message).toMatch(/^target\.smtp: /);
    assertPossible(target, { smtpUrl: "smtp://localhost" });
    assertPossible(targetOf({ ftp: bodies.ftp }), { smtpUrl: null });
  });
});

describe("settings", () => {
  const isRefused = (type: keyof typeof bodies, change: object) =>
    targetSchema.safeParse({ [type]: { ...bodies[type], ...change } }).success === false;

  test("no text of any kind may hold a line break or another control character", () => {
    const mark = fc.constantFrom(
      "\r\n",
      "\n",
      "\r",
      "\0",
      "\t",
      "\x1b",
      "\x7f",
      "\u0085",
      "\u2028",
      "\u2029",
    );
    const texts = targetTypes.flatMap((type) =>
      Object.entries(bodies[type]).flatMap(([name, value]) =>
        typeof value === "string" && name !== "private_key" ? [{ type, name, value }] : [],
      ),
    );
    const optional = [
      { type: "ftp", name: "path", value: "in" },
      { type: "sftp", name: "path", value: "in" },
      { type: "smtp", name: "subject", value: "Values" },
      { type: "aws_s3", name: "path", value: "in" },
      { type: "aws_s3", name: "region", value: "eu-north-1" },
    ] as const;
    fc.assert(
      fc.property(
        fc.constantFrom(...texts, ...optional),
        mark,
        fc.nat(),
        ({ type, name, value }, text, at) => {
          const place = at % (value.length + 1);
          const changed = value.slice(0, place) + text + value.slice(place);
          expect([type, name, isRefused(type, { [name]: changed })]).toEqual([type, name, true]);
          expect(isRefused(type, { [name]: value })).toBe(false);
        },
      ),
    );
  });

  test.each<[keyof typeof bodies, object]>([
    ["ftp", { host: "ftp://example.com" }],
    ["ftp", { host: "example.com/x" }],
    ["ftp", { host: "me@example.com" }],
    ["ftp", { host: "example.com:21" }],
    ["ftp", { host: "fe80::1%lo" }],
    ["ftp", { port: 0 }],
    ["ftp", { port: 65_536 }],
    ["ftp", { password: "" }],
    ["ftp", { tls: "maybe" }],
    ["sftp", { password: null, private_key: null }],
    ["sftp", { private_key: "ssh-ed25519 AAAA" }],
    ["sftp", { private_key: `${key}\0` }],
    ["sftp", { private_key: lockedKey(1_000_000) }],
    ["sftp", { host_key: "MD5:00:11" }],
    ["smtp", { email: "nobody" }],
    ["smtp", { email: "a@example.com,b" }],
    ["smtp", { email: "<a@example.com>" }],
    ["smtp", { email: "a@example.com, b@example.com>, c@example.com" }],
    ["smtp", { email: Array(21).fill("a@example.com").join() }],
    ["http", { url: "ftp://example.com/" }],
    ["http", { url: "file:///etc/passwd" }],
    ["http", { url: "unix:/run/docker.sock" }],
    ["http", { url: "example.com" }],
    ["http", { secret: "short" }],
    ["http", { secret: `whsec_${Buffer.alloc(16).toString("base64")}` }],
    ["aws_s3", { bucket: "evil.example.com/x" }],
    ["aws_s3", { bucket: "a@b" }],
    ["aws_s3", { region: "eu.evil.example.com/" }],
    ["aws_s3", { endpoint: "https://me:pass@example.com" }],
    ["aws_s3", { endpoint: "https://example.com/?x=1" }],
    ["azure_blob_storage", { account_name: "evil.example.com#" }],
    ["azure_blob_storage", { account_name: "Account" }],
    ["azure_blob_storage", { container: "UPPER" }],
    ["azure_blob_storage", { account_key: "no base64!" }],
  ])("%s refuses %j", (type, change) => {
    expect(isRefused(type, change)).toBe(true);
  });

  test("a key behind a passphrase is taken when it opens quickly", () => {
    expect(isRefused("sftp", { private_key: lockedKey(24) })).toBe(false);
    expect(isRefused("sftp", { private_key: lockedKey(33) })).toBe(true);
  });
});

/** The head of an OpenSSH key that says how many rounds its passphrase is stretched in. */
function lockedKey(rounds: number): string {
  const text = (bytes: Buffer) => {
    const length = Buffer.alloc(4);
    length.writeUInt32BE(bytes.length);
    return Buffer.concat([length, bytes]);
  };
  const count = Buffer.alloc(4);
  count.writeUInt32BE(rounds);
  const bytes = Buffer.concat([
    Buffer.from("openssh-key-v1\0"),
    text(Buffer.from("aes256-ctr")),
    text(Buffer.from("bcrypt")),
    text(Buffer.concat([text(Buffer.alloc(16)), count])),
  ]);
  return `-----BEGIN OPENSSH PRIVATE KEY-----\n${bytes.toString("base64")}\n-----END OPENSSH PRIVATE KEY-----\n`;
}

describe("deliveries", () => {
  test("names that could leave their folder are a bug and go nowhere", () => {
    const place = world();
    const target = targetOf({ ftp: bodies.ftp });
    for (const name of ["../x", "a/../../x", "/etc/x", "a//b", "", "a\r\nb", ".", "a\\b", "x".repeat(300)]) {
      expect(() => deliver(target, { deps: place.deps, file: place.file("x", { name }) })).toThrow("no name");
    }
    for (const id of ["", "a b", "a\r\n", "../x"]) {
      expect(() => deliver(target, { deps: place.deps, file: place.file("x", { id }) })).toThrow("no name");
    }
  });

  test.each(all.filter(([type]) => type !== "smtp"))("%s reaches no private address", async (_, target) => {
    const place = world();
    const settings: Record<string, unknown> = { ...target.settings };
    for (const name of ["host", "endpoint", "url"]) {
      if (!(name in settings)) continue;
      settings[name] = name === "host" ? "inside.test" : "http://inside.test:8080/in";
    }
    const inside = { type: target.type, settings: { ...settings, private_key: null } } as Target;
    const failure = await thrown(deliver(inside, { deps: place.deps, file: place.file("x") }));
    expect([failure.reason, failure.retry]).toEqual(["address_refused", "stop"]);
    expect(failure.message).toBe(egressReasons.address_refused);
    await place.close();
  });

  test("a test that fails takes as long as others that fail", async () => {
    const place = world();
    const target = targetOf({ ftp: { ...bodies.ftp, host: "inside.test" } });
    const from = performance.now();
    await thrown(testTarget(target, { deps: place.deps, id: "1", stepMs: 100 }));
    // Timers may ring a little early.
    expect(performance.now() - from).toBeGreaterThan(98);
    await place.close();
  });
});
