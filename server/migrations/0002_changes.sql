-- The ordered log of what changed, per part. Distributed by part under Citus.

-- One row per part. Every writer of a part holds it until commit, so order of commit = order of offset.
create table head (
  part int primary key,
  off bigint not null default 0
) with (fillfactor = 50);

-- One row per run of changed slots; values are taken from the block when the log is read.
create table chg (
  part int not null,
  off bigint not null,
  series_id bigint not null,
  gran smallint not null,
  period int not null,
  slot smallint not null,
  n smallint not null,
  -- 1: an earlier value was replaced or removed.
  flags smallint not null default 0,
  primary key (part, off)
);
