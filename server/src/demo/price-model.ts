import type { MadeMeter } from "../meters/meters.ts";
import type { Tx } from "../platform/db.ts";
import type { Deps } from "../platform/deps.ts";
import { beginCalculation, insertModel, type ModelFields, readDays } from "../prices/prices.ts";

/** What Älvdal Energi asks for the grid: the prices that its bills of the demo print. */
const alvdalGrid: ModelFields = {
  name: "Älvdal Energi, grid, 63 A",
  key: "grid",
  currency: "SEK",
  timezone: null,
  applicable_types: ["electricity"],
  period: null,
  holidays: [],
  components: [
    {
      kind: "fixed",
      name: "Abonnemangsavgift",
      metric: "grid_subscription",
      price: "415",
      per: "month",
    },
    { kind: "energy", name: "Elöverföring", metric: "grid_usage", of: "energy", price: "0.224" },
    {
      kind: "peak",
      name: "Effektavgift",
      metric: "grid_subscription_power",
      of: "energy",
      price: "52.5",
      per: "month",
      resolution: "hour",
      highest: 1,
      over_months: 1,
    },
    { kind: "energy", name: "Energiskatt", metric: "grid_usage", of: "energy", price: "0.439" },
    { kind: "vat", name: "VAT", percent: "25" },
  ],
};

/**
 * Calculates what the grid costs of some meters that the account manages: of months that no invoice is about; the
 * invoices of the others can be checked against it.
 *
 * @param about.firstDay `YYYYMMDD` from which on
 */
export async function addGridModel(
  tx: Tx,
  { jobs }: Deps,
  about: { accountId: string; meters: readonly MadeMeter[]; firstDay: string; now: number },
): Promise<void> {
  const { accountId, meters, firstDay, now } = about;
  const modelId = await insertModel(tx, accountId, { fields: alvdalGrid, now });
  const { from, to } = readDays("period", `${firstDay}-`);
  const fields = {
    account_id: accountId,
    model_id: modelId,
    key: alvdalGrid.key,
    currency: null,
    params: {},
  };
  for (const { id: rootId, part, timezone } of meters) {
    await beginCalculation(tx, jobs, {
      meter: { rootId, part, timezone },
      fields: { ...fields, from_day: from, to_day: to },
      now,
    });
  }
}
