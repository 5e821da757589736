/**
 * The door of the formats: other folders import this file alone. Inside the folder, import values
 * from the parts (`problems.ts`, `chunks.ts`, `units.ts`) and types from `item.ts`.
 */
export { formats } from "./all.ts";
export { pieceBytesMax, pieces } from "./chunks.ts";
export type * from "./item.ts";
export { Fault, type Place, Problems, problemsMax } from "./problems.ts";
export { type Scale, scaleOf, type Unit, unitOf } from "./units.ts";
