import { z } from "zod";
import { invoiceView } from "../invoices/invoices.ts";
import { timestampText } from "../platform/http/schema.ts";
import { formatTimestamp } from "../platform/time/timestamp.ts";
import type { Lag } from "./lag.ts";
import { resources, type Stream, streamGranularities } from "./stream.ts";

export const resource = z.enum(resources).meta({ description: "What the stream carries." });
export const granularity = z
  .enum(streamGranularities)
  .nullable()
  .meta({ description: "Only values of this granularity; null: hours, days and months." });

/** A stream as the API shows it. */
export const streamView = z.object({
  _id: z.string(),
  created: timestampText(),
  holder_id: z.string(),
  client_id: z.string().nullable().meta({ description: "The OAuth client that made it." }),
  resource,
  granularity,
  last_offset: z
    .number()
    .nullable()
    .meta({ description: "Everything before this offset was confirmed by the consumer." }),
  lag: z.object({
    seconds: z.number().meta({ description: "Age of the oldest change that was not confirmed." }),
    entries: z.number().meta({ description: "Changes that were not confirmed, 10,000 at most." }),
    history: z.boolean().meta({ description: "The history was not confirmed to its end yet." }),
  }),
});

export const viewStream = (stream: Stream, lag: Lag) => ({
  _id: stream.id,
  created: formatTimestamp(stream.created),
  holder_id: stream.accountId,
  client_id: stream.clientId,
  resource: stream.resource,
  granularity: stream.granularity,
  last_offset: stream.lastOffset,
  lag,
});

const valuesRecord = z.object({
  meter: z.object({
    _id: z.string(),
    ean: z.string().nullable(),
    timezone: z.string(),
    root_id: z.string(),
  }),
  values: z.array(
    z.object({
      value: z.number().nullable().meta({ description: "Null: the value was removed." }),
      granularity: z.string(),
      metric: z.string(),
      updated: z.boolean().meta({ description: "An earlier value was replaced or removed." }),
      period: z.string().meta({
        description: "YYYYMM, YYYYMMDD, YYYYMMDDHH or YYYYMMDDHHmm, in the meter's time zone.",
      }),
      pushed_at: z.string().meta({ description: "When it entered the stream, UTC: `2019-03-19 09:20:35`." }),
      start: timestampText().meta({ description: "First instant of the period." }),
      currency: z.string().optional().meta({ description: "Only of costs." }),
    }),
  ),
});

const columnsRecord = z.object({
  meter: valuesRecord.shape.meter,
  columns: z
    .object({
      granularity: z.string(),
      metric: z.string(),
      updated: z.boolean(),
      pushed_at: z.string(),
      currency: z.string().optional(),
      start: z.array(z.number()).meta({ description: "First instants, in seconds since 1970." }),
      value: z.array(z.number().nullable()),
    })
    .meta({ description: "With the layout `columns`, instead of `values`." }),
});

const goneInvoice = z.object({ _id: z.string(), status: z.literal("deleted"), results: z.array(z.never()) });

/** What `consume` answers. */
export const batchView = z.object({
  offset: z.number().nullable().meta({ description: "What to send next time." }),
  resource,
  records: z
    .array(z.union([valuesRecord, columnsRecord, invoiceView, goneInvoice]))
    .meta({ description: "Meters with values, or invoices. Empty: there is nothing new." }),
});
