import pg from "pg";

/** The database `name` on the server of `url`, as another user when one is given. */
export function databaseUrl(url: string, name: string, user?: { name: string; password: string }): string {
  const other = new URL(url);
  other.pathname = `/${name}`;
  if (user !== undefined) {
    other.username = user.name;
    other.password = user.password;
  }
  return other.href;
}

/** Runs a statement on a server that makes, clones or drops databases. */
export async function adminQuery(url: string, text: string): Promise<void> {
  const client = new pg.Client({ connectionString: url });
  await client.connect();
  try {
    // Cloning fails while somebody else clones the same template; they take turns.
    await client.query("select pg_advisory_lock(7262003)");
    await client.query(text);
  } finally {
    await client.end();
  }
}
