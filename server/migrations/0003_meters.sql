-- Meters: a root meter is held by its owner; assigned and shared copies are rows of their own that point to it.

create table meter (
  id text collate "C" primary key,
  root_id text collate "C" not null,
  -- The meter that this one was copied from; null for a root meter.
  parent_id text collate "C" references meter (id) on delete cascade,
  holder_id text collate "C" not null references account (id) on delete cascade,
  -- Holder of the root meter.
  root_holder_id text collate "C" not null references account (id) on delete cascade,
  -- Account that assigned or shared this copy; may revoke it.
  assigner_id text collate "C" references account (id) on delete cascade,
  generation smallint not null default 0,
  control_level text not null,
  box text not null default 'inbox',
  -- The box follows the parent's until the holder moves the meter.
  box_follows boolean not null default false,
  revoked boolean not null default false,
  name text,
  address text,
  tags text[] not null default '{}',
  on_hold boolean not null default false,
  created timestamptz not null,
  updated timestamptz not null,
  -- Facts of the root meter, copied to every row so that filters and sorting read one table.
  part int not null,
  ean text,
  -- Register, suffix or column of a source that sends several series for one metering point.
  channel text not null default '',
  type text not null,
  timezone text not null,
  representation text,
  location float8[],
  metrics text[] not null default '{}',
  expected_granularity text,
  readings_blocked boolean not null default false,
  has_active_complaints boolean not null default false,
  open_channel_ids text[] not null default '{}',
  -- Folded name, address, ean and tags between marks; see meters/search-text.ts.
  search text collate "C" not null default ''
);
-- Lists leave revoked meters out. Each index below holds one order or one filter of them in the default order, so
-- that a page and its count read only the index.
create index meter_list on meter (holder_id, created, id)
  include (type, control_level, generation, representation) where not revoked;
create index meter_list_name on meter (holder_id, name, created, id) where not revoked;
create index meter_list_box on meter (holder_id, box, created, id) where not revoked;
create index meter_list_assigner on meter (holder_id, assigner_id, created, id) where not revoked;
create index meter_holder_root on meter (holder_id, root_id);
create index meter_holder_ean on meter (holder_id, ean);
create index meter_root on meter (root_id);
create index meter_parent on meter (parent_id);
create index meter_assigner on meter (assigner_id);
create index meter_root_holder on meter (root_holder_id);
create index meter_open on meter using gin (open_channel_ids) where parent_id is null and open_channel_ids <> '{}';
-- One metering point once per holder.
create unique index meter_identity on meter (holder_id, ean, channel, (coalesce(representation, '')))
  where parent_id is null and ean is not null;
-- One reference to a root meter per holder and assigner: sharing again revives it.
create unique index meter_reference on meter (holder_id, root_id, assigner_id) where parent_id is not null;

-- Searching for a part of a text is faster with trigrams. They are optional: where the extensions are missing, or
-- this role may not create them, searches read all meters of the holder.
do $$
begin
  if (select count(*) from pg_available_extensions where name in ('pg_trgm', 'btree_gin')) = 2 then
    create extension if not exists pg_trgm;
    create extension if not exists btree_gin;
    create index meter_search on meter using gin (holder_id, search gin_trgm_ops);
  end if;
exception when insufficient_privilege then
  raise notice 'no trigram index: this role may not create extensions';
end $$;

-- What a meter did: shown as its event log.
create table meter_activity (
  id text collate "C" primary key,
  meter_id text collate "C" not null references meter (id) on delete cascade,
  at timestamptz not null,
  actor_id text collate "C",
  action text not null,
  detail jsonb not null default '{}'
);
create index meter_activity_meter on meter_activity (meter_id, at, id);

-- Statistics of the stored values of a root meter, pushed here by the series store. Distributed by part.
create table meter_stat (
  part int not null,
  meter_id text collate "C" not null,
  metric text not null,
  -- Name of the granularity.
  gran text collate "C" not null,
  -- YYYYMM, YYYYMMDD or YYYYMMDDHH(mm) in the zone of the meter.
  first bigint,
  last bigint,
  min float8,
  max float8,
  sum numeric,
  count bigint not null,
  -- Offset of the last change: two equal versions mean equal values.
  version bigint not null,
  primary key (part, meter_id, metric, gran)
) with (fillfactor = 70);

create table open_channel (
  id text collate "C" primary key,
  account_id text collate "C" not null references account (id) on delete cascade,
  name text not null,
  -- Folded name.
  search text collate "C" not null,
  created timestamptz not null
);
create index open_channel_account on open_channel (account_id, created, id);
