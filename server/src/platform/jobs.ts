import { createHash } from "node:crypto";
import { createRequire } from "node:module";
import { setTimeout as delay } from "node:timers/promises";
import pg from "pg";
import type { Job, PgBoss } from "pg-boss";
import type { Logger } from "pino";
import { type Db, type Queryable, sql, type Tx } from "./db.ts";
import type { Deps } from "./deps.ts";

/**
 * Work that outlives a request. `send` is part of the caller's transaction: the job exists when the transaction
 * commits and never otherwise. A job runs at least once, so its work must be safe to repeat.
 */
export interface Jobs {
  send(tx: Tx, name: string, data: object, options?: SendOptions): Promise<void>;
}

/** When a job runs, and whose it is. */
export interface SendOptions {
  /** Not before this instant, epoch ms; at once by default. */
  notBefore?: number;
  /** Id of the account whose work it is; see `JobKind.oneByAccount`. */
  account?: string;
}

/** One kind of job: what `app.ts` lists. */
export interface JobKind {
  name: string;
  /** Attempts after the first. A server that dies or stops during a run costs no attempt. */
  retries: number;
  /** A run that takes longer counts as dead and is given to another worker. */
  secondsMax: number;
  /** Jobs of this kind at once in one process. */
  atOnce: number;
  /** One at a time, in one process, of those sent for the same account: what one sends must not keep others waiting. */
  oneByAccount?: boolean;
  /** Also runs by itself, with empty data: a cron expression in UTC. */
  cron?: string;
  /** Also runs when a process begins to work, with empty data. */
  atStart?: boolean;
  /** `signal` is aborted when the server stops or the job was given to another worker; it will run again. */
  run(data: object, deps: Deps, signal: AbortSignal): Promise<void>;
}

/** Jobs of a process: sends them and, when told to, runs them. */
export interface OpenJobs extends Jobs {
  /** Starts to run jobs of these kinds; waiting ones begin within moments. */
  work(kinds: readonly JobKind[], deps: Deps): Promise<void>;
  /** Stops fetching, tells running jobs, waits for them for at most `timeoutMs` and closes the connections. */
  stop(timeoutMs: number): Promise<void>;
}

export interface OpenJobsOptions {
  /** Connection string and role of the server, as for `openDb`. */
  url: string;
  role?: string;
  db: Db;
  log: Logger;
}

const schema = "pgboss";
/** Jobs that failed for good end here, with the reason, for `doctor` and for people. */
const deadLetters = "dead-letters";
const day = 86_400;
/** A worker that dies is noticed so soon by the others, when there are any. */
const heartbeatSeconds = 20;
/** A job that was running this often when its server died may be the reason for it: it gets no further chance. */
const deathsMax = 100;
// Any number will do, as long as nobody else uses it in this database.
const presenceLock = 7_262_006;

/** Opens the queue. Nothing is connected before the first `send` or `work`. */
export function openJobs(options: OpenJobsOptions): OpenJobs {
  const { log } = options;
  let opening: Promise<PgBoss> | undefined;
  let presence: Presence | undefined;
  const running = new Set<string>();
  const stopping = new AbortController();
  const open = () => (opening ??= openBoss(options));
  return {
    async send(tx, name, data, { notBefore, account } = {}) {
      const boss = await open();
      const db = { executeSql: (text: string, values?: unknown[]) => tx.connection.query(text, values) };
      await boss.send(name, data, {
        db,
        ...(notBefore === undefined ? {} : { startAfter: new Date(notBefore) }),
        ...(account === undefined ? {} : { group: { id: account } }),
      });
    },
    async work(kinds, deps) {
      presence = await announce(options);
      if (presence.isAlone) await reviveOrphans(options.db, log);
      const boss = await open();
      for (const kind of kinds) {
        const settings = {
          pollingIntervalSeconds: 1,
          notifyPollingIntervalSeconds: 10,
          heartbeatRefreshSeconds: heartbeatSeconds / 4,
          // Counted in memory: the count in the database does not see what another worker takes at that moment.
          ...(kind.oneByAccount === true ? { localGroupConcurrency: 1 } : {}),
        };
        const workers: string[] = [];
        const run = async (job: Job<object>, worker: string) => {
          const at = performance.now();
          running.add(job.id);
          // One that took a job of this account at the same moment had to give it back, and now finds another.
          if (kind.oneByAccount === true) for (const each of workers) boss.notifyWorker(each);
          try {
            await kind.run(job.data ?? {}, deps, AbortSignal.any([job.signal, stopping.signal]));
            log.info({ job: job.id, kind: kind.name, ms: Math.round(performance.now() - at) }, "job done");
          } catch (error) {
            if (stopping.signal.aborted) log.info({ job: job.id, kind: kind.name }, "job interrupted");
            else
              log.error(
                { err: error, job: job.id, kind: kind.name, attempt: job.retryCount + 1 },
                "job failed",
              );
            throw error;
          } finally {
            running.delete(job.id);
            // Where one job was there may be more: without this the next one waits for the next poll.
            boss.notifyWorker(worker);
          }
        };
        for (let i = 0; i < kind.atOnce; i++) {
          const worker: string = await boss.work<object>(kind.name, settings, ([job]) => run(job!, worker));
          workers.push(worker);
        }
        if (kind.atStart === true) await boss.send(kind.name, {});
      }
    },
    async stop(timeoutMs) {
      if (opening !== undefined) {
        const boss = await opening;
        await sparedAttempt(options.db, [...running]);
        stopping.abort();
        await boss.stop({ graceful: true, timeout: timeoutMs });
      }
      await presence?.end();
    },
  };
}

