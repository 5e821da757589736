import type { ContractType, ReadInvoice, Reason } from "./invoice.ts";

/** What a thread that reads a document is told. */
export interface ReadingTask {
  path: string;
  fileName: string;
  /** Templates of the account for text of PDF documents. */
  templates: readonly unknown[];
  /** Currency of documents that name none. */
  currency: string | null;
  /** What the invoice is about, for rows whose words do not say. */
  contractType: ContractType | null;
}

/** What it answers. */
export type Reading = { kind: "read"; parsed: ReadInvoice[] } | { kind: "refused"; reason: Reason };
