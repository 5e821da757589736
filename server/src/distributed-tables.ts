/**
 * Tables that Citus spreads over machines, by `part`, all in one colocation group: the rows of a part are on one
 * machine. Every other table stays on the coordinator. The order is that of spreading them: small ones first.
 */
export const distributedTables = [
  "head",
  "document",
  "series",
  "meter_stat",
  "chg",
  "revision",
  "block",
] as const;
