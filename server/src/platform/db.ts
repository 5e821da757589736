import pg from "pg";
import sql, { type Sql } from "sql-template-tag";

export { default as sql, empty, join, raw, type Sql } from "sql-template-tag";

/** Something that runs SQL: the pool or an open transaction. */
export interface Queryable {
  /** All rows. */
  rows<Row>(query: Sql | Prepared): Promise<Row[]>;
  /** The one row, or `undefined`. More than one is a bug and throws. */
  maybe<Row>(query: Sql | Prepared): Promise<Row | undefined>;
  /** The one row; none or several is a bug and throws. */
  one<Row>(query: Sql | Prepared): Promise<Row>;
  /** Runs a statement; returns how many rows it touched. */
  run(query: Sql | Prepared): Promise<number>;
}

/** A statement with a name is prepared once per connection: for the hot ones. */
export interface Prepared {
  name: string;
  text: string;
  values: unknown[];
}

/** An open transaction. */
export interface Tx extends Queryable {
  /** The connection itself, for COPY; never released or committed by hand. */
  readonly connection: pg.PoolClient;
  /** Runs `work` after the commit succeeded (cache invalidation, wake-ups); never after a rollback. */
  afterCommit(work: () => void): void;
}

/** The database of the server. */
export interface Db extends Queryable {
  /**
   * Runs `work` in a transaction; repeats it when the database asks for that (serialization failure 40001,
   * deadlock 40P01), so `work` must be safe to run again.
   */
  transaction<T>(work: (tx: Tx) => Promise<T>): Promise<T>;
  /** Borrows one connection outside a transaction (LISTEN, COPY TO). */
  borrow<T>(work: (connection: pg.PoolClient) => Promise<T>): Promise<T>;
  close(): Promise<void>;
}

export interface DbOptions {
  /** Connection string. */
  url: string;
  /** Most connections at once. */
  connectionsMax: number;
  /** A statement that runs longer is cancelled. Always set: lock waits on Citus workers end only by it. */
  statementTimeoutMs: number;
  /** Role that every connection acts as, when the login role must not be used as it is. */
  role?: string;
  applicationName: string;
}

const retried = new Set(["40001", "40P01"]);
const attemptsMax = 5;

// Numbers as the code uses them: counts and offsets below 2^53, and dates as epoch milliseconds by ::text or extract.
pg.types.setTypeParser(pg.types.builtins.INT8, Number);

/** Opens a pool. Nothing is connected before the first query. */
export function openDb(options: DbOptions): Db {
  const pool = new pg.Pool({
    connectionString: options.url,
    max: options.connectionsMax,
    idleTimeoutMillis: 30_000,
    connectionTimeoutMillis: 10_000,
    application_name: options.applicationName,
    statement_timeout: options.statementTimeoutMs,
    options: options.role === undefined ? "-c timezone=UTC" : `-c timezone=UTC -c role=${options.role}`,
  });
  // A connection that breaks while idle is replaced by the pool; the error must not end the process.
  pool.on("error", () => undefined);
  // Nor that of one that breaks between two statements of its borrower, whose next statement fails.
  pool.on("connect", (connection) => connection.on("error", () => undefined));
  return {
    ...queryable((query) => pool.query(query)),
    transaction: (work) => transaction(pool, work),
    async borrow(work) {
      const connection = await pool.connect();
      try {
        return await work(connection);
      } finally {
        connection.release();
      }
    },
    close: () => pool.end(),
  };
}

async function transaction<T>(pool: pg.Pool, work: (tx: Tx) => Promise<T>): Promise<T> {
  for (let attempt = 1; ; attempt++) {
    const connection = await pool.connect();
    const after: (() => void)[] = [];
    let broken = false;
    try {
      await connection.query("begin");
      const tx: Tx = {
        ...queryable((query) => connection.query(query)),
        connection,
        afterCommit: (call) => void after.push(call),
      };
      const result = await work(tx);
      await connection.query("commit");
      for (const call of after) call();
      return result;
    } catch (error) {
      await connection.query("rollback").catch(() => (broken = true));
      if (attempt < attemptsMax && retried.has((error as { code?: string }).code ?? "")) continue;
      throw error;
    } finally {
      connection.release(broken);
    }
  }
}

function queryable(send: (query: Sql | Prepared) => Promise<pg.QueryResult>): Queryable {
  const rows = async <Row>(query: Sql | Prepared) => (await send(query)).rows as Row[];
  const maybe = async <Row>(query: Sql | Prepared) => {
    const found = await rows<Row>(query);
    if (found.length > 1) throw new Error(`expected at most one row, got ${found.length}: ${query.text}`);
    return found[0];
  };
  return {
    rows,
    maybe,
    async one<Row>(query: Sql | Prepared) {
      const found = await maybe<Row>(query);
      if (found === undefined) throw new Error(`expected one row, got none: ${query.text}`);
      return found;
    },
    run: async (query) => (await send(query)).rowCount ?? 0,
  };
}

/** SQLSTATE of a failed statement, `undefined` for any other error. */
export function sqlState(error: unknown): string | undefined {
  const code = (error as { code?: unknown } | null)?.code;
  return typeof code === "string" && /^[0-9A-Z]{5}$/.test(code) ? code : undefined;
}

/** `array[...]::type` of values handed in as one parameter; the type is ours, never the caller's. */
export function any(values: readonly unknown[], type: "text" | "int4" | "int8" | "float8" = "text"): Sql {
  switch (type) {
    case "text":
      return sql`any(${values}::text[])`;
    case "int4":
      return sql`any(${values}::int4[])`;
    case "int8":
      return sql`any(${values}::int8[])`;
    case "float8":
      return sql`any(${values}::float8[])`;
  }
}
