import { z } from "zod";
import { instantText, periodText, plainNumber, shownZone } from "./cells.ts";
import { type ExportRun, exportFormat } from "./format.ts";
import { anyMetrics, granularityParam, isWanted, timezoneParam } from "./params.ts";

/** One JSON object a value. Numbers have every digit that was delivered and no exponent. */
export const jsonLines = exportFormat({
  name: "ConsumptionJSONL",
  title: "Consumption, JSON Lines",
  ending: "jsonl",
  mediaType: "application/x-ndjson",
  resource: "consumption",
  params: z.strictObject({ timezone: timezoneParam, metrics: anyMetrics, granularity: granularityParam }),
  rowsMax: 1_000_000,
  accepts: (metric, params) => isWanted(metric, params.metrics),
  async open({ params, create }) {
    const file = await create("");
    return {
      async write(run) {
        const zone = shownZone(run, params.timezone);
        const before = `{${membersOf({ ...meterMembers(run), timezone: zone, ...seriesMembers(run) })}`;
        const after = membersOf({ updated: run.updated, pushed_at: instantText(run.pushedAt) });
        for (let i = 0; i < run.starts.length; i++) {
          const start = run.starts[i]!;
          const value = run.values[i]!;
          const own = membersOf({ period: periodText(run, start, zone), start: instantText(start) });
          const number = Number.isNaN(value) ? "null" : plainNumber(value);
          await file.write(`${before},${own},"value":${number},${after}}\n`);
        }
        file.rows += run.starts.length;
      },
      async finish() {},
    };
  },
});

const membersOf = (members: object) => JSON.stringify(members).slice(1, -1);

function meterMembers({ meter }: ExportRun): object {
  return {
    meter_id: meter.id,
    ean: meter.ean,
    name: meter.name,
    type: meter.type,
    provider_id: meter.providerId,
    provider_name: meter.providerName,
    address: meter.address,
    location: meter.location,
    tags: meter.tags,
  };
}

function seriesMembers({ metric, unit, currency, granularity }: ExportRun): object {
  return { metric, unit: unit === "" ? null : unit, currency, granularity };
}
