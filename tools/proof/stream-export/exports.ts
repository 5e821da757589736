import { join, relative } from "node:path";
import { setTimeout as delay } from "node:timers/promises";
import type { Client } from "../../../client/src/client.ts";
import { login } from "../../../test/harness/servers/ftp.ts";
import { type S3Server, s3Login, s3Server } from "../../../test/harness/servers/s3.ts";
import { type SftpServer, sftpServer } from "../../../test/harness/servers/sftp.ts";
import type { Held } from "../held.ts";
import { FaultyWay } from "./faulty-way.ts";
import { filesIn, heldInCsv, heldInParquet } from "./files.ts";

/** What became of the files. */
export interface ExportsVerdict {
  csv: number;
  parquet: number;
  /** Attempts that failed, by what the server says of them. */
  attempts: number;
  /** Files at a target that no delivered run names. */
  unexpected: number;
  /** Runs that are not delivered, and delivered ones whose file is not there. */
  undelivered: number;
}

/** An export and the files that arrived. */
interface One {
  id: string;
  way: FaultyWay;
  /** Where they arrive. */
  root: string;
  ending: string;
}

/** Two exports of the account: CSV to an SFTP server, Parquet to S3; the ways to both can break. */
export class Exports {
  readonly #connect: () => Client;
  #sftp!: SftpServer;
  #s3!: S3Server;
  #all: One[] = [];

  constructor(connect: () => Client) {
    this.#connect = connect;
  }

  async begin(): Promise<void> {
    this.#sftp = await sftpServer();
    this.#s3 = await s3Server();
    const toSftp = new FaultyWay({ port: this.#sftp.port });
    const toS3 = new FaultyWay({ port: Number(new URL(this.#s3.endpoint).port) });
    const csv = await this.#make(
      { name: "ConsumptionCSV", params: { start: true } },
      { sftp: { host: "127.0.0.1", port: await toSftp.open(), ...login } },
    );
    const parquet = await this.#make(
      { name: "ConsumptionParquet" },
      {
        aws_s3: {
          bucket: this.#s3.bucket,
          ...s3Login,
          endpoint: `http://127.0.0.1:${await toS3.open()}`,
          region: "us-east-1",
        },
      },
    );
    this.#all = [
      { id: csv, way: toSftp, root: this.#sftp.root, ending: ".csv" },
      {
        id: parquet,
        way: toS3,
        root: join(this.#s3.root, this.#s3.bucket),
        ending: ".parquet._S3rver_object",
      },
    ];
  }

  async #make(format: object, target: object): Promise<string> {
    const body = { format, source_type: "stream", frequency: "cron", cron: "* * * * *", target };
    return (await this.#connect().call("POST /exports", { body: body as never }))._id;
  }

  /** Breaks the ways, or makes them whole, as the dice say. */
  breakWays(random: () => number): void {
    for (const { way } of this.#all) {
      const dice = random();
      way.breaksAfter = dice < 0.35 ? null : dice < 0.55 ? 0 : Math.floor(random() ** 3 * 2_000_000);
    }
  }

  /** Faults that the ways had. */
  faults(): Record<string, number> {
    const [sftp, s3] = this.#all;
    return { "way to SFTP broke": sftp?.way.faults ?? 0, "way to S3 broke": s3?.way.faults ?? 0 };
  }

  /** Asks for a run of each, now. */
  async run(): Promise<void> {
    for (const { id } of this.#all) await this.#connect().call("POST /exports/{id}/run", { path: { id } });
  }

  /** Makes the ways whole and waits until nothing is left to send. */
  async settle(): Promise<ExportsVerdict> {
    for (const { way } of this.#all) way.breaksAfter = null;
    for (const one of this.#all) await this.#settled(one);
    const verdict: ExportsVerdict = { csv: 0, parquet: 0, attempts: 0, unexpected: 0, undelivered: 0 };
    for (const [i, { id, root, ending }] of this.#all.entries()) {
      const there = filesIn(root, ending).map((file) => relative(root, file).replace("._S3rver_object", ""));
      const delivered = new Set<string>();
      for await (const run of this.#connect().list("GET /exports/{id}/runs", { path: { id } })) {
        verdict.attempts += run.attempts;
        if (run.status === "delivered") delivered.add(run.file);
        else if (run.status !== "withdrawn") verdict.undelivered++;
      }
      verdict[i === 0 ? "csv" : "parquet"] = there.length;
      verdict.unexpected += there.filter((name) => !delivered.has(name)).length;
      verdict.undelivered += [...delivered].filter((name) => !there.includes(name)).length;
    }
    return verdict;
  }

  async #settled({ id }: One): Promise<void> {
    const client = this.#connect();
    const { paused } = await client.call("GET /exports/{id}", { path: { id } });
    if (paused) await client.call("POST /exports/{id}/resume", { path: { id } });
    const asked = Date.now() - 1000;
    await client.call("POST /exports/{id}/run", { path: { id } });
    for (;;) {
      const { last_run: last } = await client.call("GET /exports/{id}", { path: { id } });
      if (last?.status === "nothing_new" && Date.parse(last.time.replace("+0000", "Z")) > asked) return;
      await delay(1000);
      await client.call("POST /exports/{id}/run", { path: { id } });
    }
  }

  /** What each export's files add up to. */
  async held(): Promise<[string, Held][]> {
    const [csv, parquet] = this.#all as [One, One];
    return [
      ["csv over SFTP", heldInCsv(filesIn(csv.root, csv.ending))],
      ["Parquet in S3", await heldInParquet(filesIn(parquet.root, parquet.ending))],
    ];
  }

  async end(): Promise<void> {
    for (const { way } of this.#all) await way.close();
    await this.#sftp?.close();
    await this.#s3?.close();
  }
}
