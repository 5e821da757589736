-- Values over time. All tables are distributed by part under Citus, in one colocation group.

create sequence series_seq as bigint;

-- One metric of one root meter.
create table series (
  part int not null,
  series_id bigint not null,
  meter_id text collate "C" not null,
  metric text not null,
  -- ISO 4217 code of cost series, '' for all others.
  currency text not null default '',
  primary key (part, series_id),
  unique (part, meter_id, metric, currency)
);

-- Packed values of one series, granularity and period; see series/block-codec.ts for the layout.
create table block (
  part int not null,
  series_id bigint not null,
  gran smallint not null,
  period int not null,
  n smallint not null,
  sum numeric,
  min float8,
  max float8,
  first smallint,
  last smallint,
  data bytea not null,
  primary key (part, series_id, gran, period)
) with (fillfactor = 80);
alter table block alter column data set storage external;

-- What wrote values: a delivered document, an upload, a removal. Numbers grow per part.
create table document (
  part int not null,
  doc int not null,
  -- Creation time that the document states, else when it arrived: newest wins.
  version bigint not null,
  -- Of equal versions the higher rank wins.
  rank smallint not null default 0,
  stored timestamptz not null,
  -- Key of the sender: the same document twice changes nothing.
  source text not null,
  import_id text collate "C",
  -- Its import was taken back: what it wrote never returns.
  undone boolean not null default false,
  primary key (part, doc)
);
create index document_import on document (part, import_id) where import_id is not null and not undone;

-- Replaced values: what a block held in the slots that document `doc` overwrote.
create table revision (
  part int not null,
  series_id bigint not null,
  gran smallint not null,
  period int not null,
  doc int not null,
  stored timestamptz not null,
  -- How many values were replaced.
  n smallint not null,
  data bytea not null,
  primary key (part, series_id, gran, period, doc)
);
