import { z } from "zod";
import { accountRefs, accountRefView, managerOf } from "../accounts/accounts.ts";
import { type Queryable, type Sql, sql } from "../platform/db.ts";
import { type Caller, type Endpoint, endpoint, Page } from "../platform/http/endpoint.ts";
import { fieldsOf, readList } from "../platform/http/filter.ts";
import { boolean, formatTimestamp, id, timestampText } from "../platform/http/schema.ts";
import { notFound } from "../platform/problem.ts";
import { visibleConnections } from "./connection.ts";
import { languageOfAccount } from "./connection-view.ts";
import { type IssueKind, issueKinds, meaningOf } from "./consequence.ts";
import { wordsIn } from "./provider.ts";
import { refusedFiles } from "./received-file.ts";

interface Issue {
  id: string;
  connectionId: string;
  connectionName: string | null;
  provider: string;
  accountId: string;
  kind: IssueKind;
  meterId: string;
  fileId: string;
  opened: number;
  acknowledged: number | null;
  resolved: number | null;
}

const issueView = z.object({
  _id: z.string(),
  state: z.enum(["open", "acknowledged", "resolved"]),
  kind: z.enum(issueKinds),
  connection: z.object({ _id: z.string(), name: z.string().nullable(), provider: z.string() }),
  account: accountRefView.nullable().describe("Whose connection it is"),
  meter: z.object({ _id: z.string() }).nullable().describe("The root meter, for issues of a meter"),
  file: z
    .object({
      _id: z.string(),
      name: z.string(),
      place: z.string(),
      line: z.int().nullable(),
      reason: z.string().describe("The first problem; `/connections/{id}/files/{file_id}` has them all"),
    })
    .nullable()
    .describe("The file that cannot be read, for issues of a file"),
  owner: z
    .object({ role: z.enum(["customer", "operator"]), account: accountRefView.nullable() })
    .describe(
      "Who has to act: the subaccount when it has users, else its manager; or the operator of this server",
    ),
  what_to_do: z.string().describe("In the language of the asking account"),
  opened: timestampText(),
  acknowledged: timestampText().nullable(),
  resolved: timestampText().nullable().describe("Issues resolve by themselves when they have passed"),
});

const at = (instant: number | null) => (instant === null ? null : formatTimestamp(instant));
const columns = sql`i.id, i.connection_id as "connectionId", c.name as "connectionName", c.provider,
  c.account_id as "accountId", i.kind,
  i.meter_id as "meterId", i.file_id as "fileId", (extract(epoch from i.opened) * 1000)::float8 as opened,
  (extract(epoch from i.acknowledged) * 1000)::float8 as acknowledged,
  (extract(epoch from i.resolved) * 1000)::float8 as resolved`;

/** Issues of the connections that the caller may see. */
async function visible(db: Queryable, who: Pick<Caller, "accountId">): Promise<Sql> {
  return sql`from connection_issue i join connection c on c.id = i.connection_id
    where c.id in (select c.id ${await visibleConnections(db, who)})`;
}

const fields = fieldsOf({
  _id: { kind: "id", column: sql`i.id` },
  state: {
    kind: "enum",
    column: sql`(case when i.resolved is not null then 'resolved' when i.acknowledged is not null then 'acknowledged'
      else 'open' end)`,
    values: ["open", "acknowledged", "resolved"],
  },
  kind: { kind: "enum", column: sql`i.kind`, values: issueKinds },
  "connection._id": { kind: "id", column: sql`c.id` },
  "account._id": { kind: "id", column: sql`c.account_id` },
  "meter._id": { kind: "id", column: sql`i.meter_id` },
  opened: { kind: "timestamp", column: sql`i.opened` },
  created: { kind: "timestamp", column: sql`i.opened` },
});

