-- Found meters: which structure an account collects in, its rules for new meters, what each connection found, and what
-- happened to metering points.

-- Where connections of an account and its subaccounts belong: property_manager or classic.
create table collection_structure (
  account_id text collate "C" primary key references account (id) on delete cascade,
  structure text not null,
  since timestamptz not null
);

-- One connection's view of one meter. It outlives the connection, so that a new one to the same provider finds the
-- meter again.
create table meter_source (
  id text collate "C" primary key,
  -- The account of the connection, which holds the root meter.
  account_id text collate "C" not null references account (id) on delete cascade,
  provider text collate "C" not null,
  -- The provider's own key of the meter.
  key text collate "C" not null,
  connection_id text collate "C",
  -- The root meter.
  meter_id text collate "C" not null references meter (id) on delete cascade,
  -- Rank of the documents that it delivers: of two sources the higher one wins, value by value.
  rank smallint not null default 0,
  -- The meter as the provider last showed it.
  found jsonb not null,
  first_found timestamptz not null,
  last_found timestamptz not null,
  -- Since when the provider does not show it any more.
  vanished timestamptz
);
create unique index meter_source_connection on meter_source (connection_id, key) where connection_id is not null;
create index meter_source_meter on meter_source (meter_id, rank);
create index meter_source_known on meter_source (account_id, provider, key) where connection_id is null;

-- What happened to a metering point on which day.
create table meter_event (
  id text collate "C" primary key,
  -- The root meter.
  meter_id text collate "C" not null references meter (id) on delete cascade,
  -- The source that told it, and that it is about; null when a person or the server did, for all sources.
  source_id text collate "C" references meter_source (id) on delete cascade,
  -- contract_ended, moved_out, moved_in, meter_exchanged, id_changed
  kind text not null,
  -- First day on which it is so, in the zone of the meter.
  day date not null,
  -- Of id_changed: the ean before.
  old_ean text,
  detail jsonb not null default '{}',
  created timestamptz not null,
  actor_id text collate "C"
);
create index meter_event_meter on meter_event (meter_id, day, id);
create unique index meter_event_source on meter_event (source_id, kind) where source_id is not null;
create index meter_event_ean on meter_event (old_ean) where old_ean is not null;

-- Rules for found meters that lie in the inbox, in the order of their positions.
create table inbox_rule (
  id text collate "C" primary key,
  account_id text collate "C" not null references account (id) on delete cascade,
  position int not null,
  name text not null,
  enabled boolean not null,
  conditions jsonb not null,
  actions jsonb not null,
  -- Node of `actions` that meters are placed at; the action goes with the node.
  tree_id text collate "C" references tree_node (id) on delete set null,
  created timestamptz not null
);
create index inbox_rule_account on inbox_rule (account_id, position, id);

-- Root meters that somebody moved to the box active, until collection has taken them up: written with the meter in one
-- transaction and taken out in another. Owned by meters/.
create table meter_activated (
  id bigint generated always as identity primary key,
  root_id text collate "C" not null
);
