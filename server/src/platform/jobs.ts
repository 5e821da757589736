/**
 * Work that outlives a request. `send` is part of the caller's transaction: the job exists when the transaction
 * commits and never otherwise. A job runs at least once, so its work must be safe to repeat.
 */
export interface Jobs {
  send(tx: import("./db.ts").Tx, name: string, data: object): Promise<void>;
}

/** One kind of job: what `app.ts` lists. */
export interface JobKind {
  name: string;
  /** Attempts after the first. */
  retries: number;
  /** A run that takes longer counts as dead and is given to another worker. */
  secondsMax: number;
  /** Jobs of this kind at once in one process. */
  atOnce: number;
  run(data: object, deps: import("./deps.ts").Deps): Promise<void>;
}
