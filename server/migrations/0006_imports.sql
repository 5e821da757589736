-- Named mappings of the generic CSV/XLSX reader.
create table mapping (
  id text collate "C" primary key,
  account_id text collate "C" not null references account (id) on delete cascade,
  name text not null,
  mapping jsonb not null,
  created timestamptz not null,
  unique (account_id, name)
);

create table import (
  id text collate "C" primary key,
  account_id text collate "C" not null references account (id) on delete cascade,
  created timestamptz not null,
  created_by text collate "C",
  file_name text not null,
  file_bytes bigint not null,
  file_sha256 bytea not null,
  -- Name of the waiting file below the upload folder; null when it was removed.
  stored_as text,
  format text,
  options jsonb not null default '{}',
  status text not null,
  -- {phase, bytes, values}: where the work is.
  progress jsonb not null default '{}',
  -- {series, values, stored, unchanged, older, created_meters, …} when finished.
  result jsonb,
  problems jsonb not null default '[]',
  started timestamptz,
  finished timestamptz
);
create index import_account on import (account_id, created desc);
