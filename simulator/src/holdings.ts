import { dayOf } from "./calendar.ts";
import type { Utility } from "./utility.ts";
import type { Contract, Customer, Meter } from "./world.ts";

/** Ended contracts are shown for so many days. */
const shownDays = 90;

const isShown = ({ from, to }: { from: number; to: number | null }, today: number) =>
  from <= today && (to === null || to + shownDays > today);

/** Contracts that a customer sees now: those that run or ended not long ago. */
export function contractsOf({ clock }: Utility, customer: Customer): Contract[] {
  const today = dayOf(clock.now());
  return customer.contracts.filter((contract) => isShown(contract, today));
}

/** Does a customer have a contract that runs? */
export function hasRunning({ clock }: Utility, customer: Customer): boolean {
  const today = dayOf(clock.now());
  return customer.contracts.some(({ from, to }) => from <= today && (to === null || to > today));
}

/** Metering points of a contract as the customer sees them now, less what faults take away. */
export function metersOf({ faults }: Utility, contract: Contract, username: string): Meter[] {
  if (faults.meet("empty_list", username) !== undefined) return [];
  const isHalved = faults.meet("half_meters", username) !== undefined;
  return contract.meters.filter((_, i) => !isHalved || i % 2 === 1);
}

/** A metering point that a customer sees now, by its id. */
export function meterOf(utility: Utility, customer: Customer, id: string): Meter | undefined {
  const meter = utility.world.meters.get(id);
  const contract = contractsOf(utility, customer).find((each) => each.id === meter?.contractId);
  if (meter === undefined || contract === undefined) return undefined;
  return metersOf(utility, contract, customer.username).includes(meter) ? meter : undefined;
}
