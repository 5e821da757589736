/** Trees: an account's own order of its meters. What other slices may use. */
export { addNode, childNamed, placeMeters } from "./change.ts";
export { nodeById, type TreeNode, type Viewer } from "./node.ts";
export { type MeterBelow, metersBelow } from "./places.ts";
