import { z } from "zod";
import { personsToTell } from "../accounts/accounts.ts";
import type { Queryable } from "../platform/db.ts";
import type { Deps } from "../platform/deps.ts";
import { type Endpoint, endpoint } from "../platform/http/endpoint.ts";
import { boolean } from "../platform/http/schema.ts";
import { isMailed, setMailed } from "./mail.ts";

const mailView = z.object({
  enabled: z.boolean(),
  to: z.array(z.string()).describe("Who gets it: the user of the account, and its administrators"),
  possible: z.boolean().describe("False: this server has no mail server, and sends nothing"),
});

async function view(
  db: Queryable,
  accountId: string,
  { smtpUrl }: Pick<Deps["settings"], "smtpUrl">,
): Promise<z.output<typeof mailView>> {
  return {
    enabled: await isMailed(db, accountId),
    to: await personsToTell(db, accountId),
    possible: smtpUrl !== null,
  };
}

const read = endpoint({
  method: "GET",
  path: "/completeness/mail",
  access: "collection",
  summary: "Is the account mailed what is missing of the last month?",
  reply: mailView,
  handle: ({ who }, { db, settings }) => view(db, who.accountId, settings),
});

const change = endpoint({
  method: "PUT",
  path: "/completeness/mail",
  access: "collection",
  summary: "Says whether the account is mailed what is missing of the last month, on the 11th of each month.",
  body: z.object({ enabled: boolean() }),
  reply: mailView,
  async handle({ who, body }, { db, settings }) {
    await setMailed(db, who.accountId, body.enabled);
    return view(db, who.accountId, settings);
  },
});

/** The mail about missing month values. */
export const mailEndpoints: Endpoint[] = [read, change];
