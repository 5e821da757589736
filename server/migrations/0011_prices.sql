-- Price models, and the meters whose costs are calculated with them.

create table price_model (
  id text collate "C" primary key,
  account_id text collate "C" not null references account (id) on delete cascade,
  name text not null,
  -- Folded name.
  search text collate "C" not null,
  -- Kind of contract: grid or retail.
  key text not null,
  -- ISO 4217; null only in models of the program itself, which have the columns of this table: see prices/built-in.ts.
  currency text,
  -- Zone of windows and holidays; null: the zone of the meter.
  timezone text,
  applicable_types text[] not null,
  -- Days that the model has prices for, YYYYMMDD-[YYYYMMDD]; null: all.
  period text,
  -- Days that are holidays and no weekdays, YYYYMMDD.
  holidays text[] not null default '{}',
  -- Decimals are texts, so that they stay exact.
  components jsonb not null,
  created timestamptz not null,
  updated timestamptz not null
);
create index price_model_account on price_model (account_id, created, id);

-- Prices that change with time, such as those of a power exchange.
create table price_series (
  id text collate "C" primary key,
  account_id text collate "C" not null references account (id) on delete cascade,
  name text not null,
  search text collate "C" not null,
  currency text not null,
  -- hour or 15min.
  granularity text not null,
  created timestamptz not null,
  updated timestamptz not null
);
create index price_series_account on price_series (account_id, created, id);

-- Price per kWh (or per unit of what a component measures) from an instant on, for one granule.
create table price_point (
  series_id text collate "C" not null references price_series (id) on delete cascade,
  at timestamptz not null,
  price numeric not null,
  primary key (series_id, at)
);

-- A root meter whose costs are calculated by a model for some days.
create table calculated_metric (
  id text collate "C" primary key,
  meter_id text collate "C" not null references meter (id) on delete cascade,
  -- Account that made it: the holder of the meter, or the account that manages the holder.
  account_id text collate "C" not null references account (id) on delete cascade,
  -- A price model of the account, or one of the program itself: no foreign key.
  model_id text collate "C" not null,
  key text not null,
  -- Of a model that has none.
  currency text,
  -- First day and the one after the last, in days since 1970 of the meter's calendar; null: open.
  from_day int not null,
  to_day int,
  params jsonb not null default '{}',
  created timestamptz not null,
  updated timestamptz not null
);
create index calculated_metric_meter on calculated_metric (meter_id, key, from_day);
create index calculated_metric_model on calculated_metric (model_id);
create index calculated_metric_account on calculated_metric (account_id);

-- One row per meter that has, or had, calculated metrics: which of its months must be calculated again.
create table calculation (
  meter_id text collate "C" primary key references meter (id) on delete cascade,
  part int not null,
  -- Months since 1970, first and last; null: nothing is due.
  due_from int,
  due_to int,
  -- When the running month of the meter ends: it is due then.
  month_ends timestamptz not null
);
create index calculation_due on calculation (meter_id) where due_from is not null;
create index calculation_part on calculation (part);
create index calculation_month on calculation (month_ends);

-- How far the log of changes of a part was read. Not named `part`: it stays on the coordinator, beside what it is for.
create table calculation_cursor (
  of_part int primary key,
  off bigint not null
);
