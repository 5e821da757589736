import type { Settings as ServerSettings } from "../platform/deps.ts";
import { invalid, Problem } from "../platform/problem.ts";
import { type Connector, markOf, ProviderFailure } from "./connector.ts";
import type { Settings } from "./credentials.ts";

/** What an operator has set up, as a connector sees it. */
export type Setup = Readonly<Record<string, unknown>>;
type Setups = ServerSettings["providers"];

/** The setup that settings of a connection name; empty for connectors without; `undefined` when there is none. */
export function setupOf(connector: Connector, settings: Settings, setups: Setups): Setup | undefined {
  if (connector.operator === undefined) return {};
  const { field, setup } = connector.operator;
  const named = setups[connector.name] ?? {};
  const name = String(settings[field]);
  return Object.hasOwn(named, name) ? setup.safeParse(named[name]).data : undefined;
}

/** The setup of a connection that is made or changed. @throws Problem that names the field and what there is */
export function enteredSetup(connector: Connector, settings: Settings, setups: Setups): Setup {
  const found = setupOf(connector, settings, setups);
  if (found !== undefined) return found;
  const names = Object.keys(setups[connector.name] ?? {});
  const there = names.length === 0 ? "nothing is, ask its operator" : `there is ${names.join(", ")}`;
  throw invalid(`credentials.${connector.operator?.field}`, `is not set up on this server; ${there}`);
}

/** The setup for a run. @throws ProviderFailure `changed`, for the operator, when it was taken away */
export function presentSetup(connector: Connector, settings: Settings, setups: Setups): Setup {
  const found = setupOf(connector, settings, setups);
  if (found !== undefined) return found;
  const name = settings[connector.operator!.field];
  throw new ProviderFailure("changed", `METERTREE_PROVIDERS has no ${name} of ${connector.name} any more`);
}

/** Secrets in a setup, for the scrubber. */
export function secretsOfSetup({ operator }: Connector, setup: Setup = {}): string[] {
  return Object.entries(operator?.setup.shape ?? {}).flatMap(([name, field]) => {
    const value = setup[name];
    return markOf(field).secret !== undefined && typeof value === "string" ? [value] : [];
  });
}

/**
 * Holds what an operator has set up against the connectors.
 * @throws Problem that lists all mistakes, without values
 */
export function checkSetups(connectors: readonly Connector[], setups: Setups): void {
  const faults = Object.entries(setups).flatMap(([provider, named]) => {
    const operator = connectors.find(({ name }) => name === provider)?.operator;
    if (operator === undefined) return [`${provider} is no provider for which something is set up`];
    return Object.entries(named).flatMap(([name, setup]) => {
      const result = operator.setup.safeParse(setup);
      const issues = result.success ? [] : result.error.issues;
      return issues.map(({ path, message }) => `${[provider, name, ...path].join(".")}: ${message}`);
    });
  });
  if (faults.length === 0) return;
  const list = faults.map((fault) => `  - ${fault}`).join("\n");
  throw new Problem("invalid", `METERTREE_PROVIDERS has mistakes:\n${list}\nSee docs/providers.md.`);
}
