/** Invoices, and the costs that follow from them: what other slices may use. */
export { eraseInvoices } from "./erase.ts";
export { invoiceJobs } from "./jobs.ts";
export { type ChangedInvoice, changedInvoices } from "./log.ts";
export { type HandedIn, storeDocument } from "./upload.ts";
export { type InvoiceView, invoiceView } from "./view.ts";
