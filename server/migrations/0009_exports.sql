-- Exports: a stream written to files on a schedule, and delivered. Local tables: they stay on one machine.

create table export (
  id text collate "C" primary key,
  -- Whose meters it holds.
  account_id text collate "C" not null references account (id) on delete cascade,
  -- The OAuth client that made it; null for tokens and people of the account.
  client_id text collate "C",
  created timestamptz not null,
  name text,
  format text not null,
  -- As sent, null when none were.
  params jsonb,
  -- Its own stream; hidden from lists of streams.
  stream_id text collate "C" not null,
  -- hourly, daily, monthly, cron.
  frequency text not null,
  cron text,
  -- Zone of the schedule.
  timezone text not null,
  target_type text not null,
  -- As answers show it, without secrets.
  target jsonb not null,
  -- All settings of the target as JSON, sealed.
  target_sealed bytea not null,
  -- When the schedule is due; null while paused.
  next_run timestamptz,
  -- When what failed is tried again.
  retry_at timestamptz,
  paused timestamptz,
  paused_reason text,
  -- Offset of the stream that the target has confirmed.
  committed bigint,
  -- Time in the name of the last file: names are unique.
  last_stamp timestamptz,
  -- Attempts that failed one after the other, and how many of the last ones were refused logins.
  failures smallint not null default 0,
  login_failures smallint not null default 0,
  -- The owner was told of these failures.
  told boolean not null default false,
  last_run timestamptz,
  -- delivered, nothing_new, failed.
  last_status text,
  last_error text
);
create index export_account on export (account_id, created, id);
create index export_due on export (next_run) where next_run is not null;
create index export_retry on export (retry_at) where retry_at is not null;

-- Files of exports, one row each.
create table export_run (
  id text collate "C" primary key,
  export_id text collate "C" not null references export (id) on delete cascade,
  -- When the batch was cut that the file is of; files of one batch have one time, and go before those of the next.
  cut timestamptz not null,
  -- Name at the target, with the folders that the format wants. Fixed here, so that no repeat makes a second file.
  file text not null,
  media_type text not null,
  bytes bigint not null,
  rows bigint not null,
  -- Hexadecimal.
  sha256 text not null,
  -- The file holds what the stream has after the one, null for its beginning, up to the other.
  offset_from bigint,
  offset_to bigint not null,
  -- waiting, failed (and tried again), delivered, withdrawn.
  status text not null,
  attempts int not null default 0,
  error text,
  -- Last attempt.
  started timestamptz,
  finished timestamptz,
  resent timestamptz,
  resend_error text,
  -- The file is still here.
  kept boolean not null default true,
  unique (export_id, file)
);
create index export_run_export on export_run (export_id, cut, id);
create index export_run_open on export_run (export_id) where status in ('waiting', 'failed');
create index export_run_kept on export_run (cut) where kept;
