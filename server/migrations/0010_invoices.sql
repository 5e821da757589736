-- Invoices: documents, their rows, and the costs that follow. Local tables: they stay on one machine.

-- One uploaded document. The bytes lie below the invoice folder, named after the account and the invoice.
create table invoice (
  id text collate "C" primary key,
  -- The account whose invoice it is.
  account_id text collate "C" not null references account (id) on delete cascade,
  created timestamptz not null,
  created_by text collate "C",
  -- Last time that anything about it changed.
  updated timestamptz not null,
  file_name text not null,
  bytes bigint not null,
  -- Hexadecimal: the same file again is the same invoice.
  sha256 text collate "C" not null,
  dry_run boolean not null,
  -- {contract_type, currency}: what the sender said where the document says nothing.
  options jsonb not null,
  -- pending, processing, completed, failed.
  status text collate "C" not null,
  -- {message, line, field, difference} of a failed one.
  reason jsonb,
  -- Runs that ended by an unexpected error.
  failures smallint not null default 0,
  -- What the reader found, with the rule that matched each row; null until it is read.
  parsed jsonb,
  -- What people said since: {results, rows}. Applied again whenever the document is read.
  corrections jsonb not null default '{"results": [], "rows": []}',
  -- Metering points and invoice numbers in it: what lists are filtered by.
  eans text[] not null default '{}',
  numbers text[] not null default '{}',
  started timestamptz,
  finished timestamptz,
  unique (account_id, sha256, dry_run)
);
create index invoice_account on invoice (account_id, created, id);
create index invoice_eans on invoice using gin (eans);
create index invoice_numbers on invoice using gin (numbers);

-- The invoices in a document, one as a rule, and how they stand to others of the same account and seller.
create table invoice_bill (
  invoice_id text collate "C" not null references invoice (id) on delete cascade,
  n int not null,
  account_id text collate "C" not null references account (id) on delete cascade,
  number text collate "C" not null,
  kind text not null,
  -- Numbers of earlier invoices that it refers to.
  replaces text[] not null,
  seller_id text,
  -- Folded.
  seller_name text not null,
  issued date not null,
  currency text not null,
  net numeric not null,
  -- Its rows are part of costs: it is neither replaced nor cancelled.
  counts boolean not null default true,
  -- The invoice that replaced or cancelled it.
  replaced_by text collate "C" references invoice (id) on delete set null,
  primary key (invoice_id, n)
);
create index invoice_bill_number on invoice_bill (account_id, number);
create index invoice_bill_replaces on invoice_bill using gin (replaces);
create index invoice_bill_replaced_by on invoice_bill (replaced_by) where replaced_by is not null;

-- What an invoice says of one metering point.
create table invoice_result (
  invoice_id text collate "C" not null references invoice (id) on delete cascade,
  n int not null,
  -- Number of its bill.
  bill int not null,
  ean text,
  -- The root meter that gets the costs; null when none is known.
  meter_id text collate "C" references meter (id) on delete set null,
  -- Everything that is shown, rows included.
  content jsonb not null,
  -- Something of it is not known yet.
  unresolved boolean not null,
  primary key (invoice_id, n)
);
create index invoice_result_meter on invoice_result (meter_id);
create index invoice_result_waiting on invoice_result (ean, invoice_id) where meter_id is null;

-- What the rows of a bill add to the costs of a month of a meter.
create table invoice_cost (
  invoice_id text collate "C" not null,
  bill int not null,
  meter_id text collate "C" not null references meter (id) on delete cascade,
  -- As `/costs` names it.
  metric text collate "C" not null,
  currency text collate "C" not null,
  -- YYYYMM.
  month int not null,
  amount numeric not null,
  primary key (invoice_id, bill, meter_id, metric, currency, month),
  foreign key (invoice_id, bill) references invoice_bill (invoice_id, n) on delete cascade
);
create index invoice_cost_month on invoice_cost (meter_id, metric, currency, month);

-- The costs that invoices have stored, and those that wait for their month.
create table invoice_month (
  meter_id text collate "C" not null references meter (id) on delete cascade,
  metric text collate "C" not null,
  currency text collate "C" not null,
  month int not null,
  -- The month has not begun: its costs are stored when it does.
  ahead boolean not null,
  primary key (meter_id, metric, currency, month)
);
create index invoice_month_ahead on invoice_month (month) where ahead;

-- The log of invoices that changed: offsets are drawn from the head of the first part of the account.
create table invoice_change (
  account_id text collate "C" not null references account (id) on delete cascade,
  off bigint not null,
  -- No reference: the entry of a deleted invoice says that it is gone.
  invoice_id text collate "C" not null,
  primary key (account_id, off)
);
create index invoice_change_invoice on invoice_change (invoice_id, off);

-- How the text of PDF invoices is read: templates that people wrote.
create table invoice_template (
  id text collate "C" primary key,
  account_id text collate "C" not null references account (id) on delete cascade,
  name text not null,
  template jsonb not null,
  created timestamptz not null,
  updated timestamptz not null,
  unique (account_id, name)
);
create index invoice_template_account on invoice_template (account_id, created, id);