async function viewIssues(
  db: Queryable,
  issues: readonly Issue[],
  language: string,
): Promise<z.output<typeof issueView>[]> {
  const owners = await ownersOf(db, [...new Set(issues.map(({ accountId }) => accountId))]);
  const accounts = await accountRefs(db, [...owners.keys(), ...owners.values()]);
  const files = await refusedFiles(
    db,
    issues.map(({ fileId }) => fileId),
  );
  return issues.map((issue) => ({
    _id: issue.id,
    state: issue.resolved !== null ? "resolved" : issue.acknowledged !== null ? "acknowledged" : "open",
    kind: issue.kind,
    connection: { _id: issue.connectionId, name: issue.connectionName, provider: issue.provider },
    account: accounts.get(issue.accountId) ?? null,
    meter: issue.meterId === "" ? null : { _id: issue.meterId },
    file: files.get(issue.fileId) ?? null,
    owner:
      meaningOf(issue.kind).who === "operator"
        ? { role: "operator", account: null }
        : { role: "customer", account: accounts.get(owners.get(issue.accountId) ?? "") ?? null },
    what_to_do: wordsIn(meaningOf(issue.kind).what, language),
    opened: formatTimestamp(issue.opened),
    acknowledged: at(issue.acknowledged),
    resolved: at(issue.resolved),
  }));
}

/** Who acts for accounts: each itself when it has a user who can log in, else its manager. */
async function ownersOf(db: Queryable, accountIds: readonly string[]): Promise<Map<string, string>> {
  const accounts = await accountRefs(db, accountIds);
  const owners = new Map<string, string>();
  for (const id of accountIds) {
    const hasUser = (accounts.get(id)?.username ?? null) !== null;
    owners.set(id, hasUser ? id : ((await managerOf(db, id)) ?? id));
  }
  return owners;
}

const list = endpoint({
  method: "GET",
  path: "/issues",
  access: "collection",
  summary: "Lists what needs a person: on which connection, since when, who has to do what.",
  ids: { "connection._id": "connection", "account._id": "account" },
  filters: () => true,
  reply: z.array(issueView),
  list: true,
  async handle({ who, search, ignored }, { db, settings }) {
    const { where, orderBy, skip, limit } = readList(search, { fields, ignored, pageMax: settings.pageMax });
    const of = sql`${await visible(db, who)}${where}`;
    const { count } = await db.one<{ count: number }>(sql`select count(*) as count ${of}`);
    const rows = await db.rows<Issue>(
      sql`select ${columns} ${of} order by ${orderBy} offset ${skip} limit ${limit}`,
    );
    return new Page(await viewIssues(db, rows, await languageOfAccount(db, who.accountId)), {
      count,
      skip,
      limit,
    });
  },
});

async function show(db: Queryable, who: Caller, issueId: string): Promise<z.output<typeof issueView>> {
  const issue = await db.maybe<Issue>(sql`select ${columns} ${await visible(db, who)} and i.id = ${issueId}`);
  if (issue === undefined) throw notFound(`issue ${issueId} for account ${who.accountId}`);
  return (await viewIssues(db, [issue], await languageOfAccount(db, who.accountId)))[0]!;
}

const oneIssue = z.object({ id: id() });

const one = endpoint({
  method: "GET",
  path: "/issues/:id",
  access: "collection",
  summary: "One issue",
  ids: { id: "issue" },
  params: oneIssue,
  reply: issueView,
  handle: ({ who, params }, { db }) => show(db, who, params.id),
});

const acknowledge = endpoint({
  method: "PUT",
  path: "/issues/:id",
  access: "collection",
  summary: "Says that somebody looks after an issue, or takes that back. It resolves by itself.",
  ids: { id: "issue" },
  params: oneIssue,
  body: z.object({ acknowledged: boolean() }),
  reply: issueView,
  async handle({ who, params, body }, { db, clock }) {
    return db.transaction(async (tx) => {
      await show(tx, who, params.id);
      const value = body.acknowledged ? new Date(clock.now()) : null;
      await tx.run(sql`
        update connection_issue set acknowledged = case when ${body.acknowledged} then coalesce(acknowledged, ${value})
          end where id = ${params.id}`);
      return show(tx, who, params.id);
    });
  },
});

/** What needs a person. */
export const issueEndpoints: Endpoint[] = [list, one, acknowledge];
