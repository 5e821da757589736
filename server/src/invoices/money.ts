import { Decimal } from "decimal.js";

/**
 * Arithmetic of amounts: exact for sums of all that documents can hold (40 digits each); halves are rounded away from
 * zero, as tax law does. A class of its own, so that nobody else's settings change it.
 */
export const Money = Decimal.clone({ precision: 100, rounding: Decimal.ROUND_HALF_UP });
export type Money = Decimal;
