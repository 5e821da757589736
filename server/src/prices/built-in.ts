import type { Component } from "./component.ts";
import type { PriceModel } from "./model.ts";

const annualFee = (metric: "grid_subscription" | "retail_subscription"): Component => ({
  kind: "fixed",
  name: "Annual fee",
  metric,
  price: { param: "annual_fee" },
  per: "year",
});

const perKwh = (name: string, metric: "grid_usage" | "retail_usage", param: string): Component => ({
  kind: "energy",
  name,
  metric,
  of: "energy",
  price: { param },
});

const common = {
  account_id: null,
  currency: null,
  timezone: null,
  period: null,
  holidays: [],
  created: Date.UTC(2026, 0, 1),
  updated: Date.UTC(2026, 0, 1),
};

/**
 * Models that every account sees and none can change: those whose parameters existing clients send. Their currency is
 * that of each use. Heat is a grid contract, as the cost metrics of district heat (flow, return temperature) are.
 */
export const builtInModels: readonly PriceModel[] = [
  {
    ...common,
    id: "000000000000000000000e01",
    name: "Electricity grid",
    key: "grid",
    applicable_types: ["electricity"],
    components: [annualFee("grid_subscription"), perKwh("Transfer fee", "grid_usage", "transfer_fee")],
  },
  {
    ...common,
    id: "000000000000000000000e02",
    name: "Electricity retail",
    key: "retail",
    applicable_types: ["electricity"],
    components: [
      annualFee("retail_subscription"),
      perKwh("Electricity price", "retail_usage", "electricity_price"),
    ],
  },
  {
    ...common,
    id: "000000000000000000000e03",
    name: "District heat",
    key: "grid",
    applicable_types: ["heat", "cooling"],
    components: [annualFee("grid_subscription"), perKwh("Heat price", "grid_usage", "heat_price")],
  },
];
