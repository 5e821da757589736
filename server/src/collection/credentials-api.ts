import { sql } from "../platform/db.ts";
import { type Endpoint, endpoint } from "../platform/http/endpoint.ts";
import { formatTimestamp } from "../platform/http/schema.ts";
import { Problem } from "../platform/problem.ts";
import {
  act,
  auditLine,
  type ConnectorOf,
  connectorIn,
  oneConnection,
  refusePaused,
  tryAgain,
} from "./connection-api.ts";
import { connectionView } from "./connection-view.ts";
import type { Connector } from "./connector.ts";
import { loginIn, openSettings } from "./credentials.ts";
import { permitAgain } from "./refused.ts";

function retry(connectorOf: ConnectorOf): Endpoint {
  return endpoint({
    method: "POST",
    path: "/connections/:id/credentials/retry",
    access: "collection",
    summary: "Sends credentials once more that the provider has refused: somebody knows that they work now.",
    description:
      "They are sent one time, at once. An hour must have passed since they were refused, so that no login is locked; " +
      "409 says from when on it is possible, or that the credentials are not refused at all.",
    ids: { id: "connection" },
    params: oneConnection,
    reply: connectionView,
    async handle({ who, params }, { db, keys, clock }) {
      const now = clock.now();
      return act(db, { who, params }, async (tx, connection) => {
        refusePaused(connection);
        const { accountId, provider } = connection;
        const entered = await openSettings(tx, { keys, of: connection }, connection);
        const settings = loginIn(connectorOf(provider), entered);
        const from = await permitAgain(tx, { keys }, { login: { accountId, provider, settings }, now });
        if (from === null) {
          throw new Problem(
            "conflict",
            "The provider has not refused these credentials. Start a run instead.",
          );
        }
        if (from > now) {
          throw new Problem(
            "conflict",
            `The credentials were refused a moment ago. Log in at the provider first; from ${formatTimestamp(from)} on ` +
              "they can be tried again.",
          );
        }
        // A session of before would let the run in without the login that somebody wants to see.
        await tx.run(sql`update connection set memory = null where id = ${connection.id}`);
        await tryAgain(tx, { clock }, { before: connection, reason: "credentials" });
        await auditLine(tx, who, { now, action: "connection.credentials_retried", connection });
        return null;
      });
    },
  });
}

/** Credentials that were refused. */
export const credentialsEndpoints = (connectors: readonly Connector[]): Endpoint[] => [
  retry(connectorIn(connectors)),
];