async function openBoss({ url, role, log }: OpenJobsOptions): Promise<PgBoss> {
  // Costs more to load than a server may take to start.
  const { PgBoss } = await import("pg-boss");
  const boss = new PgBoss({
    connectionString: url,
    options: role === undefined ? "-c timezone=UTC" : `-c timezone=UTC -c role=${role}`,
    application_name: "metertree jobs",
    schema,
    max: 4,
    // The owner of the database makes and changes tables, in `migrateJobs`; this role may not.
    migrate: false,
    createSchema: false,
    reindex: false,
    registerInstance: false,
    useListenNotify: true,
    monitorIntervalSeconds: 10,
    superviseIntervalSeconds: 10,
  });
  boss.on("error", (error) => log.warn({ err: error }, "the job queue met an error and goes on"));
  boss.on("warning", (warning) => log.warn({ data: warning.data }, warning.message));
  return boss.start();
}

/** What a process shows to others for as long as it works. */
interface Presence {
  /** No other process was working when this one began. */
  isAlone: boolean;
  end(): Promise<void>;
}

/**
 * Takes the lock that every working process shares. Whoever gets it for itself alone first knows that nobody else
 * works, so that whatever is marked as running belongs to a dead process. The lock ends with the session, and the
 * session with its process.
 */
async function announce({ url, role, log }: OpenJobsOptions): Promise<Presence> {
  const ended = new AbortController();
  const connect = async () => {
    const client = new pg.Client({
      connectionString: url,
      application_name: "metertree worker",
      keepAlive: true,
      ...(role === undefined ? {} : { options: `-c role=${role}` }),
    });
    client.on("error", () => undefined);
    await client.connect();
    return client;
  };
  let client = await connect();
  const { rows } = await client.query<{ alone: boolean }>("select pg_try_advisory_lock($1) as alone", [
    presenceLock,
  ]);
  const isAlone = rows[0]!.alone;
  await client.query("select pg_advisory_lock_shared($1)", [presenceLock]);
  if (isAlone) await client.query("select pg_advisory_unlock($1)", [presenceLock]);
  const stay = async () => {
    while (!ended.signal.aborted) {
      await new Promise((resolve) => client.once("end", resolve));
      if (ended.signal.aborted) return;
      log.warn("the connection that shows this worker to others broke; it is made again");
      client = await reconnect(connect, ended.signal);
    }
  };
  const staying = stay().catch(() => undefined);
  return {
    isAlone,
    async end() {
      ended.abort();
      await client.end().catch(() => undefined);
      await staying;
    },
  };
}

async function reconnect(connect: () => Promise<pg.Client>, ended: AbortSignal): Promise<pg.Client> {
  for (;;) {
    await delay(1000, undefined, { signal: ended });
    try {
      const client = await connect();
      await client.query("select pg_advisory_lock_shared($1)", [presenceLock]);
      return client;
    } catch {
      // the database is still away: the next second may bring it back
    }
  }
}

/** Gives jobs of dead workers back to the queue at once, without counting the attempt. */
async function reviveOrphans(db: Queryable, log: Logger): Promise<void> {
  const revived = await db.run(
    sql`update pgboss.job set state = 'retry', retry_limit = retry_limit + 1, start_after = now(), heartbeat_on = null
        where state = 'active' and retry_count < ${deathsMax}`,
  );
  if (revived > 0) log.info({ jobs: revived }, "jobs of a server that had died run again");
}

/** What is interrupted by a stop has an attempt more than it would have. */
async function sparedAttempt(db: Queryable, ids: readonly string[]): Promise<void> {
  if (ids.length === 0) return;
  await db.run(
    sql`update pgboss.job set retry_limit = retry_limit + 1
        where id = any(${ids}::uuid[]) and state = 'active' and retry_count < ${deathsMax}`,
  );
}

/** How far one kind of job is behind. */
export interface JobLag {
  kind: string;
  /** Due and not yet begun. */
  waiting: number;
  running: number;
  /** Age of the oldest that is due, in seconds. */
  oldestSeconds: number;
  /** Given up after all attempts, in the last 30 days. */
  dead: number;
}

