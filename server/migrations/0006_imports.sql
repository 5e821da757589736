-- Files that were uploaded and what became of them. Local tables: they stay on one machine.

-- Named mappings of the generic CSV/XLSX reader.
create table mapping (
  id text collate "C" primary key,
  account_id text collate "C" not null references account (id) on delete cascade,
  name text not null,
  mapping jsonb not null,
  created timestamptz not null,
  updated timestamptz not null,
  unique (account_id, name)
);
create index mapping_account on mapping (account_id, created, id);

create table import (
  id text collate "C" primary key,
  -- The account that gets the meters and the values.
  account_id text collate "C" not null references account (id) on delete cascade,
  created timestamptz not null,
  created_by text collate "C",
  -- Key of its values' document: shown as their origin.
  source text not null,
  -- [{name, bytes, sha256}] in the order of the upload. The bytes wait below the upload folder, named after the
  -- import and their place, until the work is done.
  files jsonb not null,
  bytes bigint not null,
  -- SHA-256 over the hashes of the files: the same content again has the same one.
  content_hash bytea not null,
  options jsonb not null,
  dry_run boolean not null,
  -- waiting, reading, storing, completed, failed, undoing, undone.
  status text not null,
  -- {phase, bytes, values}: where the work is.
  progress jsonb not null,
  -- What the files hold, once they are read: {formats, meters, meters_created, series, values, missing, duplicates,
  -- readings, digest}.
  summary jsonb,
  -- Number of problems by severity, also of those that are not kept.
  problems jsonb not null default '{"error": 0, "warning": 0, "info": 0}',
  -- Batches whose values are stored; grows in the transactions that store them.
  batches int not null default 0,
  -- Runs that ended by an unexpected error.
  failures smallint not null default 0,
  -- What undoing took back: {removed, restored, meters_removed, meters_kept}.
  undone jsonb,
  started timestamptz,
  finished timestamptz
);
create index import_account on import (account_id, created, id);
create index import_content on import (account_id, content_hash);

-- Meters that an import stores values of, in the order of its files.
create table import_meter (
  import_id text collate "C" not null references import (id) on delete cascade,
  n int not null,
  -- No reference: the meter may be deleted later.
  meter_id text collate "C" not null,
  part int not null,
  -- It was made by this import, and under this name and address.
  created boolean not null,
  name text,
  address text,
  -- The undo is done with its values, and with the meter itself.
  undone boolean not null default false,
  checked boolean not null default false,
  primary key (import_id, n)
);
create index import_meter_meter on import_meter (meter_id);

-- Series of an import: one metric of one meter in one granularity, and what became of its values.
create table import_series (
  import_id text collate "C" not null references import (id) on delete cascade,
  n int not null,
  -- Null in a dry run for meters that would be made.
  meter_id text collate "C",
  -- The meter was, or would be, made by this import.
  meter_created boolean not null,
  ean text not null,
  channel text not null,
  representation text,
  metric text not null,
  granularity text not null,
  values bigint not null,
  -- First and last start; null without values.
  first timestamptz,
  last timestamptz,
  added bigint not null default 0,
  replaced bigint not null default 0,
  unchanged bigint not null default 0,
  older bigint not null default 0,
  primary key (import_id, n)
);

-- Problems of the files, the first of each severity.
create table import_problem (
  import_id text collate "C" not null references import (id) on delete cascade,
  n int not null,
  severity text not null,
  file text,
  line bigint,
  field text,
  message text not null,
  primary key (import_id, n)
);
