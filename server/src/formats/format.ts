/**
 * The door of the formats: other folders import this file alone. Inside the folder, import values
 * from the parts (`problems.ts`, `chunks.ts`, `units.ts`) and types from `item.ts`.
 */
export { formats } from "./all.ts";
export { pieceBytesMax, pieces } from "./chunks.ts";
export { expandedBytesMaxDefault, type FileSource, memoryFile } from "./container.ts";
export {
  type InspectedProblem,
  type InspectedSeries,
  type Inspection,
  type InspectOptions,
  inspectFile,
} from "./inspect.ts";
export type * from "./invoice.ts";
export { invoiceFormats, readInvoice, recognisesInvoice } from "./invoice-formats.ts";
export type * from "./item.ts";
export { type Proposal, proposeMapping } from "./mapper/mapper.ts";
export { type Mapping, parseMapping } from "./mapper/mapping.ts";
export { type OpenedFile, type OpenOptions, openFiles } from "./open.ts";
export { isPdf } from "./pdf.ts";
export { embeddedInvoice } from "./pdf-attachment.ts";
export { inspectPdf, type PdfInspection } from "./pdf-invoice/pdf-invoice.ts";
export { parseTemplate, type Template, TemplateError } from "./pdf-invoice/template.ts";
export { type Page as PdfPage, readPdf } from "./pdf-invoice/text.ts";
export { Fault, type Place, Problems, problemsMax } from "./problems.ts";
export { unitName } from "./unit-codes.ts";
export { type Scale, scaleOf, type Unit, unitOf } from "./units.ts";
