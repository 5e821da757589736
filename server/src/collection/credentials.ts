import { z } from "zod";
import type { Queryable } from "../platform/db.ts";
import type { Deps } from "../platform/deps.ts";
import { parsed } from "../platform/http/validate.ts";
import { invalid } from "../platform/problem.ts";
import { type Connector, markOf, mask } from "./connector.ts";

/** Settings of a connection as they were entered. */
export type Settings = Record<string, unknown>;

/** Settings as the table holds them. */
export interface StoredSettings {
  /** With masks in the place of secrets. */
  settings: Settings;
  sealed: Buffer;
}

const placeOf = (connectionId: string, column: "sealed" | "memory" | "code" | "consent") => ({
  table: "connection",
  row: connectionId,
  column,
});

/** Whose connection it is, for what is sealed of it. */
export interface Owned {
  id: string;
  accountId: string;
}

/** Seals a text for one column of a connection. */
export function sealed(
  db: Queryable,
  { keys, of, column }: { keys: Deps["keys"]; of: Owned; column: Parameters<typeof placeOf>[1] },
  plain: string,
): Promise<Buffer> {
  return keys.seal(db, of.accountId, plain, placeOf(of.id, column));
}

/** Opens what `sealed` made; null for null. */
export async function opened(
  db: Queryable,
  { keys, of, column }: { keys: Deps["keys"]; of: Owned; column: Parameters<typeof placeOf>[1] },
  box: Uint8Array | null,
): Promise<string | null> {
  return box === null ? null : keys.open(db, of.accountId, box, placeOf(of.id, column));
}

/**
 * Checks what was sent as credentials and fills masks in from `before`.
 * @throws Problem that names each wrong field, or a mask with nothing behind it
 */
export function checkedSettings(connector: Connector, sent: unknown, before: Settings | null): Settings {
  const schema = z.object({ credentials: connector.settings });
  const given = (parsed(schema, { credentials: sent }, "credentials") as { credentials: Settings })
    .credentials;
  const merged: Settings = { ...given };
  const isMoved = before !== null && placesOf(connector, before) !== placesOf(connector, given);
  for (const name of secretNames(connector)) {
    if (given[name] !== mask) continue;
    const field = `credentials.${name}`;
    const old = before?.[name];
    if (old === undefined || old === null)
      throw invalid(field, `has a mask (${mask}): enter the value itself`);
    // Otherwise whoever may write a connection could have its password sent to a server of his own.
    if (isMoved)
      throw invalid(field, "must be entered again, since it would be sent to another place than before");
    merged[name] = old;
  }
  return merged;
}

function secretNames(connector: Connector): string[] {
  return Object.entries(connector.settings.shape).flatMap(([name, field]) =>
    markOf(field).secret === undefined ? [] : [name],
  );
}

function placesOf(connector: Connector, settings: Settings): string {
  const places = Object.entries(connector.settings.shape).filter(
    ([, field]) => markOf(field).place !== undefined,
  );
  return JSON.stringify(places.map(([name]) => settings[name] ?? null));
}

/** Takes settings apart for the table. */
export async function storedSettings(
  db: Queryable,
  { keys, of, connector }: { keys: Deps["keys"]; of: Owned; connector: Connector },
  settings: Settings,
): Promise<StoredSettings> {
  const names = secretNames(connector).filter((name) => typeof settings[name] === "string");
  const secrets = Object.fromEntries(names.map((name) => [name, settings[name]]));
  const shown = { ...settings, ...Object.fromEntries(names.map((name) => [name, mask])) };
  return {
    settings: shown,
    sealed: await sealed(db, { keys, of, column: "sealed" }, JSON.stringify(secrets)),
  };
}

/** Puts settings together again. */
export async function openSettings(
  db: Queryable,
  { keys, of }: { keys: Deps["keys"]; of: Owned },
  stored: StoredSettings,
): Promise<Settings> {
  const secrets = await opened(db, { keys, of, column: "sealed" }, stored.sealed);
  return { ...stored.settings, ...(JSON.parse(secrets ?? "{}") as Settings) };
}

/** What of settings says who logs in where: the same login with another folder or pattern is the same. */
export function loginIn(connector: Connector, settings: Settings): Settings {
  const { shape } = connector.settings;
  return Object.fromEntries(
    Object.entries(settings).filter(([name]) => {
      const field = shape[name];
      return field === undefined || markOf(field).aside !== true;
    }),
  );
}

/** Every secret in settings, for the scrubber. */
export function secretsIn(connector: Connector, settings: Settings): string[] {
  return secretNames(connector).flatMap((name) => {
    const value = settings[name];
    return typeof value === "string" ? [value] : [];
  });
}