/** Lag of every kind of job, measured now. */
export async function jobLag(db: Queryable): Promise<JobLag[]> {
  return db.rows<JobLag>(
    sql`select q.name as kind,
               count(j.id) filter (where j.state < 'active' and j.start_after <= now())::int4 as waiting,
               count(j.id) filter (where j.state = 'active')::int4 as running,
               coalesce(extract(epoch from now() - min(j.start_after)
                 filter (where j.state < 'active' and j.start_after <= now())), 0)::float8 as "oldestSeconds",
               (select count(*)::int4 from pgboss.job d
                where d.name = ${deadLetters} and d.source_name = q.name) as dead
        from pgboss.queue q left join pgboss.job j on j.name = q.name and j.state <= 'active'
        where q.name <> ${deadLetters} and q.name not like '\\_\\_pgboss%'
        group by q.name order by q.name`,
  );
}

/**
 * Makes or changes the tables of the queue and its list of kinds, as the owner of the database; lets the run-time role
 * use them. Part of the migrations of a server, under their lock. Does nothing when all is as it should be.
 *
 * @returns whether anything was changed
 */
export async function migrateJobs(options: {
  url: string;
  runtimeRole: string | null;
  kinds: readonly JobKind[];
  /** Only tell whether something would be changed. */
  dryRun?: boolean;
}): Promise<boolean> {
  const client = new pg.Client({ connectionString: options.url, application_name: "metertree migrate" });
  await client.connect();
  try {
    const wanted = fingerprint(options);
    const { rows } = await client.query<{ found: string | null }>(
      "select obj_description(to_regnamespace($1)::oid, 'pg_namespace') as found",
      [schema],
    );
    if (rows[0]!.found === wanted) return false;
    if (options.dryRun === true) return true;
    await makeQueues(options.url, options.kinds);
    if (options.runtimeRole !== null) await grantJobs(client, options.runtimeRole);
    await client.query(`comment on schema ${schema} is ${pg.escapeLiteral(wanted)}`);
    return true;
  } finally {
    await client.end();
  }
}

/** Names everything that `makeQueues` and `grantJobs` depend on. */
function fingerprint({
  runtimeRole,
  kinds,
}: {
  runtimeRole: string | null;
  kinds: readonly JobKind[];
}): string {
  const { version } = createRequire(import.meta.url)("pg-boss/package.json") as { version: string };
  const all = { runtimeRole, queues: kinds.map((kind) => [kind.name, queueOf(kind), kind.cron ?? null]) };
  const hash = createHash("sha256").update(JSON.stringify(all)).digest("hex").slice(0, 16);
  return `jobs of Metertree, pg-boss ${version}, queues ${hash}`;
}

function queueOf(kind: JobKind) {
  return {
    retryLimit: kind.retries,
    retryDelay: 2,
    retryBackoff: true,
    retryDelayMax: 600,
    expireInSeconds: Math.min(kind.secondsMax, day - 1),
    heartbeatSeconds,
    retentionSeconds: 30 * day,
    deleteAfterSeconds: 7 * day,
    deadLetter: deadLetters,
    notify: true,
  };
}

async function makeQueues(url: string, kinds: readonly JobKind[]): Promise<void> {
  const { PgBoss } = await import("pg-boss");
  const boss = new PgBoss({
    connectionString: url,
    application_name: "metertree migrate",
    schema,
    max: 2,
    supervise: false,
    schedule: false,
    registerInstance: false,
  });
  boss.on("error", () => undefined); // what matters rejects the calls below
  await boss.start();
  try {
    await boss.createQueue(deadLetters, { retentionSeconds: 30 * day, retryLimit: 0 });
    for (const kind of kinds) {
      if ((await boss.getQueue(kind.name)) === null) await boss.createQueue(kind.name, queueOf(kind));
      else await boss.updateQueue(kind.name, queueOf(kind));
      if (kind.cron === undefined) await boss.unschedule(kind.name);
      else await boss.schedule(kind.name, kind.cron, {}, { tz: "UTC", missed: "once" });
    }
    // Indexes of a newer version are built in the background, which only the owner may do.
    while (
      (await boss.getBamStatus()).some(({ status }) => status === "pending" || status === "in_progress")
    ) {
      await delay(200);
    }
  } finally {
    await boss.stop();
  }
}

async function grantJobs(client: pg.Client, role: string): Promise<void> {
  const name = pg.escapeIdentifier(role);
  await client.query(`
    grant usage on schema ${schema} to ${name};
    grant select, insert, update, delete on all tables in schema ${schema} to ${name};
    grant usage, select on all sequences in schema ${schema} to ${name};
    grant execute on all functions in schema ${schema} to ${name}`);
}
