-- Connections with providers, their runs and issues, and what providers bear. Local tables.

create table connection (
  id text collate "C" primary key,
  account_id text collate "C" not null references account (id) on delete cascade,
  provider text collate "C" not null,
  name text,
  -- What the customer entered, with masks in the place of secrets; the secrets are sealed.
  settings jsonb not null,
  sealed bytea not null,
  -- What the connector keeps between runs, sealed.
  memory bytea,
  -- Sealed fingerprints of credentials that the provider refused since others last worked: never sent again.
  refused bytea,
  -- See collection/consequence.ts.
  state text not null,
  state_since timestamptz not null,
  -- Kind of the last failure, how many there were in a row, and since when; null, 0 and null after a success.
  failure text,
  failures int not null default 0,
  failing_since timestamptz,
  -- When the next run begins. While one runs: when its worker counts as dead. Null: not by itself.
  next_run timestamptz,
  -- Why the next run begins.
  next_reason text not null,
  -- The run that is on; whoever holds another id has lost the connection.
  run_id text collate "C",
  -- Moves with everything that watchers are told.
  version bigint not null default 0,
  -- While a code is waited for: what the customer is asked, until when, and the sealed code.
  code_prompt jsonb,
  code_until timestamptz,
  code bytea,
  -- Last complete look for meters, and last complete collection.
  discovered timestamptz,
  collected timestamptz,
  -- A period that was asked for by hand and is not read yet.
  backfill_from timestamptz,
  backfill_to timestamptz,
  -- keep, delete: what becomes of the data of a connection that is being removed.
  deleting text,
  created timestamptz not null,
  updated timestamptz not null
);
create index connection_account on connection (account_id, created, id);
create index connection_due on connection (provider, next_run) where next_run is not null;
create index connection_running on connection (provider, next_run) where run_id is not null;

-- One attempt at a provider.
create table connection_run (
  id text collate "C" primary key,
  connection_id text collate "C" not null references connection (id) on delete cascade,
  -- created, schedule, by_hand, credentials, backfill, activated, repeated.
  reason text not null,
  began timestamptz not null,
  ended timestamptz,
  -- running, complete, failed, interrupted.
  outcome text not null,
  failure text,
  message text,
  -- [{name, at, counts}]
  steps jsonb not null default '[]',
  counts jsonb not null default '{}',
  -- [{at, method, url, status, ms, bytes}], without secrets.
  trace jsonb not null default '[]',
  -- The page that was not understood, without secrets; sealed, as it is about the customer.
  page bytea
);
create index connection_run_list on connection_run (connection_id, began, id);
create index connection_run_old on connection_run (began);

-- What needs a person. At most one open issue of a kind per connection and meter.
create table connection_issue (
  id text collate "C" primary key,
  connection_id text collate "C" not null references connection (id) on delete cascade,
  kind text not null,
  -- Root meter; '' when it concerns the connection.
  meter_id text collate "C" not null default '',
  opened timestamptz not null,
  acknowledged timestamptz,
  resolved timestamptz
);
create unique index connection_issue_open on connection_issue (connection_id, kind, meter_id) where resolved is null;
create index connection_issue_list on connection_issue (connection_id, opened, id);

-- How far a source has delivered a metric in a granularity.
create table source_cursor (
  source_id text collate "C" not null references meter_source (id) on delete cascade,
  metric text collate "C" not null,
  granularity text collate "C" not null,
  -- Everything in [first_asked, until) was asked for; `until` is the end of the last value that came.
  first_asked timestamptz not null,
  until timestamptz not null,
  -- How long after the end of a granule its value comes: learned.
  lateness_ms float8 not null,
  -- When gaps of the last weeks, and older ones, were asked for.
  gaps_asked timestamptz,
  old_gaps_asked timestamptz,
  primary key (source_id, metric, granularity)
);

-- What all workers know of a provider.
create table provider_state (
  provider text collate "C" primary key,
  -- When the next request may be sent.
  next_slot timestamptz not null,
  -- Runs in a row that did not reach it.
  failures int not null default 0,
  -- Nobody asks before.
  closed_until timestamptz
);

-- Questions that a provider would refuse to be asked again before then.
create table provider_question (
  connection_id text collate "C" not null references connection (id) on delete cascade,
  question text collate "C" not null,
  until timestamptz not null,
  primary key (connection_id, question)
);
