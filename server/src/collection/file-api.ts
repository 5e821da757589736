import { z } from "zod";
import type { FileProblem } from "../imports/imports.ts";
import { sql } from "../platform/db.ts";
import { type Endpoint, endpoint, Page } from "../platform/http/endpoint.ts";
import { fieldsOf, readList } from "../platform/http/filter.ts";
import { formatTimestamp, id, timestampText } from "../platform/http/schema.ts";
import { notFound } from "../platform/problem.ts";
import { reachConnection } from "./connection.ts";
import { oneConnection } from "./connection-api.ts";
import { type FileStatus, fileStatuses } from "./received-file.ts";

interface Row {
  id: string;
  name: string;
  place: string;
  bytes: number;
  sha256: string;
  status: FileStatus;
  received: number;
  settled: number | null;
  formats: string[];
  counts: Record<string, number>;
  problems: FileProblem[];
  leftOut: string[];
}

const columns = sql`f.id, f.name, f.place, f.bytes, encode(f.sha256, 'hex') as sha256, f.status,
  (extract(epoch from f.received) * 1000)::float8 as received,
  (extract(epoch from f.settled) * 1000)::float8 as settled, f.formats, f.counts, f.problems,
  f.left_out as "leftOut"`;

const fileView = z.object({
  _id: z.string(),
  name: z.string(),
  place: z.string().describe("Where it was found first"),
  bytes: z.int(),
  status: z
    .enum(fileStatuses)
    .describe(
      "`reading`: not at its end yet. `stored`. `refused`: nothing of it is stored, `problems` say why. `left_out`: " +
        "stored, and read again where it lies, for meters that were put away then. `unread`: its server does not hand " +
        "it out; it is tried again.",
    ),
  received: timestampText().describe("When this content came first"),
  settled: timestampText().nullable(),
  formats: z.array(z.string()),
  counts: z.record(z.string(), z.number()).describe("Meters, values, and what became of them"),
  left_out: z.array(z.string()).describe("Keys of meters in `ignored`: their values were not stored"),
});

const wholeFileView = fileView.extend({
  sha256: z.string(),
  problems: z
    .array(
      z.object({
        severity: z.enum(["error", "warning", "info"]),
        file: z.string().nullable().describe("In an archive: which file"),
        line: z.int().nullable(),
        field: z.string().nullable(),
        message: z.string(),
      }),
    )
    .describe("The first 100"),
});

function view({ id: _id, received, settled, leftOut, sha256: _, problems: __, ...row }: Row) {
  return {
    ...row,
    _id,
    received: formatTimestamp(received),
    settled: settled === null ? null : formatTimestamp(settled),
    left_out: leftOut,
  };
}

const fields = fieldsOf({
  _id: { kind: "id", column: sql`f.id` },
  status: { kind: "enum", column: sql`f.status`, values: fileStatuses },
  name: { kind: "text-exact", column: sql`f.name` },
  place: { kind: "text-exact", column: sql`f.place` },
  received: { kind: "timestamp", column: sql`f.received` },
  created: { kind: "timestamp", column: sql`f.received` },
});

const list = endpoint({
  method: "GET",
  path: "/connections/:id/files",
  access: "collection",
  summary: "Lists the files that a connection has found; `sort=-received` for the latest first.",
  ids: { id: "connection" },
  params: oneConnection,
  filters: () => true,
  reply: z.array(fileView),
  list: true,
  async handle({ who, params, search, ignored }, { db, settings }) {
    const connection = await reachConnection(db, who, { id: params.id });
    const { where, orderBy, skip, limit } = readList(search, { fields, ignored, pageMax: settings.pageMax });
    const of = sql`from received_file f where f.connection_id = ${connection.id}${where}`;
    const { count } = await db.one<{ count: number }>(sql`select count(*) as count ${of}`);
    const rows = await db.rows<Row>(
      sql`select ${columns} ${of} order by ${orderBy} offset ${skip} limit ${limit}`,
    );
    return new Page(rows.map(view), { count, skip, limit });
  },
});

const one = endpoint({
  method: "GET",
  path: "/connections/:id/files/:file_id",
  access: "collection",
  summary:
    "One file that a connection has found: what was stored of it, and what is wrong with it, line by line.",
  ids: { id: "connection", file_id: "connection_file" },
  params: z.object({ id: id(), file_id: id() }),
  reply: wholeFileView,
  async handle({ who, params }, { db }) {
    const connection = await reachConnection(db, who, { id: params.id });
    const row = await db.maybe<Row>(sql`
      select ${columns} from received_file f where f.id = ${params.file_id} and f.connection_id = ${connection.id}`);
    if (row === undefined) throw notFound(`file ${params.file_id} of connection ${params.id}`);
    return { ...view(row), sha256: row.sha256, problems: row.problems };
  },
});

/** Files that providers have sent. */
export const fileEndpoints: Endpoint[] = [list, one];
