import { any, type Db, type Queryable, sql } from "../platform/db.ts";
import type { BrowserSettings } from "../platform/deps.ts";
import { Problem } from "../platform/problem.ts";
import { makeBrowsers } from "./browser/browsers.ts";
import type { Connector } from "./connector.ts";

/** A worker that has a browser says so this often; it is believed for three times as long. */
export const readyEveryMs = 60_000;
const believedMs = 3 * readyEveryMs;

const browserNames = (connectors: readonly Connector[]) =>
  connectors.filter(({ needs }) => needs === "browser").map(({ name }) => name);

/**
 * A worker tells all processes whether it has what connectors need: others may take requests without having it, and
 * other workers may have it. `trouble`: why it has not.
 */
export async function announce(
  db: Db,
  connectors: readonly Connector[],
  { trouble, now }: { trouble: string | undefined; now: number },
): Promise<void> {
  const names = browserNames(connectors);
  if (names.length === 0) return;
  const until = trouble === undefined ? new Date(now + believedMs) : null;
  await db.run(sql`
    insert into provider_state as s (provider, next_slot, ready_until, trouble)
    select name, 'epoch', ${until}::timestamptz, ${trouble ?? null}::text from unnest(${names}::text[]) as n (name)
    order by name
    on conflict (provider) do update set ready_until = excluded.ready_until, trouble = excluded.trouble
    where excluded.trouble is null or s.ready_until is null or s.ready_until <= ${new Date(now)}`);
}

/**
 * Connectors whose connections a worker takes that has no browser: not those that another one can work. When nobody can,
 * their runs fail, and somebody is told.
 */
export async function leftFor(
  db: Queryable,
  connectors: readonly Connector[],
  now: number,
): Promise<readonly Connector[]> {
  const ready = await readyOf(db, browserNames(connectors), now);
  return connectors.filter(({ name }) => !ready.has(name));
}

async function readyOf(db: Queryable, names: readonly string[], now: number): Promise<Set<string>> {
  if (names.length === 0) return new Set();
  const rows = await db.rows<{ provider: string }>(sql`
    select provider from provider_state where provider = ${any(names)} and ready_until > ${new Date(now)}`);
  return new Set(rows.map(({ provider }) => provider));
}

/** Why this installation cannot ask providers now, with the remedy, by their names; those that it can are left out. */
export async function unavailable(
  db: Queryable,
  connectors: readonly Connector[],
  { settings, now }: { settings: BrowserSettings; now: number },
): Promise<Map<string, string>> {
  const names = browserNames(connectors);
  if (names.length === 0) return new Map();
  const rows = await db.rows<{ provider: string; ready: boolean; trouble: string | null }>(sql`
    select provider, coalesce(ready_until > ${new Date(now)}, false) as ready, trouble
    from provider_state where provider = ${any(names)}`);
  const told = new Map(rows.map((row) => [row.provider, row]));
  const here = makeBrowsers(settings, () => now).missing();
  return new Map(
    names.flatMap((name) => {
      const row = told.get(name);
      const why = row?.ready === true ? undefined : (row?.trouble ?? here);
      return why === undefined ? [] : [[name, why] as const];
    }),
  );
}

/** @throws Problem 409 with the remedy when this installation cannot ask a provider */
export async function assertAvailable(
  db: Queryable,
  connector: Connector,
  options: { settings: BrowserSettings; now: number },
): Promise<void> {
  const why = (await unavailable(db, [connector], options)).get(connector.name);
  if (why === undefined) return;
  throw new Problem("conflict", `${connector.title} is asked through a browser. ${why}`);
}
